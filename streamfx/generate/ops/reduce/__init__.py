"""Reduce: full-size planes to the small picture that a generator sees."""
