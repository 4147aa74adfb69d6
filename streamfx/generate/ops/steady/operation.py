"""Steady, wherever the heads are: in main memory by the kernels for processors, else by those for GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from streamfx.engine.golden import Array
from streamfx.errors import FrameError
from streamfx.generate.ops import dispatch
from streamfx.generate.ops.steady.definition import Past
from streamfx.media.frame_memory import FRAMES_BEFORE

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def steady(
    heads: Array, reduced: Array, past: Sequence[Past], tolerance: float, threads: int | None = None
) -> Array:
    """Return heads (C, h, w) averaged with those of the frames before; see `steady_reference`.

    Args:
        heads: (C, h, w) float32. Not changed.
        reduced: (3, h, w) float32 in code values, what the network saw.
        past: memories of the frames before, the nearest first; of the same sizes.
        tolerance: change of the reduced picture, in code values, from which on heads do not count.
        threads: number of threads that share the rows; None for all cores this process may use.

    Raises:
        FrameError: sizes do not fit together, or the tolerance is not above 0.
    """
    _check(heads.shape, reduced.shape, tolerance)
    for before in past:
        if before.heads.shape != heads.shape or before.reduced.shape != reduced.shape:
            raise FrameError(
                f"steady: heads {heads.shape} cannot be averaged with {before.heads.shape} of a frame before"
            )
    if not past:
        return heads
    from streamfx.generate.ops.steady.cpu import average

    return average(heads, reduced, past, tolerance, threads)


class PastOnDevice:
    """The frames before, on a device, moved on by one with every frame. Its memory stays where it is, so the
    step can be part of a CUDA graph.

    Args:
        heads: (1, C, h, w) float32 or float16 on the device, contiguous: what the network gives.

    Attributes:
        steadied: (1, C, h, w), like the heads: where the averages come to lie.
    """

    def __init__(self, heads: Tensor) -> None:
        import torch

        _, channels, *size = heads.shape
        self.steadied = torch.zeros_like(heads)
        self._heads = torch.zeros((FRAMES_BEFORE, channels, *size), dtype=heads.dtype, device=heads.device)
        self._reduced = torch.zeros((FRAMES_BEFORE, 3, *size), dtype=heads.dtype, device=heads.device)
        self._agreement = torch.zeros((FRAMES_BEFORE, *size), dtype=torch.float32, device=heads.device)
        self._agreeing = torch.zeros(FRAMES_BEFORE, dtype=torch.int32, device=heads.device)
        self._known = torch.zeros(1, dtype=torch.int32, device=heads.device)
        self._known_set = 0

    def know(self, frames: int) -> None:
        """Say how many of the frames before count for the next one. Not recorded."""
        if frames != self._known_set:
            self._known.fill_(frames)
            self._known_set = frames

    def steady(self, heads: Tensor, reduced: Tensor, tolerance: float) -> None:
        """Write the averaged heads to ``steadied``, and move the frames before on by one.

        Args:
            heads: (1, C, h, w), like those it was made for.
            reduced: (1, 3, h, w) of the same type, the planes contiguous, in code values.
            tolerance: change of the reduced picture, in code values, from which on heads do not count.

        Raises:
            FrameError: sizes do not fit together, or the tolerance is not above 0.
        """
        _check(tuple(heads.shape[1:]), tuple(reduced.shape[1:]), tolerance)
        if dispatch.by_processor(heads):
            self._by_processor(heads, reduced, tolerance)
            return
        from streamfx.generate.ops.steady import triton as steady_triton

        steady_triton.average(
            heads,
            reduced,
            self._heads,
            self._reduced,
            self._agreement,
            self._agreeing,
            self._known,
            self.steadied,
            tolerance,
        )

    def _by_processor(self, heads: Tensor, reduced: Tensor, tolerance: float) -> None:
        import torch

        past = [Past(*map(_array, (self._reduced[at], self._heads[at]))) for at in range(self._known_set)]
        averaged = steady(_array(heads[0]), _array(reduced[0]), past, tolerance)
        self.steadied[0] = torch.from_numpy(averaged)
        for kept, now in ((self._heads, heads), (self._reduced, reduced)):
            kept[1:] = kept[:-1].clone()
            kept[0] = now[0]


def _array(tensor: torch.Tensor) -> Array:
    return np.ascontiguousarray(tensor.float().numpy())


def _check(heads: tuple[int, ...], reduced: tuple[int, ...], tolerance: float) -> None:
    if len(heads) != 3 or reduced != (3, *heads[1:]):
        raise FrameError(f"steady: heads {heads} need a reduced picture (3, {heads[1:]}), found {reduced}")
    if not tolerance > 0:
        raise FrameError(f"steady: the tolerance must be above 0 code values, found {tolerance}")
