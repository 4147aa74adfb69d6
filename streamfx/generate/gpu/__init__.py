"""Effects on frames that stay in the memory of a GPU."""
