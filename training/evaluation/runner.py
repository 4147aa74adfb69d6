"""Runner: an engine at work on RGB pictures, through the runtime, so that figures are of what users get."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamfx.backends.backend import CompiledEngine, CompileOptions, Precision, choose
from streamfx.backends.golden import Array
from streamfx.frame import ChromaLocation, CodeRange, Colour, Frame, Matrix, Planes, Subsampling
from streamfx.generate.effect import Effect
from streamfx.generate.engine import Engine, read_engine
from streamfx.generate.request import Controls
from streamfx.generate.spec import Kind
from training.fused import FROM_YUV, TO_YUV
from training.pictures import Picture

# Twelve bits, so that rounding to planes and back costs nothing that shows in 8-bit pictures.
_DEPTH = 12
_COLOUR = Colour(Matrix.BT709, CodeRange.FULL, chroma_location=ChromaLocation.CENTER)
_TOP = (1 << _DEPTH) - 1
_OFFSETS = np.array([0, 1 << (_DEPTH - 1), 1 << (_DEPTH - 1)], np.float32)


class Runner:
    """An engine, compiled in float32; close it after use, or use it as a context.

    Args:
        folder: Of the engine.
        backend: That runs it.
        scale: How many times larger pictures become, for engines that enlarge: 2 or 4.
        detail: Whether the source's fine detail is let into the picture, where the engine decides on it.
    """

    def __init__(self, folder: Path, backend: str = "auto", *, scale: int = 2, detail: bool = True) -> None:
        self.engine = read_engine(folder)
        options = CompileOptions(Precision.F32)
        compiled = choose(backend).compile(self.engine, options)
        doublings = scale.bit_length() - 1 if self.engine.spec.enlarges else 0
        self._effect = Effect(self.engine, compiled if detail else _Bare(compiled), doublings=doublings)

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
        return to_rgb(self._effect.process(to_frame(picture)).planes)


class _Bare:
    """A compiled engine whose heads are cut off before the detail gain."""

    def __init__(self, compiled: CompiledEngine) -> None:
        self._compiled = compiled
        self.backend, self.precision = compiled.backend, compiled.precision

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        return np.ascontiguousarray(self._compiled(reduced, to_rgb, from_rgb, factor)[:6])

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


def has_detail(engine: Engine) -> bool:
    """Whether the engine decides how much of the source's fine detail is seen."""
    return engine.spec.kind is Kind.DETAILED
