"""Steady: heads averaged with those of the frames before, where the source has not changed."""
