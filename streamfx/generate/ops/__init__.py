"""The operations on full-size pictures: a definition of each, and implementations for processors and GPUs."""
