"""Pictures for kernels to work on, with heads as a network gives them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from streamfx.frame import Planes, Subsampling
from streamfx.generate.surface import Surface

KINDS = {"nv12": 8, "i420": 8, "p010": 10}
"""Bits per sample of each."""


@dataclass(frozen=True)
class Material:
    """Pictures and what is needed to work on them.

    Attributes:
        surface: one picture.
        planes: the same, as NumPy has it.
        heads: (1, 6, h, w) half precision, smooth as a network gives them.
        out: to write to.
        reduced: to write to, (1, 3, h, w) half precision.
    """

    surface: Surface
    planes: Planes
    heads: Tensor
    out: Surface
    reduced: Tensor

    @property
    def fused_bytes(self) -> int:
        """What the fused step reads and writes at least."""
        planes = sum(plane.numel() * plane.itemsize for plane in self.surface.planes)
        return 2 * planes + self.heads.numel() * self.heads.itemsize

    @property
    def reduced_bytes(self) -> int:
        """What the reduction reads and writes at least."""
        planes = sum(plane.numel() * plane.itemsize for plane in self.surface.planes)
        return planes + self.reduced.numel() * self.reduced.itemsize


def material(kind: str, size: tuple[int, int], small: tuple[int, int], seed: int, device: str) -> Material:
    """Return a random picture, and heads that vary smoothly: displacements of a few small pixels."""
    random = np.random.default_rng(seed)
    depth, paired = KINDS[kind], kind != "i420"
    dtype: Any = np.uint8 if depth == 8 else np.uint16
    sizes = (size, *(Subsampling.YUV420.chroma_size(size),) * 2)
    step = 1 << (depth - 8)
    y, u, v = (np.asarray(step * random.integers(16, 235, side), dtype) for side in sizes)
    unused = 6 if kind == "p010" else 0
    arrays = [y, np.stack([u, v], axis=-1)] if paired else [y, u, v]
    tensors = [torch.from_numpy(array << unused)[None].to(device) for array in arrays]
    surface = Surface(tuple(tensors), depth=depth, high=kind == "p010")  # type: ignore[arg-type]
    rows, columns = np.linspace(0, 20, small[0])[:, None], np.linspace(0, 30, small[1])[None, :]
    wave = np.sin(rows + seed) * np.cos(columns)
    code = 1 << depth
    heads = np.stack(
        [
            code * (0.5 + 0.3 * wave),
            code * (0.5 + 0.1 * wave),
            code * (0.5 - 0.1 * wave),
            0.75 + 0.25 * wave,
            3 * wave,
            2 * np.cos(rows) * np.sin(columns),
        ]
    )
    half = torch.from_numpy(heads.astype(np.float16))[None].to(device)
    reduced = torch.empty((1, 3, *small), dtype=torch.float16, device=device)
    return Material(surface, (y, u, v), half, surface.empty(), reduced)


def varied(one: Material, count: int) -> list[Material]:
    """Return so many pictures that differ, in memory of their own, made where they are to be."""
    made = [one]
    for number in range(1, count):
        planes: Any = tuple(_rolled(plane, 2 * number) for plane in one.surface.planes)
        surface = replace(one.surface, planes=planes)
        reduced = torch.empty_like(one.reduced)
        made.append(Material(surface, one.planes, one.heads.clone(), surface.empty(), reduced))
    return made


def _rolled(plane: Tensor, columns: int) -> Tensor:
    # Torch has next to nothing for uint16, but it moves int16.
    signed = plane.view(torch.int16) if plane.dtype == torch.uint16 else plane
    return signed.roll(columns, 2).view(plane.dtype)


def planes_of(surface: Surface) -> list[np.ndarray[Any, Any]]:
    """Return the planes of one picture, values in the low bits."""
    luma, *chroma = (plane.cpu().numpy()[0] >> surface.unused_bits for plane in surface.planes)
    return [luma, chroma[0][..., 0], chroma[0][..., 1]] if surface.paired else [luma, *chroma]
