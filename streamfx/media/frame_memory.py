"""Frame memory: what effects keep of a frame for the frames after it, whatever order threads do them in."""

from __future__ import annotations

import threading

FRAMES_BEFORE = 2
"""Number of frames that a frame can look back on."""


class FrameMemory:
    """What effects keep of one frame. Every method may be called from any thread.

    A frame waits for those before it, never for one after it, so frames may be done side by side and what
    comes out is the same for any number of threads.

    Args:
        before: memories of the frames before, the nearest first, at most `FRAMES_BEFORE`.
    """

    __slots__ = ("_before", "_changed", "_closed", "_kept", "_readers_left")

    def __init__(self, before: tuple[FrameMemory, ...] = ()) -> None:
        self._before = before
        self._kept: dict[object, object] = {}
        self._closed = False
        self._readers_left = FRAMES_BEFORE
        self._changed = threading.Condition()

    def keep(self, owner: object, value: object) -> None:
        """Keep something for the frames after this one, under the name of its owner, which is compared by
        identity."""
        with self._changed:
            self._kept[owner] = value
            self._changed.notify_all()

    def recall(self, owner: object) -> tuple[object, ...]:
        """Return what the owner kept of the frames before, the nearest first; ends with the first frame of
        which it kept nothing. Waits until that is known."""
        found = []
        for memory in self._before:
            value = memory._kept_of(owner)
            if value is None:
                break
            found.append(value)
        return tuple(found)

    def close(self) -> None:
        """Note that the frame is done: what was not kept by now never will be."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        before, self._before = self._before, ()
        for memory in before:
            memory._read_once()

    def _kept_of(self, owner: object) -> object | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or owner in self._kept)
            return self._kept.get(owner)

    def _read_once(self) -> None:
        """Forget everything once every frame that could ask for it is done."""
        with self._changed:
            self._readers_left -= 1
            if not self._readers_left:
                self._kept.clear()


class FrameMemories:
    """Memories of the frames of a run, made in the order of the frames, by one thread at a time."""

    def __init__(self) -> None:
        self._latest: tuple[FrameMemory, ...] = ()

    def next(self) -> FrameMemory:
        """Return the memory of the next frame."""
        memory = FrameMemory(self._latest)
        self._latest = (memory, *self._latest)[:FRAMES_BEFORE]
        return memory
