"""All that a film holds, decoded, to be compared for equality."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av

from streamfx.jobs.reading import read_film

Contents = tuple[list[tuple[float, str]], list[object]]


def contents(path: Path) -> Contents:
    """Return each picture with its time, and every other track, all decoded."""
    with av.open(str(path)) as container:
        pictures = [
            (frame.time or 0.0, hashlib.md5(frame.to_ndarray().tobytes()).hexdigest())
            for frame in container.decode(video=0)
        ]
    told = read_film(str(path))
    tracks: list[object] = [
        (
            track.sound.first_seconds,
            track.sound.samples,
            *(d.hexdigest() for d in track.sound.digests.values()),
        )
        for track in told.tracks
    ]
    return pictures, [*tracks, *(track.texts for track in told.tracks), told.chapters, told.tags.get("title")]
