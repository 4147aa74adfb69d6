"""Configuration: YAML, overrides and options in, typed and closed models out."""
