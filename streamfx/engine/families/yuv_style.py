"""Luma/chroma stylizer: one small sub-network each for Y, U and V.

Legend of shapes: B pictures, H x W reduced picture (multiples of 4), h x w the plane of a sub-network, I what
it sees, N its width, A anchor factors. ReLU, instance norm and, where the size halves, pooling between them
follow each convolution but the last.

    seen BIhw --first--> BN(h/2)(w/2) --second--> B(4N)(h/4)(w/4) --third--> B(6N)(h/4)(w/4)
    --composite, fourth--> BN(h/2)(w/2) --composite, fifth, smooth--> plane B1hw

Layout `planes`: B3HW in and out; each sub-network sees Y, U and V. Layout `i420`, the surface of a 4:2:0
decoder, B1(3H/2)W: H rows of Y, then U and V, each as H/4 rows that hold H/2 rows of W/2. There U and V lose
the full-size stages, `first` and `fifth`; they see Y folded to their size, U and V, and Y sees itself.

With `own` each sub-network sees its own plane alone, in either layout.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfx.engine.families.layers import after_composite, folding, smooth, start_without_grid
from streamfx.engine.families.warp_mask import FactorConv, affine, anchor_mix, normalise

Layout = Literal["planes", "i420"]

HEADS = ("translated",)
STRIDE = 4

# Y = .30 R + .59 G + .11 B, U = .493 (B - Y), V = .877 (R - Y), of RGB in [0, 1].
BLUE_DIFFERENCE, RED_DIFFERENCE = 0.493, 0.877
TO_YUV = torch.tensor(
    [
        [0.30, 0.59, 0.11],
        [-0.30 * BLUE_DIFFERENCE, -0.59 * BLUE_DIFFERENCE, 0.89 * BLUE_DIFFERENCE],
        [0.70 * RED_DIFFERENCE, -0.59 * RED_DIFFERENCE, -0.11 * RED_DIFFERENCE],
    ]
)
FROM_YUV = torch.linalg.inv(TO_YUV.double()).float()
_MIDDLE = torch.tensor([[0.5], [0.0], [0.0]])
_SPREAD = 4.0  # what YUV around 0 is multiplied by: deviations near 1
_BRUSH = 0.1  # what painted planes are multiplied by: their last layer sums hundreds of values near 1


class SubNetwork(nn.Module):
    """Sub-network that paints one plane.

    Args:
        inputs: I.
        width: N, a multiple of 4.
        full: Whether it has the full-size stages. Without them, what it sees and paints has half the size.
    """

    folding: Tensor

    def __init__(self, inputs: int, width: int, full: bool) -> None:
        super().__init__()
        self.first = FactorConv(inputs, width, 5) if full else None
        self.second = FactorConv(width if full else inputs, 4 * width, 5)
        self.third = FactorConv(4 * width, 6 * width, 5)
        self.fourth = FactorConv(6 * width, width if full else 1, 5)
        self.fifth = FactorConv(width, 1, 5) if full else None
        self.register_buffer("folding", folding(5), persistent=False)
        for doubled in filter(None, (self.fourth, self.fifth)):
            start_without_grid(doubled)

    def forward(self, seen_BIhw: Tensor, mix_A: Tensor) -> Tensor:
        """Plane B1hw, around 0."""
        x = seen_BIhw
        if self.first is not None:
            x = normalise(functional.avg_pool2d(functional.relu(self.first(x, mix_A)), 2), "instance")
        x = normalise(functional.avg_pool2d(functional.relu(self.second(x, mix_A)), 2), "instance")
        x = normalise(functional.relu(self.third(x, mix_A)), "instance")
        x = after_composite(x, self.fourth, mix_A, self.folding)
        if self.fifth is not None:
            x = normalise(functional.pixel_shuffle(functional.relu(x), 2), "instance")
            x = after_composite(x, self.fifth, mix_A, self.folding)
        return _BRUSH * smooth(functional.pixel_shuffle(x, 2))


class YuvStyle(nn.Module):
    """Stylizer whose three planes are painted by networks of their own.

    Args:
        luma_width: N of the sub-network for Y, a multiple of 4.
        chroma_width: N of those for U and V, a multiple of 4.
        layout: Layout of picture and result.
        own: Whether each sub-network sees its own plane alone.

    Example:
        >>> import torch
        >>> rows = torch.eye(3, 4)
        >>> YuvStyle(4, 4)(torch.rand(1, 3, 32, 48), rows, rows, torch.tensor([4.0])).shape
        torch.Size([1, 3, 32, 48])
        >>> YuvStyle(4, 4, "i420")(torch.rand(1, 1, 48, 48), rows, rows, torch.tensor([4.0])).shape
        torch.Size([1, 1, 48, 48])
    """

    to_yuv: Tensor
    from_yuv: Tensor
    middle: Tensor

    def __init__(
        self, luma_width: int = 8, chroma_width: int = 8, layout: Layout = "planes", own: bool = False
    ) -> None:
        super().__init__()
        self.layout, self.own = layout, own
        full = layout == "planes"
        seen = 1 if own else 3 if full else 6
        self.y = SubNetwork(seen if full else 1, luma_width, full=True)
        self.u = SubNetwork(seen, chroma_width, full)
        self.v = SubNetwork(seen, chroma_width, full)
        for name, values in (("to_yuv", TO_YUV), ("from_yuv", FROM_YUV), ("middle", _MIDDLE)):
            self.register_buffer(name, values.clone(), persistent=False)

    def forward(
        self, planes_BCHW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor, factor_1: Tensor
    ) -> Tensor:
        """The picture painted, in the layout it came in.

        Args:
            planes_BCHW: Y, U, V of the reduced picture in code values: B3HW, or one surface B1(3H/2)W.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
            factor_1: Full size divided by reduced size, at least 1.
        """
        paint = self._paint_planes if self.layout == "planes" else self._paint_surface
        return paint(planes_BCHW, to_rgb_34, from_rgb_34, anchor_mix(factor_1))

    def _paint_planes(
        self, planes_B3HW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor, mix_A: Tensor
    ) -> Tensor:
        to_yuv_34 = self.to_yuv @ to_rgb_34
        around_34 = torch.cat([to_yuv_34[:, :3], to_yuv_34[:, 3:] - self.middle], dim=1)
        seen_B3HW = affine(planes_B3HW, around_34 * _SPREAD)
        parts = (self.y, self.u, self.v)
        seen_by = _planes_of(seen_B3HW) if self.own else [seen_B3HW] * 3
        painted = [part(seen, mix_A) for part, seen in zip(parts, seen_by, strict=True)]
        painted_B3HW = torch.cat(painted, dim=1)
        linear_33 = from_rgb_34[:, :3] @ self.from_yuv
        back_34 = torch.cat([linear_33, linear_33 @ self.middle + from_rgb_34[:, 3:]], dim=1)
        return affine(painted_B3HW, back_34)

    def _paint_surface(
        self, surface_B1RW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor, mix_A: Tensor
    ) -> Tensor:
        # In every matrix U and V are multiples of B - Y and R - Y: scales and offsets make them those above.
        scale_3 = torch.stack(
            [to_rgb_34[0, 0], BLUE_DIFFERENCE * to_rgb_34[2, 1], RED_DIFFERENCE * to_rgb_34[0, 2]]
        )
        offset_3 = from_rgb_34[:, 3] + self.middle[:, 0] / scale_3
        scale_311, offset_311 = scale_3[:, None, None], offset_3[:, None, None]
        luma_B1HW, chroma_B2hw = unfold_surface(surface_B1RW)
        luma_B1HW = (luma_B1HW - offset_311[:1]) * (_SPREAD * scale_311[:1])
        chroma_B2hw = (chroma_B2hw - offset_311[1:]) * (_SPREAD * scale_311[1:])
        if self.own:
            seen_by = _planes_of(chroma_B2hw)
        else:
            seen_by = [torch.cat([functional.pixel_unshuffle(luma_B1HW, 2), chroma_B2hw], dim=1)] * 2
        painted_B1HW = self.y(luma_B1HW, mix_A) * (1 / scale_311[:1]) + offset_311[:1]
        painted_B2hw = torch.cat([self.u(seen_by[0], mix_A), self.v(seen_by[1], mix_A)], dim=1)
        return fold_surface(painted_B1HW, painted_B2hw * (1 / scale_311[1:]) + offset_311[1:])

    def translate(self, rgb_B3HW: Tensor, factor_1: Tensor) -> Tensor:
        """The painted picture of one in RGB, in [0, 1], in RGB as well; unclamped.

        In layout `i420` chroma is averaged before and enlarged bilinearly after, as around a 4:2:0 stream.
        """
        unchanged_34 = torch.eye(3, 4, device=rgb_B3HW.device)
        if self.layout == "planes":
            painted_B3HW: Tensor = self(rgb_B3HW, unchanged_34, unchanged_34, factor_1)
            return painted_B3HW
        to_rgb_34, from_rgb_34 = (functional.pad(matrix, (0, 1)) for matrix in (self.from_yuv, self.to_yuv))
        yuv_B3HW = affine(rgb_B3HW, from_rgb_34)
        surface_B1RW = fold_surface(yuv_B3HW[:, :1], functional.avg_pool2d(yuv_B3HW[:, 1:], 2))
        luma_B1HW, chroma_B2hw = unfold_surface(self(surface_B1RW, to_rgb_34, from_rgb_34, factor_1))
        wide_B2HW = functional.interpolate(
            chroma_B2hw, scale_factor=2.0, mode="bilinear", align_corners=False
        )
        return affine(torch.cat([luma_B1HW, wide_B2HW], dim=1), to_rgb_34)


def _planes_of(planes_BCHW: Tensor) -> list[Tensor]:
    """Each plane alone, B1HW."""
    return [planes_BCHW[:, plane : plane + 1] for plane in range(planes_BCHW.shape[1])]


def unfold_surface(surface_B1RW: Tensor) -> tuple[Tensor, Tensor]:
    """Y as B1HW, U and V as B2(H/2)(W/2), of a surface of R = 3H/2 rows."""
    batch, _, _, width = surface_B1RW.shape
    sixths_B6rW = surface_B1RW.reshape(batch, 6, -1, width)
    luma_B1HW = sixths_B6rW[:, :4].reshape(batch, 1, -1, width)
    return luma_B1HW, sixths_B6rW[:, 4:].reshape(batch, 2, -1, width // 2)


def fold_surface(luma_B1HW: Tensor, chroma_B2hw: Tensor) -> Tensor:
    """The surface B1(3H/2)W of Y, and U and V at half its size."""
    batch, _, _, width = luma_B1HW.shape
    parts = [luma_B1HW.reshape(batch, 4, -1, width), chroma_B2hw.reshape(batch, 2, -1, width)]
    return torch.cat(parts, dim=1).reshape(batch, 1, -1, width)
