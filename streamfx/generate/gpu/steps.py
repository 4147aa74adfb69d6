"""The steps before and after a network on a device, and what they are made for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from streamfx.gpu.layout import Layout
from streamfx.media.frame import Colour
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor

    from streamfx.backends.backend import DeviceEngine
    from streamfx.engine.folder import Engine
    from streamfx.generate.network_input import Noise


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What is to be known of an engine here.

    Attributes:
        name: name for messages; says how it runs as well.
        engine: engine on the device.
        stride: divisor of both sides of the reduced picture.
        max_displacement_pixels: bound of the displacement, in pixels of the reduced picture.
        fine_luma: ratio, each way, of the luma that it sees besides to the reduced picture; 0: none.
        memory_tolerance: change up to which the heads of the frames before count, as in `EngineSpec`.
        placed: the engine itself where its heads are placed, added or a matte; None where they are fused.
    """

    name: str
    engine: DeviceEngine
    stride: int
    max_displacement_pixels: float
    fine_luma: int = 0
    memory_tolerance: float = 0.0
    placed: Engine | None = None


class GraphKey(NamedTuple):
    """What a recording is made for."""

    form: Layout
    colour: Colour  # nothing in it unknown
    factor: float
    version: int


class HeadSteps(Protocol):
    """The steps before and after a network, by what its heads are, for one kind of picture."""

    def take(self, noise: Noise) -> None:
        """Let the pictures from now on have this noise. Not recorded."""

    def know(self, frames: int) -> None:
        """Say how many of the frames that it did last are the ones before the next. Not recorded."""

    def reduce(self, source: Surface) -> None:
        """Write what the network sees."""

    def translate(self, network: Callable[[Tensor, Tensor], None]) -> None:
        """Call the network, which writes the heads of its first argument to the second."""

    def full_size(self, source: Surface, target: Surface, strength: Tensor, not_finite: Tensor) -> None:
        """Write the picture at full size."""
