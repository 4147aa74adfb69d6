"""Clip: frames of a video file by their number, decoded when asked for."""

from __future__ import annotations

import logging
from pathlib import Path

import av
import numpy as np

from training.pictures import Picture

log = logging.getLogger(__name__)


class Clip:
    """An open video file. For one thread at a time; close it after use.

    Attributes:
        frames: Number of frames.
    """

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path))
        self._stream = self._container.streams.video[0]
        times = [packet.pts for packet in self._container.demux(self._stream) if packet.pts is not None]
        self._times = sorted(times)
        self.frames = len(self._times)

    def read(self, first: int, count: int) -> list[Picture]:
        """Frames `first` to `first + count`, RGB HW3; fewer where the clip ends or breaks off."""
        wanted = self._times[first]
        found: list[Picture] = []
        try:
            self._container.seek(wanted, stream=self._stream)
            for frame in self._container.decode(self._stream):
                if frame.pts is not None and frame.pts >= wanted:
                    found.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
                if len(found) == count:
                    break
        except av.FFmpegError as error:
            log.warning("%s breaks off: %s", self._container.name, error)
        return found

    def close(self) -> None:
        self._container.close()


def open_clip(path: Path) -> Clip | None:
    """The clip, or None (and a line in the log) when it cannot be read or holds no frame."""
    try:
        clip = Clip(path)
    except (av.FFmpegError, OSError, IndexError) as error:
        log.warning("skipped %s: %s", path, error)
        return None
    if not clip.frames:
        log.warning("skipped %s: no frame could be found", path)
        clip.close()
        return None
    return clip
