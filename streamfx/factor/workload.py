"""Workload: what has to be done for a frame; what an estimate starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from streamfx.engine.cost import Layer
from streamfx.media.frame import Subsampling


@dataclass(frozen=True, slots=True)
class CodedOutput:
    """How one output is encoded.

    Attributes:
        codec: codec of the output.
        preset: preset of that codec.
    """

    codec: str = "h264"
    preset: str | None = "veryfast"


@dataclass(frozen=True, slots=True)
class Workload:
    """What has to be done for each frame, effects apart.

    Attributes:
        size: (height, width) of the frames in pixels.
        subsampling: subsampling of the planes.
        depth: bits per sample.
        decode: codec of the source, a key of `rates.DECODE_CYCLES`; None: nothing to decode.
        encodings: encodings of the outputs that are encoded; empty: nothing to encode.
        one_at_a_time: whether all cores work on one frame (live) or on one each (files).
    """

    size: tuple[int, int]
    subsampling: Subsampling = Subsampling.YUV420
    depth: int = 8
    decode: str | None = "h264"
    encodings: tuple[CodedOutput, ...] = (CodedOutput(),)
    one_at_a_time: bool = True

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def samples(self) -> int:
        """Samples of all planes."""
        height, width = self.subsampling.chroma_size(self.size)
        return self.pixels + 2 * height * width

    def doubled(self, times: int) -> Workload:
        """Return the work for frames that were made twice as large each way so many times."""
        return replace(self, size=(self.size[0] << times, self.size[1] << times))

    @property
    def frame_bytes(self) -> int:
        return self.samples * (1 if self.depth == 8 else 2)


@dataclass(frozen=True, slots=True)
class EffectCost:
    """What is known of an effect's cost before it runs.

    Attributes:
        name: name of the effect.
        layers: layers of its network, see `streamfx.engine.cost`.
        stride: divisor of both sides of the reduced picture.
        factors: factors to choose from.
        integers: whether its network may compute in integers of 8 bits.
        fine_luma: whether its network also sees luma that is finer than the reduced picture.
        memory: whether its heads are averaged with those of the frames before.
        detail: whether its heads hold a detail gain, which the fused step then applies.
        ink: whether its heads hold ink, with which the fused step answers to the source's detail.
        fixed_factor: the factor that was asked for; None: the one to be chosen.
        doublings: number of times that it makes frames twice as large each way.
        measured: seconds for a reduced picture of so many pixels, on all cores; None where not calibrated.
    """

    name: str
    layers: tuple[Layer, ...]
    stride: int
    factors: tuple[float, ...] = ()
    integers: bool = False
    fine_luma: bool = False
    memory: bool = False
    detail: bool = False
    ink: bool = False
    fixed_factor: float | None = None
    doublings: int = 0
    measured: Callable[[int], float] | None = None
