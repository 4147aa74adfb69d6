"""Golden: the frame that an engine must reproduce, and how far a compiled engine is from it.

Legend of shapes: C channels of the heads, h x w the reduced picture, multiples of the engine's stride.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import EngineMismatchError

if TYPE_CHECKING:
    from streamfx.backends.backend import CompilableEngine, CompiledEngine

Array: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """A small input and the heads that the engine must give for it, all float32.

    Attributes:
        planes: (3, h, w) Y, U, V in code values.
        to_rgb: (3, 4) affine map from code values to RGB in 0..1.
        from_rgb: (3, 4) affine map from RGB in 0..1 to code values.
        factor: how many times smaller the picture is than the full one.
        heads: (C, h, w) what must come out.
    """

    planes: Array
    to_rgb: Array
    from_rgb: Array
    factor: float
    heads: Array


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far heads may be from the golden ones, as parts of each channel's spread (`spread`)."""

    rms: float
    largest: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How far heads are from the golden ones, as parts of each channel's spread; the worst channel each."""

    rms: float
    rms_channel: int
    largest: float
    largest_channel: int


def spread(heads: Array) -> Array:
    """Return the (C,) spread of each channel: its standard deviation, but not less than a floor.

    The floor is a hundredth of the larger of 1 and the largest value; it keeps a channel that hardly varies
    from making rounding look like an error.
    """
    flat = heads.reshape(len(heads), -1)
    result: Array = np.maximum(flat.std(axis=1), 0.01 * np.maximum(1, np.abs(flat).max(axis=1)))
    return result


def difference(heads: Array, golden: Golden) -> Difference:
    """Return how far ``heads`` are from the golden ones; not-a-number counts as infinitely far."""
    error = np.abs(heads - golden.heads).reshape(len(heads), -1) / spread(golden.heads)[:, None]
    error = np.nan_to_num(error, nan=np.inf)
    rms, largest = np.sqrt((error**2).mean(axis=1)), error.max(axis=1)
    return Difference(float(rms.max()), int(rms.argmax()), float(largest.max()), int(largest.argmax()))


def check_golden(engine: CompilableEngine, compiled: CompiledEngine, tolerance: Tolerance) -> Difference:
    """Run the golden frame through a compiled engine; return how far its heads are from the golden ones.

    Raises:
        EngineMismatchError: farther than the tolerance.
    """
    golden = engine.golden
    heads = compiled(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor)
    what = f"engine {engine.name!r}, compiled by {compiled.backend} in {compiled.precision},"
    if heads.shape != golden.heads.shape:
        raise EngineMismatchError(
            f"{what} gives heads of shape {heads.shape} for its golden frame; expected {golden.heads.shape}"
        )
    found = difference(heads, golden)
    if found.rms > tolerance.rms or found.largest > tolerance.largest:
        raise EngineMismatchError(
            f"{what} does not give its golden heads: the error, as part of a channel's spread, is "
            f"{found.rms:.2g} root mean square (channel {found.rms_channel}; allowed {tolerance.rms:g}) and "
            f"{found.largest:.2g} at most (channel {found.largest_channel}; allowed {tolerance.largest:g}); "
            "try another precision or backend"
        )
    return found
