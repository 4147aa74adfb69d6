"""Outputs on a screen: a window, a virtual camera."""
