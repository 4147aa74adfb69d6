"""The matte at full size as a differentiable function, as the runtime forms it from the heads.

Legend of shapes: B pictures, H x W full size, h x w reduced.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from streamfx.engine.families.matting import STRIDE, Matting
from streamfx.generate.ops.reduce.definition import small_size
from training.fused import PLANES_TO_RGB, RGB_TO_PLANES, TO_YUV, area_weights, enlarge, recolour


def matte(
    network: Matting,
    rgb_B3HW: Tensor,
    factor: float,
    precision: AbstractContextManager[object] | None = None,
) -> Tensor:
    """How much of each pixel belongs to a person, B1HW, not yet clamped to 0..1, for RGB in [0, 1].

    `precision` is the context in which the network runs.
    """
    height, width = rgb_B3HW.shape[-2:]
    planes_B3HW = recolour(rgb_B3HW, TO_YUV)
    size = small_size((height, width), factor, STRIDE)
    rows_hH, columns_wW = (
        area_weights(full, small) for full, small in zip((height, width), size, strict=True)
    )
    reduced_B3hw = rows_hH @ planes_B3HW @ columns_wW.T
    with precision or nullcontext():
        heads_B3hw = network(reduced_B3hw, PLANES_TO_RGB, RGB_TO_PLANES, torch.tensor([factor])).float()
    return form(planes_B3HW[:, :1], reduced_B3hw[:, :1], heads_B3hw)


def form(luma_B1HW: Tensor, reduced_B1hw: Tensor, heads_B3hw: Tensor) -> Tensor:
    """The matte B1HW, not yet clamped, from the heads for a reduced luma and the luma of the source."""
    height, width = luma_B1HW.shape[-2:]
    heads_B3HW = enlarge(heads_B3hw, height, width)
    person_B1HW, rise_B1HW, fall_B1HW = (heads_B3HW[:, index, None] for index in range(3))
    detail_B1HW = luma_B1HW - enlarge(reduced_B1hw, height, width)
    return person_B1HW + rise_B1HW * detail_B1HW.clamp(min=0) + fall_B1HW * detail_B1HW.clamp(max=0)
