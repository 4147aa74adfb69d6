"""People: the person told from the background, and each treated as the user wants."""
