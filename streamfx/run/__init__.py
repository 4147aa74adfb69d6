"""One run: its parts opened and joined, controlled while it goes on, and its report."""
