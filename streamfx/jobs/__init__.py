"""Jobs: many files, long films that survive a crash, and proof of what came out."""
