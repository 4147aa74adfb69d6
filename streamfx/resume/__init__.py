"""Resume: films done in segments, kept when a run is killed, and joined at the end."""
