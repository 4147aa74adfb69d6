"""On device: what an effect asks of whoever keeps frames on a device; `streamfx.gpu` is one who does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from streamfx.backends.backend import CompiledEngine
from streamfx.media.frame import Frame, VideoFormat

if TYPE_CHECKING:
    from streamfx.engine.folder import Engine
    from streamfx.generate.network_input import Noise

Measure: TypeAlias = Callable[[str, float], None]
"""Is told the name of a part of the work, and how many seconds it took for a frame."""


class DeviceStep(Protocol):
    """One engine at work on a device. May be called from several threads."""

    def __call__(
        self,
        frame: Frame,
        factor: float,
        strength: float,
        noise: Noise | None = None,
        measure: Measure | None = None,
    ) -> Frame:
        """Return the frame with the effect applied, its pixels on the device; see `Effect.process`.

        ``measure`` is told how long the device took for it (`Stage.ON_DEVICE`), once that is known.
        """

    def prepare(self, video: VideoFormat, factor: float) -> None:
        """Do now what the first frame of such a video would do besides computing."""

    def close(self) -> None:
        """Give everything back. May be called twice."""


class ProcessingDevice(Protocol):
    """A device on which frames stay between effects."""

    def step(self, engine: Engine, compiled: CompiledEngine) -> DeviceStep | None:
        """Return what runs an engine on the device; None where its frames must go through main memory."""

    def mix(self, over: Frame, under: Frame, matte: Frame, *, inverted: bool) -> Frame:
        """Return a frame over another where a matte, a frame that a step gave, is 255; inverted, where it is
        0."""

    def leave(self, frame: Frame) -> Frame:
        """Return the frame, finished, with its pixels where the output wants them."""
