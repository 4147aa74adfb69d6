"""Jobs: many files, and proof of what came out."""
