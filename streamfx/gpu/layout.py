"""Form: how a picture lies in device memory: one run of bytes, copied in one go, as encoders take it.

Rows begin at multiples of 256 bytes, and the planes follow one another without a gap: NVENC is told where
luma begins and how long a row is, and looks for chroma right behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from streamfx.media.frame import Frame, Planes, Subsampling
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_ROW_BYTES = 256  # what FFmpeg aligns rows of CUDA frames to, too


@dataclass(frozen=True, slots=True)
class Form:
    """One picture.

    Attributes:
        size: (height, width) of luma in pixels.
        subsampling: chroma subsampling.
        depth: bits per sample, 8 to 16.
        paired: whether U and V are interleaved (NV12, P010).
        high: whether values lie in the high bits of 16 (P010).
    """

    size: tuple[int, int]
    subsampling: Subsampling = Subsampling.YUV420
    depth: int = 8
    paired: bool = False
    high: bool = False

    @classmethod
    def of(cls, surface: Surface) -> Form:
        """Return the form of a surface of one picture."""
        return cls(surface.size, surface.subsampling, surface.depth, surface.paired, surface.unused_bits > 0)

    @classmethod
    def of_frame(cls, frame: Frame) -> Form:
        """Return the planar form that holds a frame as it is."""
        return cls(frame.size, frame.subsampling, frame.depth)

    @property
    def planar(self) -> Form:
        """The same picture as frames in main memory have it."""
        return Form(self.size, self.subsampling, self.depth)

    @property
    def semi_planar(self) -> Form:
        """The same picture as encoders of GPUs take it: NV12 or P010."""
        return Form(self.size, self.subsampling, self.depth, paired=True, high=self.depth > 8)

    @property
    def size_bytes(self) -> int:
        """What one takes."""
        return sum(rows * pitch for rows, _, pitch in self._planes)

    @property
    def _planes(self) -> tuple[tuple[int, int, int], ...]:
        """Rows, samples in a row, and bytes from row to row of each plane."""
        rows, columns = self.subsampling.chroma_size(self.size)
        chroma = [(rows, 2 * columns)] if self.paired else [(rows, columns)] * 2
        item_bytes = 1 if self.depth == 8 else 2
        # Luma and chroma of NV12 share the longer of their rows: odd widths make that of chroma.
        widest = max(self.size[1], chroma[0][1]) if self.paired else 0
        return tuple(
            (rows, samples, -(-max(samples, widest) * item_bytes // _ROW_BYTES) * _ROW_BYTES)
            for rows, samples in (self.size, *chroma)
        )

    def surface(self, memory: Tensor) -> Surface:
        """Return a surface over ``memory``, `size_bytes` of uint8, which it keeps alive."""
        import torch

        planes: list[Tensor] = []
        begin = 0
        for rows, samples, pitch in self._planes:
            lines = memory[begin : begin + rows * pitch].view(rows, pitch)
            plane = (lines if self.depth == 8 else lines.view(torch.uint16))[:, :samples]
            paired = self.paired and bool(planes)
            planes.append((plane.view(rows, samples // 2, 2) if paired else plane)[None])
            begin += rows * pitch
        return Surface(tuple(planes), self.subsampling, self.depth, self.high)  # type: ignore[arg-type]


def arrays_of(surface: Surface) -> tuple[Any, ...]:
    """Return the planes of a surface in main memory, its one picture, as arrays over the same memory."""
    return tuple(plane[0].numpy() for plane in surface.planes)


def fill(surface: Surface, planes: Planes) -> None:
    """Copy planes of a frame into a surface in main memory, of the same size and depth."""
    luma, *chroma = arrays_of(surface)
    targets = (luma, chroma[0][..., 0], chroma[0][..., 1]) if surface.paired else (luma, *chroma)
    for plane, target in zip(planes, targets, strict=True):
        if surface.unused_bits:
            np.left_shift(plane, surface.unused_bits, out=target)
        else:
            np.copyto(target, plane)


def copy_surface(source: Surface, target: Surface) -> None:
    """Copy pixels to a surface that may lie otherwise: planar or interleaved, values high or low.

    On torch's current stream; surfaces on different devices must be of the same form, in pinned memory.
    """
    import torch

    def words(plane: Tensor) -> Tensor:
        # Few operations of torch take uint16; the bits are the same.
        return plane if source.depth == 8 else plane.view(torch.int16)

    from_planes, to_planes = ([words(plane) for plane in each.planes] for each in (source, target))
    if source.paired and not target.paired:
        from_planes = [from_planes[0], from_planes[1][..., 0], from_planes[1][..., 1]]
    if target.paired and not source.paired:
        to_planes = [to_planes[0], to_planes[1][..., 0], to_planes[1][..., 1]]
    lower, higher = source.unused_bits, target.unused_bits
    for plane, into in zip(from_planes, to_planes, strict=True):
        into.copy_(_moved(plane, lower, higher, source.depth), non_blocking=True)


def _moved(plane: Tensor, lower: int, higher: int, depth: int) -> Tensor:
    if lower == higher:
        return plane
    return (plane >> lower) & ((1 << depth) - 1) if lower else plane << higher


def sampled_planes(surface: Surface, rows: int, columns: int) -> tuple[Any, Any, Any]:
    """Return so many samples of each plane of one picture, evenly spread, in main memory."""
    import torch

    def evenly(count: int, side: int) -> Tensor:
        return (2 * torch.arange(count, device=surface.device) + 1) * side // (2 * count)

    picked: list[Any] = []
    for plane in surface.planes:
        # Few operations of torch take uint16; the bits are the same.
        words = plane[0] if surface.depth == 8 else plane[0].view(torch.int16)
        samples = words.index_select(0, evenly(rows, words.shape[0]))
        samples = samples.index_select(1, evenly(columns, words.shape[1])).cpu()
        unsigned: Any = samples.numpy().view(np.uint8 if surface.depth == 8 else np.uint16)
        codes = unsigned >> surface.unused_bits
        picked += [codes] if codes.ndim == 2 else [codes[..., 0], codes[..., 1]]
    y, u, v = picked
    return y, u, v


def device_of(text: str) -> torch.device:
    """Return torch's device: ``cpu`` or ``cuda``, of which there is one in a process."""
    import torch

    return torch.device("cuda", 0) if text == "cuda" else torch.device("cpu")
