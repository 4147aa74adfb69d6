"""Golden: the frame that an engine must reproduce, and how far a compiled engine is from it.

Legend of shapes: N channels that the network sees, C of the heads, h x w what it sees, H x W the heads.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import EngineMismatchError

Array: TypeAlias = NDArray[np.float32]

_MOST_BYTES = 64 << 20  # of all arrays; a golden frame is a small one
_ARRAYS = ("planes", "to_rgb", "from_rgb", "factor", "heads")


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """A small input and the heads that the engine must give for it, all float32.

    Attributes:
        planes: (N, h, w) what the network sees: Y, U, V in code values, and noise where it takes some.
        to_rgb: (3, 4) affine map from code values to RGB in 0..1.
        from_rgb: (3, 4) affine map from RGB in 0..1 to code values.
        factor: ratio of the full size to the reduced one.
        heads: (C, H, W) what must come out.
    """

    planes: Array
    to_rgb: Array
    from_rgb: Array
    factor: float
    heads: Array

    def __post_init__(self) -> None:
        for name in ("to_rgb", "from_rgb"):
            if (found := getattr(self, name).shape) != (3, 4):
                raise ValueError(f"{name} must have shape (3, 4), found {found}")
        for name in ("planes", "heads"):
            if len(found := getattr(self, name).shape) != 3 or 0 in found:
                raise ValueError(f"{name} must have 3 axes, none of them empty; found {found}")
        (_, height, width), (_, heads_height, heads_width) = self.planes.shape, self.heads.shape
        whole = height % heads_height == 0 or heads_height % height == 0
        if height * heads_width != width * heads_height or not whole:
            raise ValueError(
                f"heads must be as large as planes, or a whole number of times larger or smaller; found "
                f"{self.heads.shape} for {self.planes.shape}"
            )

    def heads_shape(self, seen: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape (B, C, H, W) of the heads of what the network sees, (B, N, h, w)."""
        (_, rows, columns), (channels, heads_rows, heads_columns) = self.planes.shape, self.heads.shape
        return seen[0], channels, seen[2] * heads_rows // rows, seen[3] * heads_columns // columns

    def seen_as(self, shape: tuple[int, ...]) -> Array:
        """Return what the network sees, repeated and cut to a (B, N, h, w)."""
        _, rows, columns = self.planes.shape
        repeats = (-(-shape[2] // rows), -(-shape[3] // columns))
        whole = np.tile(self.planes, (shape[0], 1, *repeats))
        return np.ascontiguousarray(whole[..., : shape[2], : shape[3]])

    def to_bytes(self) -> bytes:
        """Return it as a .npz file, in which pictures and heads have a leading axis of 1, as in training."""
        file = io.BytesIO()
        factor = np.array([self.factor], np.float32)
        np.savez(
            file,
            planes=self.planes[None],
            to_rgb=self.to_rgb,
            from_rgb=self.from_rgb,
            factor=factor,
            heads=self.heads[None],
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Golden:
        """Return what `to_bytes` wrote; nothing in it is unpickled.

        Raises:
            ValueError: it is not such a file.
        """
        if not data.startswith(b"PK"):  # np.load would take other files than .npz, pickled ones among them
            raise ValueError("it is not an .npz file")
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as file:
                if sum(member.file_size for member in file.infolist()) > _MOST_BYTES:
                    raise ValueError(f"unpacked it has more than {_MOST_BYTES} bytes")
                arrays = {name: _array(file, f"{name}.npy") for name in _ARRAYS}
        except (KeyError, EOFError, OSError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(str(error)) from error
        if (
            arrays["planes"].shape[:1] != (1,)
            or arrays["heads"].shape[:1] != (1,)
            or arrays["factor"].size != 1
        ):
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise ValueError(f"planes, heads and factor must hold one of each; found {shapes}")
        factor = float(arrays["factor"].item())
        return cls(arrays["planes"][0], arrays["to_rgb"], arrays["from_rgb"], factor, arrays["heads"][0])


def _array(file: zipfile.ZipFile, name: str) -> Array:
    """Return an array, after a look at whether it is as large as it is said to be.

    Raises:
        ValueError: it is not; nothing has been allocated for it.
    """
    with file.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(member)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects, and nothing is unpickled")
        if member.tell() + math.prod(shape) * dtype.itemsize != file.getinfo(name).file_size:
            raise ValueError(f"{name} is not as large as its shape {shape}")
    with file.open(name) as member:
        return np.ascontiguousarray(np.lib.format.read_array(member, allow_pickle=False), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far heads may be from the golden ones, as parts of each channel's spread (`spread`).

    Attributes:
        rms, largest: root mean square and largest error of a channel.
        roundoff: unit roundoff of the numbers that the heads are made of (`roundoff_of`); see `difference`.
    """

    rms: float
    largest: float
    roundoff: float = 0.0


def roundoff_of(significant_bits: int) -> float:
    """Return the largest relative error of rounding to numbers of so many significant bits.

    Example:
        >>> roundoff_of(11) * 128  # float16 knows 128 to a sixteenth
        0.0625
    """
    return 2.0**-significant_bits


@dataclass(frozen=True, slots=True)
class HeadsDifference:
    """How far heads are from the golden ones, as parts of each channel's spread; the worst channel each."""

    rms: float
    rms_channel: int
    largest: float
    largest_channel: int


def spread(heads: Array) -> Array:
    """Return the (C,) spread of each channel: its standard deviation, but not less than a floor.

    The floor is a hundredth of the larger of 1 and the largest value; it keeps a channel that hardly
    varies from making rounding look like an error.
    """
    flat = heads.reshape(len(heads), -1)
    result: Array = np.maximum(flat.std(axis=1), 0.01 * np.maximum(1, np.abs(flat).max(axis=1)))
    return result


def difference(heads: Array, golden: Golden, roundoff: float = 0.0) -> HeadsDifference:
    """Return how far ``heads`` are from the golden ones; not-a-number counts as infinitely far.

    Two roundings of a channel's largest value are no error, that of the colours which it is computed from
    and its own: chroma of a drawing in black is 128 nearly everywhere, and the numbers next to 128 are
    farther away than it varies.

    Args:
        heads: (C, H, W).
        golden: golden frame with the expected heads.
        roundoff: unit roundoff of the numbers that the heads are made of; 0 counts every error whole.
    """
    wanted, found = (array.reshape(len(array), -1) for array in (golden.heads, heads))
    rounding = 2 * roundoff * np.abs(wanted).max(axis=1, keepdims=True)
    error = np.maximum(np.abs(found - wanted) - rounding, 0) / spread(golden.heads)[:, None]
    error = np.nan_to_num(error, nan=np.inf)
    rms, largest = np.sqrt((error**2).mean(axis=1)), error.max(axis=1)
    return HeadsDifference(float(rms.max()), int(rms.argmax()), float(largest.max()), int(largest.argmax()))


def check_heads(what: str, heads: Array, golden: Golden, tolerance: Tolerance) -> HeadsDifference:
    """Return how far heads are from the golden ones.

    Args:
        what: gave the heads, for the message.
        heads: (C, H, W).
        golden: golden frame with the expected heads.
        tolerance: largest difference allowed.

    Raises:
        EngineMismatchError: farther than the tolerance.
    """
    if heads.shape != golden.heads.shape:
        raise EngineMismatchError(
            f"{what} gives heads of shape {heads.shape} for its golden frame; expected {golden.heads.shape}"
        )
    found = difference(heads, golden, tolerance.roundoff)
    if found.rms > tolerance.rms or found.largest > tolerance.largest:
        raise EngineMismatchError(
            f"{what} does not give its golden heads: the error, as part of a channel's spread, is "
            f"{found.rms:.2g} root mean square (channel {found.rms_channel}; allowed {tolerance.rms:g}) and "
            f"{found.largest:.2g} at most (channel {found.largest_channel}; allowed {tolerance.largest:g}); "
            "try another precision or backend"
        )
    return found
