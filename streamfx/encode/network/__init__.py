"""Outputs over a network."""
