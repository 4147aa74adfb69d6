"""Frames that stay in the memory of a GPU from decoder to encoder, or for as much of the way as it can."""
