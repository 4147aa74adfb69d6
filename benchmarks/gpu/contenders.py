"""The fused step written with other libraries: torch, CuPy, OpenCV. See `peers.py`.

Shape legend: C channels, N heads, H x W samples of a plane, h x w pixels of the small picture.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.gpu.kernels import LIMIT_PIXELS
from benchmarks.gpu.material import Material
from streamfx.generate.ops.fuse.definition import GAIN
from streamfx.media.colour import chroma_shift, legal_codes
from streamfx.media.frame import ChromaLocation, CodeRange, Subsampling

Array: TypeAlias = np.ndarray[Any, Any]
FuseOne: TypeAlias = Callable[[Material], Any]
"""Fuses a picture into its ``out``."""


@dataclass(frozen=True)
class Lattice:
    """Where the samples of a plane lie in the small picture.

    Attributes:
        size: (H, W) of the plane.
        small: (h, w) of the small picture.
        shift: shift of the samples, (y, x), in samples.
        legal: lowest and highest code.
    """

    size: tuple[int, int]
    small: tuple[int, int]
    shift: tuple[float, float]
    legal: tuple[int, int]

    @property
    def small_yx(self) -> tuple[Array, Array]:
        """Rows and columns in the small picture, in its pixels."""
        y, x = (
            (np.arange(side) + 0.5 + shift) * small / side - 0.5
            for side, small, shift in zip(self.size, self.small, self.shift, strict=True)
        )
        return y, x


def lattices(size: tuple[int, int], small: tuple[int, int]) -> tuple[Lattice, Lattice]:
    """Return where luma and chroma lie."""
    luma, chroma = legal_codes(8, CodeRange.LIMITED)
    shift = chroma_shift(Subsampling.YUV420, ChromaLocation.LEFT)
    half = Subsampling.YUV420.chroma_size(size)
    return Lattice(size, small, (0.0, 0.0), luma), Lattice(half, small, shift, chroma)


def drawn(picture: Any, source: Any, more: Sequence[Any], legal: tuple[int, int], clip: Any) -> Any:
    """Return the translated picture in legal codes, with ink and with the detail of the source.

    Args:
        picture: translated, at full size.
        source: codes of it.
        more: enlarged: the reduced plane, gain and, if there is ink, its offset, rise, fall and amplitude;
            empty where there is no detail.
        legal: lowest and highest code.
        clip: clip function of the library, (values, lowest, highest).
    """
    if not more:
        return clip(picture, *legal)
    seen, gain, *ink = more
    detail = source - seen
    if ink:
        offset, rise, fall, amplitude = ink
        answer = offset + rise * clip(detail, 0, None) + fall * clip(detail, None, 0)
        picture = picture + amplitude * clip(answer, -1, 1)
    return clip(picture, *legal) + clip(gain, 0, 2) * detail


class TorchPlane:
    """One plane fused as one would write it with torch.

    Args:
        lattice: lattice of its samples.
        device: device of all tensors.
        dtype: number format of heads and blend.
    """

    def __init__(self, lattice: Lattice, device: str, dtype: torch.dtype) -> None:
        (height, width), (small_height, small_width) = lattice.size, lattice.small
        self._lattice, self._dtype = lattice, dtype
        y, x = torch.arange(height) + 0.5, torch.arange(width) + 0.5
        self._base_HW2 = _grid(y * 2 / height - 1, x * 2 / width - 1).to(device)
        self._scale_2 = torch.tensor([2 / small_width, 2 / small_height]).to(device)
        small_y, small_x = (torch.from_numpy(each + 0.5) for each in lattice.small_yx)
        up = _grid(small_y * 2 / small_height - 1, small_x * 2 / small_width - 1)
        self._up_1HW2 = up.float()[None].to(device) if any(lattice.shift) else None

    def __call__(
        self, source_1CHW: Tensor, translated_1Chw: Tensor, field_13hw: Tensor, more_1Mhw: Tensor
    ) -> Tensor:
        """Return the codes (1, C, H, W); the field is mask, displacement x and y, and more is what `drawn`
        takes, one after the other."""
        channels = translated_1Chw.shape[1]
        heads_1NHW = self._enlarged(torch.cat([field_13hw, translated_1Chw, more_1Mhw], 1))
        mask_11HW = heads_1NHW[:, :1].clamp(0, 1)
        move_1HW2 = heads_1NHW[:, 1:3].clamp(-LIMIT_PIXELS, LIMIT_PIXELS).permute(0, 2, 3, 1).float()
        warped_1CHW = functional.grid_sample(
            source_1CHW.float(),
            torch.addcmul(self._base_HW2, move_1HW2, self._scale_2),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        made_1KHW, several = heads_1NHW[:, 3:], range(2 * channels, heads_1NHW.shape[1] - 3)
        more = [made_1KHW[:, channels : 2 * channels], *(made_1KHW[:, at : at + 1] for at in several)]
        translated_1CHW = drawn(
            made_1KHW[:, :channels],
            source_1CHW.to(self._dtype),
            more if several else [],
            self._lattice.legal,
            torch.clamp,
        )
        out_1CHW = torch.lerp(warped_1CHW.to(self._dtype), translated_1CHW, mask_11HW)
        return (out_1CHW.clamp(0, 255) + 0.5).to(torch.uint8)

    def _enlarged(self, heads_1Nhw: Tensor) -> Tensor:
        if self._up_1HW2 is None:
            heads = heads_1Nhw.to(self._dtype)
            return functional.interpolate(heads, self._lattice.size, mode="bilinear", align_corners=False)
        enlarged = functional.grid_sample(
            heads_1Nhw.float(), self._up_1HW2, mode="bilinear", padding_mode="border", align_corners=False
        )
        return enlarged.to(self._dtype)


def _grid(y: Tensor, x: Tensor) -> Tensor:
    """Return (H, W, 2), x first, as `grid_sample` wants it."""
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows], -1).float().contiguous()


def _more(heads_1Nhw: Tensor, seen_13hw: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return what `drawn` takes of heads and reduced planes, for luma and for chroma; without the latter
    nothing."""
    if seen_13hw is None:
        return heads_1Nhw[:, :0], heads_1Nhw[:, :0]
    gain_11hw, ink_1Ihw = heads_1Nhw[:, GAIN : GAIN + 1], heads_1Nhw[:, GAIN + 1 :]
    return torch.cat([seen_13hw[:, :1], gain_11hw, ink_1Ihw], 1), torch.cat([seen_13hw[:, 1:], gain_11hw], 1)


