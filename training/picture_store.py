"""Picture store: pictures and clips to train on, read when first needed and kept while there is room."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from training.clip import Clip, open_clip
from training.pictures import Picture, Still, read_still

log = logging.getLogger(__name__)

_MOST_STARTS = 24  # places in a clip that are read from: so few that most stay in memory
_TRIES = 200

Key: TypeAlias = tuple[Path, int, int]  # file, first frame, frames


class PictureStore:
    """Pictures by chance. Safe to call from several threads; close it after use.

    What cannot be read is named in the log, skipped and counted.

    Args:
        stills: Picture files.
        clips: Video files.
        kept_bytes: Largest size of the decoded pictures.

    Attributes:
        skipped: Files that could not be read, at least in part, or are too small.

    Raises:
        ValueError: There is neither still nor clip.
    """

    def __init__(self, stills: Sequence[Still], clips: Sequence[Path], kept_bytes: int) -> None:
        if not stills and not clips:
            raise ValueError(
                "there is no training picture: folders are empty, or all is held out or excluded"
            )
        self.skipped: set[Path] = set()
        self._stills, self._clips = list(stills), list(clips)
        self._kept = _PictureCache(kept_bytes)
        self._failed: set[Key] = set()
        self._open: dict[Path, Clip | None] = {}
        self._decoding = {path: threading.Lock() for path in self._clips}
        log.info("%d stills and %d clips to train on", len(self._stills), len(self._clips))

    def take(
        self, rng: np.random.Generator, clip_share: float, frames: int = 1, smallest: int = 1
    ) -> list[Picture]:
        """Consecutive frames of one clip, or a still as often: RGB HW3 each.

        What is taken follows from `rng` alone, whatever was taken before.

        Args:
            rng: Makes the choice.
            clip_share: Share of clips, where there are both.
            frames: Number of frames.
            smallest: Short side that a picture must have, in pixels; others are skipped.

        Raises:
            ValueError: Nothing readable was found.
        """
        share = (clip_share if self._stills else 1.0) if self._clips else 0.0
        for _ in range(_TRIES):
            from_clip, which, at = rng.random() < share, rng.random(), rng.random()
            path = (
                self._clips[int(which * len(self._clips))]
                if from_clip
                else self._stills[int(which * len(self._stills))].path
            )
            found = self._frames(path, at, frames) if from_clip else self._still(path, frames)
            if found and min(found[0].shape[:2]) >= smallest:
                return found
            if found and path not in self.skipped:
                log.warning("skipped %s: smaller than %d pixels", path, smallest)
            self.skipped.add(path)
        raise ValueError(f"no readable training picture of {smallest} pixels or more in {_TRIES} tries")

    def close(self) -> None:
        """Close the clips, and say how much was skipped. May be called twice."""
        for clip in self._open.values():
            if clip is not None:
                clip.close()
        self._open.clear()
        if self.skipped:
            log.warning(
                "%d pictures or clips could not be used, at all or in part",
                len(self.skipped),
            )

    def _still(self, path: Path, frames: int) -> list[Picture]:
        def read() -> list[Picture]:
            picture = read_still(path)
            return [] if picture is None else [picture]

        return self._once((path, 0, 1), read) * frames

    def _frames(self, path: Path, at: float, frames: int) -> list[Picture]:
        with self._decoding[path]:
            if path not in self._open:
                self._open[path] = open_clip(path)
            clip = self._open[path]
            if clip is None:
                return []
            last = clip.frames - frames
            if last < 0:
                return []
            starts = min(_MOST_STARTS, last + 1)
            first = round(int(at * starts) * last / max(1, starts - 1))

            def read() -> list[Picture]:
                found = clip.read(first, frames)
                return found if len(found) == frames else []

            return self._once((path, first, frames), read)

    def _once(self, key: Key, read: Callable[[], list[Picture]]) -> list[Picture]:
        """What is kept, else what is read, and kept from then on; nothing is tried again that failed.

        A failure counts for its place alone: were the whole clip given up, what is taken later would depend
        on which places were read before.
        """
        kept = self._kept.get(key)
        if kept is None:
            found = [] if key in self._failed else read()
            if not found:
                self._failed.add(key)
                return []
            kept = np.stack(found)
            self._kept.put(key, kept)
        return list(kept)


class _PictureCache:
    """Decoded pictures up to a number of bytes; the least recently used go first. Thread-safe."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._pictures: OrderedDict[Key, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Picture | None:
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
            return self._pictures.get(key)

    def put(self, key: Key, pictures: Picture) -> None:
        with self._lock:
            if key not in self._pictures:
                self._pictures[key] = pictures
                self._bytes += pictures.nbytes
            while self._bytes > self._most_bytes:
                _, old = self._pictures.popitem(last=False)
                self._bytes -= old.nbytes
