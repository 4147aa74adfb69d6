"""Fuse: full-size planes from the planes of the source and the heads of a generator."""
