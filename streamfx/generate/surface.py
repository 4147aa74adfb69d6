"""Surface: pictures in the memory of a GPU, and the steps of `fuse.py` and `reduce.py` on them.

Shape legend: B pictures, H x W luma samples, h x w pixels of the small picture. ``uint8`` at depth 8,
``uint16`` at depths 9 to 16. Nothing here waits for the GPU: work is put on torch's current stream, and the
steps can be captured in a CUDA graph once they have run on the same sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from streamfx.errors import BackendUnavailableError, FrameError
from streamfx.frame import ChromaLocation, CodeRange, Subsampling
from streamfx.generate.colour import chroma_shift, legal_codes
from streamfx.generate.fuse import GAIN, HEAD_CHANNELS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.generate.fuse_gpu import FuseTile
    from streamfx.generate.reduce_triton import ReduceTile

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


def fuse_surface(
    surface: Surface,
    heads: Tensor,
    reduced: Tensor | None,
    *,
    code_range: CodeRange,
    chroma_location: ChromaLocation,
    strength: Tensor | float,
    max_displacement_pixels: float,
    not_finite: Tensor,
    out: Surface | None = None,
    tile: FuseTile | None = None,
) -> Surface:
    """Return the fused pictures, within one code of `fuse.fuse_reference`.

    Args:
        surface: source. Not changed.
        heads: (B, 6 or 7, h, w) float32 or float16, any strides; the channels are those of `fuse.fuse`.
        reduced: (B, 3, h, w) float32 or float16, contiguous, what the network saw; with 7 heads only.
        code_range: limited or full; bounds the translated picture.
        chroma_location: where chroma samples lie; unknown counts as left-sited.
        strength: 0..1, one or one per picture. A tensor (1,) or (B,) float32 is read when the kernel runs,
            so that it can be changed between two replays of a CUDA graph; it is not checked.
        max_displacement_pixels: bound of the displacement, in small-picture pixels.
        not_finite: (B,) int32. Set to 1 for a picture with a head that is not finite, and else left alone,
            so that one look now and then tells of every frame since the last, whenever waiting costs
            nothing. The picture then is one all the same: what is not a number counts as the lowest it may
            be.
        out: where to write to: as ``surface``, in other memory; None: new memory.
        tile: what one program of the kernel does; None for what suits GPUs.

    Raises:
        FrameError: sizes, types or ranges do not fit together.
        BackendUnavailableError: Triton is not installed.
    """
    import torch

    target = surface.empty() if out is None else out
    _check_out(surface, target)
    _check_heads(surface, heads, reduced)
    if not 0 <= max_displacement_pixels <= 4096:
        raise FrameError(
            f"fuse: the displacement bound must be 0 to 4096 pixels, found {max_displacement_pixels}"
        )
    if not isinstance(strength, torch.Tensor):
        if not 0 <= strength <= 1:
            raise FrameError(f"fuse: strength must be 0 to 1, found {strength}")
        strength = torch.full((1,), strength, dtype=torch.float32, device=surface.device)
    _check_per_picture("strength", strength, torch.float32, (1, surface.pictures), surface)
    _check_per_picture("not_finite", not_finite, torch.int32, (surface.pictures,), surface)
    legal = legal_codes(surface.depth, code_range)
    try:
        from streamfx.generate import fuse_gpu
    except ImportError as error:
        raise _without_triton(error) from error
    with torch.cuda.device_of(heads):
        fuse_gpu.fuse_planes(
            surface,
            target,
            heads,
            reduced,
            strength,
            not_finite,
            legal=legal,
            shift=chroma_shift(surface.subsampling, chroma_location),
            max_displacement_pixels=max_displacement_pixels,
            tile=tile or fuse_gpu.FuseTile(),
        )
    return target


def reduce_surface(
    surface: Surface,
    small_size: tuple[int, int],
    *,
    chroma_location: ChromaLocation,
    out: Tensor | None = None,
    tile: ReduceTile | None = None,
) -> Tensor:
    """Return the reduced planes (B, 3, h, w) in code values, on one grid: `reduce.reduce_planes`.

    Args:
        surface: source. Not changed.
        small_size: (h, w) of the result in pixels.
        chroma_location: where chroma samples lie; unknown counts as left-sited.
        out: contiguous float32 or float16 to write to, for a network that computes in it; None: new memory,
            float32. Half precision holds code values up to 2048 to within half a code.
        tile: what one program of the kernel does; None for what suits GPUs.

    Raises:
        FrameError: the small size is empty, or ``out`` does not fit.
        BackendUnavailableError: Triton is not installed.
    """
    import torch

    shape = (surface.pictures, 3, *small_size)
    if min(small_size) < 1:
        raise FrameError(f"reduce: the result must have a pixel at least; asked for {small_size}")
    target = torch.empty(shape, dtype=torch.float32, device=surface.device) if out is None else out
    fits = tuple(target.shape) == shape and target.dtype in (torch.float32, torch.float16)
    if not fits or not target.is_contiguous() or target.device != surface.device:
        raise FrameError(
            f"reduce: output must be contiguous float32 or float16 of shape {shape} on {surface.device}; "
            f"found {target.dtype} {tuple(target.shape)} on {target.device}"
        )
    try:
        from streamfx.generate import reduce_triton
    except ImportError as error:
        raise _without_triton(error) from error
    with torch.cuda.device_of(target):
        reduce_triton.reduce_planes(
            surface,
            target,
            shift=chroma_shift(surface.subsampling, chroma_location),
            tile=tile or reduce_triton.ReduceTile(),
        )
    return target


def _without_triton(error: ImportError) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"fuse and reduce on a GPU need Triton, and it cannot be imported ({error}): "
        "pip install 'streamfx[gpu]'"
    )


def _check_out(surface: Surface, out: Surface) -> None:
    same = all(plane.shape == other.shape for plane, other in zip(surface.planes, out.planes, strict=False))
    kinds = [(one.paired, one.subsampling, one.depth, one.unused_bits, one.device) for one in (surface, out)]
    if not same or kinds[0] != kinds[1]:
        raise FrameError(f"the output must be as the source, {surface}; found {out}")
    for name, plane, target in zip(surface.names, surface.planes, out.planes, strict=True):
        if plane.data_ptr() == target.data_ptr():
            raise FrameError(f"output plane {name} overlaps the source plane; give other memory")


def _check_heads(surface: Surface, heads: Tensor, reduced: Tensor | None) -> None:
    import torch

    kinds = (torch.float32, torch.float16)
    if (
        heads.ndim != 4
        or heads.shape[0] != surface.pictures
        or heads.shape[1] not in HEAD_CHANNELS
        or heads.numel() == 0
        or heads.dtype not in kinds
        or heads.device != surface.device
    ):
        raise FrameError(
            f"fuse: heads must be float32 or float16 of shape ({surface.pictures}, 6 or 7, height, width) on "
            f"{surface.device}; found {heads.dtype} {tuple(heads.shape)} on {heads.device}"
        )
    if heads.shape[1] <= GAIN:
        return
    shape = (surface.pictures, 3, *heads.shape[2:])
    if reduced is None or tuple(reduced.shape) != shape or reduced.dtype not in kinds:
        found = "none" if reduced is None else f"{reduced.dtype} {tuple(reduced.shape)}"
        raise FrameError(f"fuse: heads with detail gain need the reduced planes, {shape}; found {found}")
    if not reduced.is_contiguous() or reduced.device != surface.device:
        raise FrameError(f"fuse: the reduced planes must be contiguous and on {surface.device}")


def _check_per_picture(
    name: str, values: Tensor, dtype: torch.dtype, lengths: tuple[int, ...], surface: Surface
) -> None:
    if (
        values.ndim != 1
        or len(values) not in lengths
        or values.dtype != dtype
        or values.device != surface.device
    ):
        raise FrameError(
            f"fuse: {name} must be {dtype} of length {lengths[-1]} on {surface.device}; found {values.dtype} "
            f"{tuple(values.shape)} on {values.device}"
        )
