"""Outputs that are files: videos and pictures; what FFmpeg leaves wrong in them is put right."""
