"""Many machines: segments of a film, or files of a batch, done by a cluster's workers (extra ``cluster``)."""
