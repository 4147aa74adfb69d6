"""Measured: how large coded pictures get, found by coding a few of them into nothing."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from streamfx.encode.detached import DetachedEncoder
from streamfx.encode.pixels import Packing
from streamfx.encode.plan import OutputPlan
from streamfx.media.frame import Frame

_USUAL_KEY_INTERVAL = 250  # pictures from one key frame to the next, of most encoders


class MeasuringSink:
    """Codes stretches of frames, each by an encoder of its own, and keeps no more than their sizes.

    Args:
        plan: codec, pixel format and settings of the frames.
        packing: function that makes the packing that hands them to the encoder.
        begins: indices of the frames with which stretches begin.
    """

    def __init__(self, plan: OutputPlan, packing: Packing, begins: Set[int]) -> None:
        self.name, self.notes = "nothing", list[str]()
        self.frames_written = self.packets_written = 0
        self._plan, self._packing, self._begins = plan, packing, begins
        self._key_sizes, self._other_sizes = list[int](), list[int]()
        self._interval = _USUAL_KEY_INTERVAL
        self._encoder: DetachedEncoder | None = None

    def bytes_for(self, frames: int) -> int | None:
        """Return the size of so many pictures, with as many key frames as the encoder makes among them."""
        keys, others = self._key_sizes, self._other_sizes
        if not keys:
            return None
        key = sum(keys) / len(keys)
        other = sum(others) / len(others) if others else key
        return round(frames * other + max(frames / self._interval, 1) * (key - other))

    def write(self, frame: Frame) -> None:
        """Code one frame."""
        if self._encoder is None or frame.index in self._begins:
            self._flush()
            self._encoder = DetachedEncoder(self._plan, self._packing)
        self._count(self._encoder.encode(frame))
        self.frames_written += 1

    def finish(self) -> None:
        """Code the frames that are still with the encoder."""
        self._flush()

    def abort(self) -> None:
        """Let go of the encoder."""
        if self._encoder is not None:
            self._encoder.close()
        self._encoder = None

    def _flush(self) -> None:
        if self._encoder is not None:
            self._count(self._encoder.rest())
            if self._encoder.context.gop_size > 0:  # else the encoder's own
                self._interval = self._encoder.context.gop_size
        self.abort()

    def _count(self, packets: list[Any]) -> None:
        for packet in packets:
            (self._key_sizes if packet.is_keyframe else self._other_sizes).append(packet.size)
            self.packets_written += 1
