"""Engines: trained generators in their folders; finding, reading and verifying them, and what they cost."""
