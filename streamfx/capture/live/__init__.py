"""Live sources: over a connection that may be lost, or a device."""
