"""Sources that are files: videos and pictures."""
