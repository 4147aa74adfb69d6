"""Measuring on the machine at hand: what ``streamfx bench`` runs."""
