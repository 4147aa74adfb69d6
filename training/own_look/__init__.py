"""A look of the user's own, in one command: `streamfx train`."""
