"""Super-resolution: a picture and noise become what the bicubic enlargement to twice the size lacks.

After Navarrete Michelini, Zhu, Liu, "Multi-Scale Recursive and Perception-Distortion Controllable Image
Super-Resolution" (2018). Amplitude 0 of the noise gives the lowest distortion, 1 the most detail.

Legend of shapes: B pictures, H x W picture, F features, f = 4 pixels of a square of 2 x 2. Whatever has
twice the size is kept folded, these four as channels of one pixel (`pixel_unshuffle`), so that all
convolutions run at the small size: one of 3 x 3 from folded to small is a strided one of 6 x 6 pixels, one
from small to folded a transposed one.

    Y, U, V --stem, of the colour matrix, narrow--> BFHW
    Y, U, V --bicubic x2, enlarged, strided, of the colour matrix, join--> BFHW
    noise B1HW --grain, blend, both without bias--> BFHW, proportional to the amplitude
    the sum of the three, the initial features BFHW --lift--> folded BFHW
    rounds of back-projection: lower the folded, subtract the initial, lift the difference, add it
    folded --synthesis, of the colour matrix--> B(3f)HW --pixel shuffle--> residual B3(2H)(2W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfx.engine.families.warp_mask import convolve

HEADS = ("residual",)
STRIDE = 1
SCALE = 2
NOISE_CHANNELS = 1
_SQUARE = SCALE**2


class Convolution(nn.Module):
    """Convolution of 3 x 3 or 1 x 1 whose border repeats."""

    def __init__(self, inputs: int, outputs: int, side: int = 3) -> None:
        super().__init__()
        self.margin = side // 2
        start = nn.Conv2d(inputs, outputs, side)
        assert start.bias is not None
        self.weight = nn.Parameter(start.weight.detach())
        self.bias = nn.Parameter(start.bias.detach())

    def forward(self, features_BIHW: Tensor) -> Tensor:
        return convolve(features_BIHW, self.weight, self.bias, 1, self.margin)


class BackProjection(nn.Module):
    """A round: what the folded features lack, when lowered, to be the initial ones is lifted and added."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.lower = Convolution(features, features)
        self.lift = Convolution(features, features)
        self.slopes = nn.Parameter(torch.full((2, features), 0.1))

    def forward(self, folded_BFHW: Tensor, minus_initial_BFHW: Tensor) -> Tensor:
        difference_BFHW = functional.prelu(self.lower(folded_BFHW) + minus_initial_BFHW, self.slopes[0])
        return functional.prelu(folded_BFHW + self.lift(difference_BFHW), self.slopes[1])


