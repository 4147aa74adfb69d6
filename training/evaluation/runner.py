"""Runner: an engine at work on RGB pictures, through the runtime, so that figures are of what users get."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamfx.backends.backend import CompiledEngine, CompileOptions, Precision
from streamfx.backends.registry import choose
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import Array
from streamfx.generate.effect import Effect
from streamfx.generate.request import Controls
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Frame, Matrix, Planes, Subsampling
from streamfx.media.frame_memory import FrameMemories
from training.evaluation.video import from_video, to_video
from training.fused import FROM_YUV, TO_YUV
from training.pictures import Picture

# Twelve bits, so that rounding to planes and back costs nothing that shows in 8-bit pictures.
_DEPTH = 12
_COLOUR = Colour(Matrix.BT709, CodeRange.FULL, chroma_location=ChromaLocation.CENTER)
_TOP = (1 << _DEPTH) - 1
_OFFSETS = np.array([0, 1 << (_DEPTH - 1), 1 << (_DEPTH - 1)], np.float32)


class Part(StrEnum):
    """A part of the fusion that can be taken out, to see what it is good for."""

    WARP = "warp"
    MASK = "mask"
    DETAIL = "detail"
    INK = "ink"


# Channels of the heads that make up a part, and what they are without it: nothing moves, the translated
# picture everywhere, none of the source's detail, no ink (of its channels the last, the amplitude).
_TAKEN_OUT: Mapping[Part, tuple[slice, float]] = {
    Part.WARP: (slice(4, 6), 0.0),
    Part.MASK: (slice(3, 4), 1.0),
    Part.DETAIL: (slice(6, 7), 0.0),
    Part.INK: (slice(10, 11), 0.0),
}


class Runner:
    """An engine, compiled in float32; close it after use, or use it as a context.

    Args:
        folder: Folder of the engine.
        backend: Backend that runs it.
        scale: Enlargement of pictures, for engines that enlarge; None for that of one run of the network.
        video: Whether pictures go through as 8-bit 4:2:0, as most video; else with nothing lost.
        threads: Processor threads; None for all.
    """

    def __init__(
        self,
        folder: Path,
        backend: str = "auto",
        *,
        scale: int | None = None,
        video: bool = False,
        threads: int | None = None,
    ) -> None:
        self.engine = read_engine(folder)
        self._video = video
        compiled = choose(backend).compile(self.engine, CompileOptions(Precision.F32, threads))
        once = self.engine.spec.doublings
        doublings = scale.bit_length() - 1 if scale and once else once
        self._translate = _WithoutPart(compiled)
        self._effect = Effect(self.engine, self._translate, threads, doublings=doublings)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self._effect.close()

    @property
    def factors(self) -> tuple[float, ...]:
        """Those of 1, 2 and 4 that the engine was made for."""
        return tuple(factor for factor in (1.0, 2.0, 4.0) if factor in self.engine.spec.factors)

    def __call__(self, picture: Picture, factor: float = 1.0, **controls: Any) -> Picture:
        """The RGB picture HW3 that the engine makes of one; see `Controls` for what can be set."""
        self._effect.controls = Controls(**{"strength": 1.0, "factor": factor, **controls})
        if self._video:
            return from_video(self._effect.process(to_video(picture)).planes)
        return to_rgb(self._effect.process(to_frame(picture)).planes)

    def clip(self, pictures: Sequence[Picture], factor: float = 1.0) -> list[Picture]:
        """What the engine makes of pictures that follow one another as the frames of a video."""
        self._effect.controls = Controls(strength=1.0, factor=factor)
        memories, made = FrameMemories(), []
        for index, picture in enumerate(pictures):
            memory = memories.next()
            made.append(from_video(self._effect.process(to_video(picture, index).with_memory(memory)).planes))
            memory.close()
        return made

    def without(self, part: Part) -> Callable[[Picture, float], Picture]:
        """The same engine with a part of the fusion, one of `parts_of` it, taken out."""

        def run(picture: Picture, factor: float) -> Picture:
            self._translate.part = part
            try:
                return self(picture, factor)
            finally:
                self._translate.part = None

        return run


class _WithoutPart:
    """A compiled engine; a part of its heads can be taken out.

    Attributes:
        part: Part that is taken out; None: nothing.
    """

    def __init__(self, compiled: CompiledEngine) -> None:
        self._compiled = compiled
        self.part: Part | None = None
        self.backend, self.precision = compiled.backend, compiled.precision

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        heads = self._compiled(reduced, to_rgb, from_rgb, factor)
        if self.part is not None:
            channels, value = _TAKEN_OUT[self.part]
            heads[channels] = value
        return heads

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        self._compiled.warm_up(shape, to_rgb, from_rgb, factor)

    def close(self) -> None:
        self._compiled.close()


def to_frame(picture: Picture) -> Frame:
    """A frame with all the colour of an RGB picture HW3."""
    planes = picture.astype(np.float32) @ (TO_YUV.numpy().T * (_TOP / 255)) + _OFFSETS
    codes = np.clip(np.rint(planes), 0, _TOP).astype(np.uint16)
    y, u, v = (np.ascontiguousarray(codes[..., plane]) for plane in range(3))
    return Frame((y, u, v), Subsampling.YUV444, _DEPTH, _COLOUR, 0, 0, Fraction(1, 25))


def to_rgb(planes: Planes) -> Picture:
    """The RGB picture HW3 of planes of equal size."""
    codes: NDArray[np.float32] = np.stack(planes, axis=-1).astype(np.float32) - _OFFSETS
    rgb = codes @ (FROM_YUV.numpy().T * (255 / _TOP))
    return np.asarray(np.clip(np.rint(rgb), 0, 255), np.uint8)


def parts_of(engine: Engine) -> tuple[Part, ...]:
    """The parts of the fusion that an engine's heads steer; none where they are a picture alone."""
    if "mask" not in engine.spec.heads:
        return ()
    channels = len(engine.golden.heads)
    return tuple(part for part, (where, _) in _TAKEN_OUT.items() if where.stop <= channels)
