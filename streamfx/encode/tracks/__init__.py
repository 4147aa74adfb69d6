"""Tracks beside the pictures: copied, converted or left out."""