def by_torch(one: Material, dtype: torch.dtype, *, compiled: bool = False) -> FuseOne:
    """Return what fuses a picture with torch into its ``out``."""
    size, small, device = one.surface.size, one.heads.shape[2:], str(one.heads.device)
    luma, chroma = (TorchPlane(each, device, dtype) for each in lattices(size, (small[0], small[1])))

    def fused(
        luma_1HW: Tensor, chroma_1HW2: Tensor, heads_1Nhw: Tensor, seen_13hw: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        translated_13hw, field_13hw = heads_1Nhw[:, :3], heads_1Nhw[:, 3:6]
        for_luma, for_chroma = _more(heads_1Nhw, seen_13hw)
        y = luma(luma_1HW[:, None], translated_13hw[:, :1], field_13hw, for_luma)
        uv = chroma(chroma_1HW2.permute(0, 3, 1, 2), translated_13hw[:, 1:], field_13hw, for_chroma)
        return y[:, 0], uv.permute(0, 2, 3, 1)

    run: Callable[..., Any] = torch.compile(fused, dynamic=False, fullgraph=True) if compiled else fused

    def fuse_one(one: Material) -> None:
        found = run(*one.surface.planes, one.heads, one.seen)
        for target, plane in zip(one.out.planes, found, strict=True):
            target.copy_(plane)

    return fuse_one


def more_of(heads: Any, seen: Any, plane: int) -> list[Any]:
    """Return what `drawn` takes for a plane, of heads (N, h, w) and the reduced planes (3, h, w) or None."""
    return [] if seen is None else [seen[plane], heads[GAIN], *([] if plane else heads[GAIN + 1 :])]


def by_cupy(one: Material, libraries: tuple[Any, Any] | None = None) -> FuseOne:
    """Return what fuses a picture with CuPy and its `map_coordinates` into its ``out``.

    Args:
        one: a picture like those to come.
        libraries: CuPy and what it has of `scipy.ndimage`; None for those that are installed.
    """
    if libraries is None:
        libraries = importlib.import_module("cupy"), importlib.import_module("cupyx.scipy.ndimage")
    cupy, ndimage = libraries
    size, small = one.surface.size, one.heads.shape[2:]
    at = partial(ndimage.map_coordinates, order=1, mode="nearest", output=cupy.float32)

    def fused(source: Any, translated: Any, field: Any, more: Sequence[Any], lattice: Lattice) -> Any:
        (height, width), (small_height, small_width) = lattice.size, lattice.small
        mask, move_x, move_y = (at(head, up[lattice.size]) for head in field)
        mask = cupy.clip(mask, 0, 1)
        y = rows[lattice.size] + cupy.clip(move_y, -LIMIT_PIXELS, LIMIT_PIXELS) * (height / small_height)
        x = columns[lattice.size] + cupy.clip(move_x, -LIMIT_PIXELS, LIMIT_PIXELS) * (width / small_width)
        source = source.astype(cupy.float32)
        warped = at(source, cupy.stack([y, x]))
        enlarged = [at(each, up[lattice.size]) for each in (translated, *more)]
        picture = drawn(enlarged[0], source, enlarged[1:], lattice.legal, cupy.clip)
        blend = warped + mask * (picture - warped)
        return (cupy.clip(blend, 0, 255) + 0.5).astype(cupy.uint8)

    both = lattices(size, (small[0], small[1]))
    up, rows, columns = {}, {}, {}
    for lattice in both:
        small_y, small_x = (cupy.asarray(each.astype(np.float32)) for each in lattice.small_yx)
        up[lattice.size] = cupy.stack(cupy.meshgrid(small_y, small_x, indexing="ij"))
        rows[lattice.size] = cupy.arange(lattice.size[0], dtype=cupy.float32)[:, None]
        columns[lattice.size] = cupy.arange(lattice.size[1], dtype=cupy.float32)[None, :]

    def fuse_one(one: Material) -> None:
        (luma, chroma), (out_luma, out_chroma) = (
            tuple(cupy.from_dlpack(plane)[0] for plane in each.planes) for each in (one.surface, one.out)
        )
        heads = cupy.from_dlpack(one.heads)[0].astype(cupy.float32)
        seen = None if one.seen is None else cupy.from_dlpack(one.seen)[0].astype(cupy.float32)
        out_luma[...] = fused(luma, heads[0], heads[3:6], more_of(heads, seen, 0), both[0])
        for channel in (1, 2):
            out_chroma[..., channel - 1] = fused(
                chroma[..., channel - 1],
                heads[channel],
                heads[3:6],
                more_of(heads, seen, channel),
                both[1],
            )

    return fuse_one


def by_opencv(one: Material) -> Callable[[], list[Array]]:
    """Return what fuses one picture, from and to main memory, with OpenCV on the processor."""
    import cv2

    size, small = one.surface.size, one.heads.shape[2:]
    heads, planes = one.heads[0].float().cpu().numpy(), one.planes
    seen = None if one.seen is None else one.seen[0].float().cpu().numpy()
    both = lattices(size, (small[0], small[1]))
    maps = []
    for lattice in both:
        x, y = np.meshgrid(lattice.small_yx[1].astype(np.float32), lattice.small_yx[0].astype(np.float32))
        columns, rows = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in lattice.size[::-1]))
        maps.append((x, y, columns, rows))

    def fused(index: int) -> Array:
        source, lattice, at = planes[index].astype(np.float32), both[min(index, 1)], maps[min(index, 1)]

        def sampled(image: Array, x: Array, y: Array) -> Array:
            return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

        x, y, columns, rows = at
        mask, move_x, move_y = (sampled(head, x, y) for head in heads[3:6])
        mask = np.clip(mask, 0, 1)
        scales = [lattice.size[axis] / lattice.small[axis] for axis in (1, 0)]
        map_x, map_y = (
            cv2.scaleAdd(np.clip(move, -LIMIT_PIXELS, LIMIT_PIXELS), scale, base)
            for move, scale, base in zip((move_x, move_y), scales, (columns, rows), strict=True)
        )
        warped = sampled(source, map_x, map_y)
        picture, *more = (sampled(each, x, y) for each in (heads[index], *more_of(heads, seen, index)))
        picture = drawn(picture, source, more, lattice.legal, np.clip)
        return np.asarray(np.clip(cv2.blendLinear(picture, warped, mask, 1 - mask), 0, 255) + 0.5, np.uint8)

    return lambda: [fused(index) for index in range(3)]
