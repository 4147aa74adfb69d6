"""What flows: frames, tracks, colour; the queue between stages; names of files and addresses."""
