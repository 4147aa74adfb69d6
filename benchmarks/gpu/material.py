"""Pictures for kernels to work on, with heads as a network gives them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from streamfx.generate.ops.fuse.definition import GAIN
from streamfx.media.frame import Planes, Subsampling
from streamfx.media.surface import Surface

KINDS = {"nv12": 8, "i420": 8, "p010": 10}
"""Bits per sample of each."""


@dataclass(frozen=True)
class Material:
    """Pictures and what is needed to work on them.

    Attributes:
        surface: one picture.
        planes: the same, as NumPy has it.
        heads: (1, 6, h, w) half precision, smooth as a network gives them; (1, 11, h, w) with ink.
        out: picture to write to.
        reduced: tensor to write to, (1, 3, h, w) half precision; (1, 19, h, w) where the network sees fine
            luma, and what it may have seen to begin with.
    """

    surface: Surface
    planes: Planes
    heads: Tensor
    out: Surface
    reduced: Tensor

    @property
    def fine(self) -> int:
        """How many times finer the luma is that the network sees, too; 0: none."""
        return math.isqrt(self.reduced.shape[1] - 3)

    @property
    def seen(self) -> Tensor | None:
        """The reduced planes, (1, 3, h, w), where the fused step needs them."""
        return self.reduced[:, :3] if self.heads.shape[1] > GAIN else None

    @property
    def fused_bytes(self) -> int:
        """What the fused step reads and writes at least."""
        planes = sum(plane.numel() * plane.itemsize for plane in self.surface.planes)
        small = [self.heads] if self.seen is None else [self.heads, self.seen]
        return 2 * planes + sum(each.numel() * each.itemsize for each in small)

    @property
    def reduced_bytes(self) -> int:
        """What the reduction reads and writes at least, fine luma included."""
        planes = sum(plane.numel() * plane.itemsize for plane in self.surface.planes)
        return planes + self.reduced.numel() * self.reduced.itemsize


def material(
    kind: str, size: tuple[int, int], small: tuple[int, int], seed: int, device: str, *, inked: bool = False
) -> Material:
    """Return a random picture, and heads that vary smoothly: displacements of a few small pixels.

    Args:
        kind: one of `KINDS`.
        size: (height, width) of the picture.
        small: (h, w) of what the network sees.
        seed: seed of picture and heads.
        device: device of all tensors.
        inked: whether the heads are those with ink, of a network that sees fine luma.
    """
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
            *[0.3 + 0.2 * wave, 0.5 * wave, (4 + 2 * wave) / code, (8 - 4 * wave) / code, 0.4 * code * wave]
            * inked,
        ]
    )
    half = torch.from_numpy(heads.astype(np.float16))[None].to(device)
    reduced = torch.zeros((1, 19 if inked else 3, *small), dtype=torch.float16, device=device)
    reduced[:, :3] = half[:, :3]
    return Material(surface, (y, u, v), half, surface.empty(), reduced)


def varied(one: Material, count: int) -> list[Material]:
    """Return so many pictures that differ, in memory of their own, made where they are to be."""
    made = [one]
    for number in range(1, count):
        planes: Any = tuple(_rolled(plane, 2 * number) for plane in one.surface.planes)
        surface = replace(one.surface, planes=planes)
        made.append(Material(surface, one.planes, one.heads.clone(), surface.empty(), one.reduced.clone()))
    return made


def _rolled(plane: Tensor, columns: int) -> Tensor:
    # Torch has next to nothing for uint16, but it moves int16.
    signed = plane.view(torch.int16) if plane.dtype == torch.uint16 else plane
    return signed.roll(columns, 2).view(plane.dtype)


def planes_of(surface: Surface) -> list[np.ndarray[Any, Any]]:
    """Return the planes of one picture, values in the low bits."""
    luma, *chroma = (plane.cpu().numpy()[0] >> surface.unused_bits for plane in surface.planes)
    return [luma, chroma[0][..., 0], chroma[0][..., 1]] if surface.paired else [luma, *chroma]
