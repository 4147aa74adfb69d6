"""Figures of engines on pictures and clips they never saw."""
