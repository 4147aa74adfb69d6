"""On device: what an effect asks of whoever keeps frames on a device; `streamfx.resident` is one who does."""

from __future__ import annotations

from typing import Protocol

from streamfx.backends.backend import CompiledEngine
from streamfx.frame import Frame, VideoFormat
from streamfx.generate.engine import Engine
from streamfx.generate.seen import Noise


class DeviceStep(Protocol):
    """One engine at work on a device. May be called from several threads."""

    def __call__(self, frame: Frame, factor: float, strength: float, noise: Noise | None = None) -> Frame:
        """Return the frame with the effect applied, its pixels on the device; see `Effect.process`."""

    def prepare(self, video: VideoFormat, factor: float) -> None:
        """Do now what the first frame of such a video would do besides computing."""

    def close(self) -> None:
        """Give everything back. May be called twice."""


class Home(Protocol):
    """A device on which frames stay between effects."""

    def step(self, engine: Engine, compiled: CompiledEngine) -> DeviceStep | None:
        """Return what runs an engine on the device; None where its frames must go through main memory."""

    def leave(self, frame: Frame) -> Frame:
        """Return the frame, finished, with its pixels where the output wants them."""
