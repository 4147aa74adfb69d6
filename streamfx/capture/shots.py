"""A source whose frames are numbered by shot, for effects that must know where a scene begins."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from streamfx.capture.cuts import Cuts, Thumbnail, thumbnail
from streamfx.capture.source import Source
from streamfx.errors import DecodeError, SourceLostError
from streamfx.media.frame import Frame

MOST_AHEAD, _AHEAD_LIVE = 3, 1  # frames waited for where a cut is suspected: live, that is latency

Look = Callable[[Frame], None]


class ShotSource:
    """Numbers the frames of a source by shot, and shows those that tell what a shot is about.

    Frames are in order only before they are handed out to workers, so it is done here, in the capture thread.
    Where a cut is suspected the next frames are read before that one is handed over, to tell it from a flash:
    three of a file, one of a live source. Frames that stand in for others, or show the picture before them
    again, belong to the shot before them.

    Args:
        source: the source to read; owned from here on.
        looks: callback that is called with the first frame of a run and every telling one (see
            `ShotBoundary`) before it is handed over, in order.
    """

    def __init__(self, source: Source, looks: Sequence[Look] = ()) -> None:
        self.name, self.format, self.notes = source.name, source.format, source.notes
        self.other_tracks, self.live, self.shortfall = source.other_tracks, source.live, 0
        self._source, self._looks = source, tuple(looks)
        self._most_ahead = _AHEAD_LIVE if source.live else MOST_AHEAD
        self._ahead: deque[Frame | Exception | None] = deque()
        self._cuts = Cuts()
        self._shot: int | None = None  # before the first frame

    def read(self) -> Frame | None:
        """Return the next frame with its shot's number, or None at the end.

        Raises:
            DecodeError: this frame is broken; the next call goes on after it.
            SourceLostError: nothing more will come although the source has not ended.
        """
        item = self._ahead.popleft() if self._ahead else self._take()
        if isinstance(item, Exception):
            raise item
        if item is None:
            self.shortfall = self._source.shortfall
            return None
        if item.repeated or item.again:
            return replace(item, shot=self._shot or 0)
        first = self._shot is None
        seen = self._cuts.see(thumbnail(item), self._look_ahead)
        self._shot = (self._shot or 0) + seen.begins
        frame = replace(item, shot=self._shot)
        if first or seen.telling:
            for look in self._looks:
                look(frame)
        return frame

    @property
    def inner(self) -> Source:
        """The source that it reads."""
        return self._source

    def memory(self) -> tuple[int | None, Cuts]:
        """Return what decides on the next frame's shot: the number of the one before, and what was seen."""
        return self._shot, self._cuts.copy()

    def restore(self, shot: int | None, cuts: Cuts) -> None:
        """Go on as if the frames before the next one had been read."""
        self._shot, self._cuts = shot, cuts

    def close(self) -> None:
        self._source.close()

    def _take(self) -> Frame | Exception | None:
        try:
            return self._source.read()
        except (DecodeError, SourceLostError) as error:  # raised in its turn
            return error

    def _look_ahead(self) -> list[Thumbnail]:
        while len(self._ahead) < self._most_ahead and (not self._ahead or isinstance(self._ahead[-1], Frame)):
            self._ahead.append(self._take())
        return [
            thumbnail(item)
            for item in self._ahead
            if isinstance(item, Frame) and not (item.repeated or item.again)
        ]
