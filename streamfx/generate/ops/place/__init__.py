"""Place: full-size planes from the picture that a generator gives."""
