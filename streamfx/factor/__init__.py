"""The downsampling factor: what a device can do, what a frame takes, the factor that follows, kept right."""
