"""Filler frames on their way past the effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streamfx.media.frame import Frame, Planes


class FillerFrames:
    """Spares the effects the filler frames: those shown while nothing comes from the source.

    The last picture again gives what it gave before; a black one stays black. Called by one thread.

    Args:
        process: the effects.
        fit: function that brings a frame that no effect has seen into the format of the outputs.
    """

    def __init__(
        self, process: Callable[[Frame], Frame], fit: Callable[[Frame], Frame] = lambda frame: frame
    ) -> None:
        self._process, self._fit = process, fit
        self._last: tuple[Planes, Frame] | None = None

    def __call__(self, frame: Frame) -> Frame:
        """Return the frame as it goes to the output."""
        if frame.repeated:
            again = self._last is not None and self._last[0][0] is frame.planes[0]
            if not again or self._last is None:
                return self._fit(frame)
            # In the format that the last one had in the end, which an effect may have enlarged.
            return replace(
                self._last[1],
                index=frame.index,
                pts=frame.pts,
                duration=frame.duration,
                captured_ns=frame.captured_ns,
                repeated=True,
            )
        done = self._process(frame)
        self._last = (frame.planes, done)
        return done
