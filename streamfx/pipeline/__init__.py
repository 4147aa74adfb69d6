"""The pipeline: stages in threads, queues between them, the account of every frame, times."""
