"""Training of the generators. The runtime never imports this package."""
