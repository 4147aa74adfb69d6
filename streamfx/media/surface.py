"""Surface: pictures as tensors, planar or semi-planar YUV, immutable and self-checking; mostly on a GPU.

Shape legend: B pictures; a plane is (B, rows, columns), pairs of U and V are (B, rows, columns, 2). ``uint8``
at depth 8, ``uint16`` at depths 9 to 16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from streamfx.errors import FrameError
from streamfx.media.frame import Subsampling

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SurfacePlanes: TypeAlias = "tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Surface:
    """Pictures of one size as YUV on one device, as decoders and encoders of GPUs have them.

    Attributes:
        planes: planar (Y, U, V), each (B, rows, columns); or semi-planar (Y, UV) with UV (B, rows, columns,
            2). Rows and pictures may be padded, samples (and pairs) are contiguous in a row. The surface
            keeps the memory alive and does not write to it.
        subsampling: chroma subsampling, which the plane sizes must match.
        depth: bits per sample, 8 to 16.
        high: whether a value lies in the high bits of its 16, as in P010; the bits below are 0.

    Raises:
        FrameError: planes, depth, subsampling and sizes do not fit together.
    """

    planes: SurfacePlanes
    subsampling: Subsampling = Subsampling.YUV420
    depth: int = 8
    high: bool = False

    def __post_init__(self) -> None:
        import torch

        if len(self.planes) not in (2, 3) or any(plane.ndim < 3 for plane in self.planes):
            found = ", ".join(str(tuple(plane.shape)) for plane in self.planes)
            raise FrameError(
                f"surface: needs planes (Y, U, V) or (Y, UV) of one or more pictures; found {found}"
            )
        if not 8 <= self.depth <= 16:
            raise FrameError(f"surface: depth must be 8 to 16 bits, found {self.depth}")
        dtype = torch.uint8 if self.depth == 8 else torch.uint16
        chroma = (self.pictures, *self.subsampling.chroma_size(self.size))
        luma = (self.pictures, *self.size)
        shapes = (luma, (*chroma, 2)) if self.paired else (luma, chroma, chroma)
        for name, plane, shape in zip(self.names, self.planes, shapes, strict=True):
            if tuple(plane.shape) != shape or plane.dtype != dtype or 0 in shape:
                raise FrameError(
                    f"surface: plane {name} must be {shape} {dtype} for luma {luma}, {self.subsampling}, "
                    f"{self.depth} bits; found {tuple(plane.shape)} {plane.dtype}"
                )
            if plane.device != self.device:
                raise FrameError(f"surface: plane {name} is on {plane.device}, luma on {self.device}")
            if plane.stride()[2:] != ((1,) if plane.ndim == 3 else (2, 1)):
                raise FrameError(f"surface: samples of plane {name} must be contiguous in a row")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the planes."""
        return ("Y", "UV") if self.paired else ("Y", "U", "V")

    @property
    def paired(self) -> bool:
        """Whether U and V are interleaved."""
        return len(self.planes) == 2

    @property
    def pictures(self) -> int:
        """How many there are."""
        return int(self.planes[0].shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of luma in pixels."""
        return int(self.planes[0].shape[1]), int(self.planes[0].shape[2])

    @property
    def device(self) -> torch.device:
        """Where the planes are."""
        return self.planes[0].device

    @property
    def unused_bits(self) -> int:
        """How many bits of a sample lie below its value."""
        return 16 - self.depth if self.high and self.depth > 8 else 0

    def empty(self) -> Surface:
        """Return one of the same kind with memory of its own, contiguous and not written to yet."""
        import torch

        planes = [torch.empty(plane.shape, dtype=plane.dtype, device=plane.device) for plane in self.planes]
        return Surface(tuple(planes), self.subsampling, self.depth, self.high)  # type: ignore[arg-type]

    def numbers(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return three planes (B, rows, columns) as kernels load them: Y, U and V; where U and V are
        interleaved, Y and twice the pairs, each as one number.

        Raises:
            FrameError: U and V are padded differently, or rows of UV do not begin at whole pairs.
        """
        import torch

        luma, chroma = self.planes[:2]
        if not self.paired:
            other = self.planes[-1]
            if chroma.stride() != other.stride():
                raise FrameError(
                    f"surface: U and V must be padded alike; found strides {chroma.stride()} and "
                    f"{other.stride()}"
                )
            return luma, chroma, other
        try:
            pairs = chroma.view(torch.uint16 if self.depth == 8 else torch.uint32)[..., 0]
        except RuntimeError as error:
            raise FrameError(
                f"surface: rows of plane UV must begin at whole pairs; found strides {chroma.stride()} from "
                f"{chroma.storage_offset()} on"
            ) from error
        return luma, pairs, pairs

    def __repr__(self) -> str:
        height, width = self.size
        kind = "semi-planar" if self.paired else "planar"
        return (
            f"Surface({self.pictures} of {width}x{height} {self.subsampling} {self.depth}-bit {kind}, "
            f"{self.device})"
        )
