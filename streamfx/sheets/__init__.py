"""Contact sheets: one picture that shows what effects make of moments of a film."""