class SuperResolution(nn.Module):
    """One step of x2; a second one on its result gives x4, with the same weights.

    Nothing depends on the whole picture, so that it can be cut into tiles that overlap by `margin_pixels`.
    Colour matrices only change weights: a backend that knows them in advance computes those once.

    Args:
        features: Channels, at the size of the input.
        rounds: Rounds of back-projection.

    Example:
        >>> import torch
        >>> rows = torch.eye(3, 4)
        >>> SuperResolution()(torch.rand(1, 4, 30, 47), rows, rows, torch.tensor([1.0])).shape
        torch.Size([1, 3, 60, 94])
    """

    bicubic: Tensor

    def __init__(self, features: int = 32, rounds: int = 2) -> None:
        super().__init__()
        half = features // 2
        self.stem = Convolution(3, features)
        self.narrow = Convolution(features, features, side=1)
        self.enlarged = Convolution(3 * _SQUARE, half)
        self.join = Convolution(half, features, side=1)
        self.grain = nn.Parameter(torch.randn(half, NOISE_CHANNELS, 3, 3) / 3)
        self.blend = nn.Parameter(torch.zeros(features, half, 1, 1))  # noise is to earn its place
        self.lift = Convolution(features, features)
        self.slopes = nn.Parameter(torch.full((2, features), 0.1))
        self.rounds = nn.ModuleList(BackProjection(features) for _ in range(rounds))
        self.synthesis = Convolution(features, 3 * _SQUARE)
        self.register_buffer("bicubic", _bicubic_of_folded(), persistent=False)
        with torch.no_grad():
            self.synthesis.weight.mul_(0.1)  # begins close to the bicubic enlargement
            self.synthesis.bias.zero_()

    @property
    def margin_pixels(self) -> int:
        """How far away, in pixels of the input, something can still change the result."""
        return 5 + 2 * len(self.rounds)

    def forward(
        self,
        planes_B4HW: Tensor,
        to_rgb_34: Tensor,
        from_rgb_34: Tensor,
        factor_1: Tensor,  # noqa: ARG002
    ) -> Tensor:
        """What the bicubic enlargement (a = -0.75, as OpenCV's) of the planes lacks.

        Args:
            planes_B4HW: Y, U, V in code values, all at one size, and standard normal noise times amplitude.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
            factor_1: Unused parameter: the network knows nothing of what a picture was before it was
                reduced.

        Returns:
            B3(2H)(2W): to be added to the enlarged Y, U, V, in code values.
        """
        planes_B3HW, noise_B1HW = planes_B4HW[:, :3], planes_B4HW[:, 3:]
        near = functional.relu(convolve(planes_B3HW, *self._stem(to_rgb_34)))
        wide = functional.relu(convolve(planes_B3HW, *self._enlarged(to_rgb_34), margin=3))
        grain = functional.relu(convolve(noise_B1HW, self.grain, None))
        sum_BFHW = self.narrow(near) + self.join(wide) + functional.conv2d(grain, self.blend)
        initial = functional.prelu(sum_BFHW, self.slopes[0])
        folded = functional.prelu(self.lift(initial), self.slopes[1])
        minus_initial = -initial
        for back_project in self.rounds:
            folded = back_project(folded, minus_initial)
        return functional.pixel_shuffle(convolve(folded, *self._synthesis(from_rgb_34)), SCALE)

    def translate(self, rgb_B4HW: Tensor, factor_1: Tensor) -> Tensor:
        """Residual B3(2H)(2W) in RGB of a picture in RGB, in [0, 1], and noise."""
        unchanged_34 = torch.eye(3, 4, device=rgb_B4HW.device)
        residual: Tensor = self(rgb_B4HW, unchanged_34, unchanged_34, factor_1)
        return residual

    def _stem(self, to_rgb_34: Tensor) -> tuple[Tensor, Tensor]:
        """Weight F333 and bias F of the stem for planes."""
        return _of_planes(self.stem.weight, self.stem.bias, to_rgb_34)

    def _enlarged(self, to_rgb_34: Tensor) -> tuple[Tensor, Tensor]:
        """Weight S377 and bias S for planes: bicubic enlargement and strided convolution in one."""
        folded_S3N = self.enlarged.weight.reshape(-1, 3, 9 * _SQUARE)
        weight_S377 = (folded_S3N @ self.bicubic).reshape(-1, 3, 7, 7)
        return _of_planes(weight_S377, self.enlarged.bias, to_rgb_34)

    def _synthesis(self, from_rgb_34: Tensor) -> tuple[Tensor, Tensor]:
        """Weight (3f)F33 and bias 3f of the residual for planes: without the matrix's offset."""
        weight_3fF33 = self.synthesis.weight.reshape(3, _SQUARE, *self.synthesis.weight.shape[1:])
        planes_3fF33 = torch.einsum("pc,cfoyx->pfoyx", from_rgb_34[:, :3], weight_3fF33)
        bias_3f = from_rgb_34[:, :3] @ self.synthesis.bias.reshape(3, _SQUARE)
        return planes_3fF33.flatten(0, 1), bias_3f.flatten()


def _of_planes(weight_O3ss: Tensor, bias_O: Tensor, to_rgb_34: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias for planes, of those for RGB in [0, 1] less a half."""
    offsets_3 = to_rgb_34[:, 3] - 0.5
    planes_O3ss = torch.einsum("ocyx,cp->opyx", weight_O3ss, to_rgb_34[:, :3])
    return planes_O3ss, bias_O + (weight_O3ss.sum((2, 3)) * offsets_3).sum(1)


def _bicubic_of_folded() -> Tensor:
    """Matrix (9f) x 49 from weights 3 x 3 for the four folded pixels of the bicubic enlargement to weights
    7 x 7 for the picture itself."""
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[..., 4, 4] = 1
    enlarged = functional.interpolate(impulse, scale_factor=SCALE, mode="bicubic", align_corners=False)
    # Each of the four: what it takes from the 5 x 5 pixels around (a correlation, hence flipped).
    taps_f55 = functional.pixel_unshuffle(enlarged, SCALE)[0, :, 2:7, 2:7].flip(1, 2)
    places = torch.eye(9 * _SQUARE).reshape(9 * _SQUARE, _SQUARE, 3, 3)
    return functional.conv_transpose2d(places, taps_f55[:, None]).reshape(9 * _SQUARE, 49)
