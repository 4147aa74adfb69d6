"""Matte: how much of each pixel of the full size belongs to a person, and pictures mixed by it."""
