"""streamfx changes how a video looks, live or offline, at the full resolution of the source."""
