"""Super-resolution: a picture and noise become what its bicubic enlargement, 2, 4 or 8 times, lacks.

After JP7446997B2 and Navarrete Michelini, Zhu, Liu, "Multi-Scale Recursive and Perception-Distortion
Controllable Image Super-Resolution" (2018): L levels with the same weights, each of which doubles the size;
the features of each are corrected down to those of the picture that went in. Amplitude 0 of the noise gives
the lowest distortion, 1 the most detail.

Legend of shapes: B pictures, H x W picture of a level, F features, f = 4 pixels of a square of 2 x 2.
Whatever has twice the size is kept folded, these four as channels of one pixel (`pixel_unshuffle`), so that
all convolutions run at the small size: one of 3 x 3 from folded to small is a strided one of 6 x 6 pixels,
one from small to folded a transposed one.

    Y, U, V --stem, of the colour matrix, narrow--> BFHW
    Y, U, V --bicubic x2, enlarged, strided, of the colour matrix, join--> BFHW
    noise B1HW --grain, blend, both without bias--> BFHW, proportional to the amplitude; on request into each
        round of back-projection too
    from the second level on: the folded features of the level before --pixel shuffle, carry--> BFHW
    the sum, the initial features BFHW --lift--> folded BFHW
    rounds of back-projection: lower the folded, subtract the initial, lift the difference, add it;
        from the second level on, what was lowered is itself corrected in that way before, one level down
    folded --synthesis, of the colour matrix--> B(3f)HW --pixel shuffle--> residual B3(2H)(2W)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfx.engine.families.back_projection import BackProjection, Convolution, Level
from streamfx.engine.families.warp_mask import convolve

HEADS = ("residual",)
STRIDE = 1
SCALE = 2
NOISE_CHANNELS = 1
MOST_LEVELS = 3
_SQUARE = SCALE**2
_MOST_ITERATIONS = 8  # of weights that are used again: their file does not bound the number


class SuperResolution(nn.Module):
    """Levels of x2, all with the same weights.

    Nothing depends on the whole picture, so that it can be cut into tiles that overlap by `margin_pixels`.
    Colour matrices only change weights: a backend that knows them in advance computes those once.

    Args:
        features: Channels, at the size of the input; with several levels a multiple of 4.
        rounds: Rounds of back-projection of each level.
        levels: Doublings of the size, 1 to 3. A network of one level gives x4 when it is applied to its own
            result, but its second application knows nothing of the features of the first.
        shared: Whether all rounds have the same weights, so that there can be more or fewer of them later.
        noisy: Whether noise goes into every round as well, and not only into the initial features.

    Raises:
        ValueError: The levels, or rounds of shared weights, are too many or too few.

    Example:
        >>> import torch
        >>> rows = torch.eye(3, 4)
        >>> SuperResolution()(torch.rand(1, 4, 30, 47), rows, rows, torch.tensor([1.0])).shape
        torch.Size([1, 3, 60, 94])
        >>> SuperResolution(levels=2)(torch.rand(1, 8, 30, 47), rows, rows, torch.tensor([1.0])).shape
        torch.Size([1, 3, 120, 188])
    """

    bicubic: Tensor
    taps: Tensor

    def __init__(
        self,
        features: int = 32,
        rounds: int = 2,
        levels: int = 1,
        *,
        shared: bool = False,
        noisy: bool = False,
    ) -> None:
        super().__init__()
        _check(features, rounds, levels, shared=shared)
        half, quarter = features // 2, features // _SQUARE
        self.stem = Convolution(3, features)
        self.narrow = Convolution(features, features, side=1)
        self.enlarged = Convolution(3 * _SQUARE, half)
        self.join = Convolution(half, features, side=1)
        self.grain = nn.Parameter(torch.randn(half, NOISE_CHANNELS, 3, 3) / 3)
        self.blend = nn.Parameter(torch.zeros(features, half, 1, 1))  # noise is to earn its place
        self.lift = Convolution(features, features)
        self.slopes = nn.Parameter(torch.full((2, features), 0.1))
        weights = min(rounds, 1) if shared else rounds
        self.rounds = nn.ModuleList(BackProjection(features, noisy=noisy) for _ in range(weights))
        self.synthesis = Convolution(features, 3 * _SQUARE)
        self.levels, self.iterations = levels, rounds
        self.carry = self.thin = None
        if levels > 1:
            # From zero on: the first levels of an untrained network do what one level does, applied again.
            self.carry = nn.Parameter(torch.zeros(features, quarter, 1, 1))
            self.thin = nn.Parameter(torch.randn(quarter, features, 1, 1) / features**0.5)
        self.register_buffer("bicubic", _bicubic_of_folded(), persistent=False)
        self.register_buffer("taps", _bicubic_taps()[:, None], persistent=False)
        with torch.no_grad():
            self.synthesis.weight.mul_(0.1)  # begins close to the bicubic enlargement
            self.synthesis.bias.zero_()

    @property
    def noise_channels(self) -> int:
        """Channels of noise that go in: one picture for each level, folded to the size of the input."""
        return sum(_SQUARE**level for level in range(self.levels))

    @property
    def margin_pixels(self) -> int:
        """How far away, in pixels of the input, something can still change the result; at most that far
        where there are several levels."""
        reach = corrected = 0.0
        for level in range(self.levels):
            pixel = 0.5**level
            down = pixel if level else 0.0  # squares begin and end where those of the level below do
            corrected = self.iterations * (2 * pixel + down + corrected)
            reach += 5 * pixel + down + corrected
        return math.ceil(reach)

    def forward(
        self,
        planes_BNHW: Tensor,
        to_rgb_34: Tensor,
        from_rgb_34: Tensor,
        factor_1: Tensor,  # noqa: ARG002
    ) -> Tensor:
        """What the bicubic enlargement (a = -0.75, as OpenCV's; doubled once for each level) of the planes
        lacks.

        Args:
            planes_BNHW: Y, U, V in code values, all at one size, and standard normal noise times amplitude:
                one channel for the first level, then, folded, 4 and 16 for those above.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
            factor_1: Unused parameter: the network knows nothing of what a picture was before it was
                reduced.

        Returns:
            B3(2^L H)(2^L W): to be added to the enlarged Y, U, V, in code values.
        """
        noise = unfolded(planes_BNHW[:, 3:], self.levels)
        residual, *further = self.residuals(planes_BNHW[:, :3], noise, to_rgb_34, from_rgb_34)
        for added in further:
            residual = self.twice(residual) + added
        return residual

    def residuals(
        self, planes_B3HW: Tensor, noise: Sequence[Tensor], to_rgb_34: Tensor, from_rgb_34: Tensor
    ) -> list[Tensor]:
        """Residual of each level: what the bicubic enlargement of the picture of the level before lacks.

        Args:
            planes_B3HW: Y, U, V in code values.
            noise: Noise B1HW of as many levels as are wanted, each at the size that goes into it.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1].
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
        """
        levels: list[Level] = []
        found: list[Tensor] = []
        folded = None
        for noise_B1HW in noise:
            if found:
                planes_B3HW = self.twice(planes_B3HW) + found[-1]
            near = functional.relu(convolve(planes_B3HW, *self._stem(to_rgb_34)))
            wide = functional.relu(convolve(planes_B3HW, *self._enlarged(to_rgb_34), margin=3))
            grain = functional.relu(convolve(noise_B1HW, self.grain, None))
            sum_BFHW = self.narrow(near) + self.join(wide) + functional.conv2d(grain, self.blend)
            if folded is not None:
                sum_BFHW = sum_BFHW + self._carried(folded)
            initial = functional.prelu(sum_BFHW, self.slopes[0])
            folded = functional.prelu(self.lift(initial), self.slopes[1])
            levels.append(Level(-initial, grain))
            folded = self._corrected(folded, levels)
            residual = convolve(folded, *self._synthesis(from_rgb_34))
            found.append(functional.pixel_shuffle(residual, SCALE))
        return found

    def _corrected(self, folded_BFHW: Tensor, levels: Sequence[Level]) -> Tensor:
        """Folded features after all rounds of back-projection to the initial features of their level, the
        last of `levels`, and through these to those of all levels below."""
        *below, level = levels
        for number in range(self.iterations):
            back_project = self.rounds[number % len(self.rounds)]
            assert isinstance(back_project, BackProjection)
            lowered = back_project.lower(folded_BFHW)
            if below:
                assert self.thin is not None
                thin = functional.pixel_unshuffle(functional.conv2d(lowered, self.thin), SCALE)
                lowered = lowered + self._carried(self._corrected(thin, below) - thin)
            folded_BFHW = back_project(folded_BFHW, lowered, level.minus_initial_BFHW, level.grain_BGHW)
        return folded_BFHW

    def _carried(self, folded_BFHW: Tensor) -> Tensor:
        """Features BF(2H)(2W) of folded ones."""
        assert self.carry is not None
        return functional.conv2d(functional.pixel_shuffle(folded_BFHW, SCALE), self.carry)

    def twice(self, planes_B3HW: Tensor) -> Tensor:
        """Planes B3(2H)(2W), by the bicubic enlargement."""
        flat_N1HW = planes_B3HW.flatten(0, 1)[:, None]
        enlarged = functional.pixel_shuffle(convolve(flat_N1HW, self.taps, None, margin=2), SCALE)
        return enlarged.reshape(-1, 3, *enlarged.shape[2:])

    def translate(self, rgb_BNHW: Tensor, factor_1: Tensor) -> Tensor:
        """Residual in RGB of a picture in RGB, in [0, 1], and noise."""
        unchanged_34 = torch.eye(3, 4, device=rgb_BNHW.device)
        residual: Tensor = self(rgb_BNHW, unchanged_34, unchanged_34, factor_1)
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


def unfolded(noise_BNHW: Tensor, levels: int) -> list[Tensor]:
    """Noise of each level, B1(2^l H)(2^l W), of all channels that a network takes."""
    channels = [_SQUARE**level for level in range(levels)]
    parts = torch.split(noise_BNHW, channels, dim=1)
    return [
        functional.pixel_shuffle(part, SCALE**level) if level else part for level, part in enumerate(parts)
    ]


def _check(features: int, rounds: int, levels: int, *, shared: bool) -> None:
    """Refuse what no network can be.

    Raises:
        ValueError: See `SuperResolution`.
    """
    if not 1 <= levels <= MOST_LEVELS:
        raise ValueError(f"levels must be 1 to {MOST_LEVELS}, found {levels}")
    if levels > 1 and features % _SQUARE:
        raise ValueError(f"with {levels} levels features must be a multiple of {_SQUARE}, found {features}")
    if (shared or levels > 1) and rounds > _MOST_ITERATIONS:
        raise ValueError(
            f"rounds of shared weights or with several levels are {_MOST_ITERATIONS} at most, found {rounds}"
        )


def _bicubic_taps() -> Tensor:
    """Weights f55: what each of the four pixels of the bicubic enlargement takes from the 5 x 5 around."""
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[..., 4, 4] = 1
    enlarged = functional.interpolate(impulse, scale_factor=SCALE, mode="bicubic", align_corners=False)
    # The answer to an impulse is a convolution's, the taps are a correlation's: hence flipped.
    return functional.pixel_unshuffle(enlarged, SCALE)[0, :, 2:7, 2:7].flip(1, 2)


def _bicubic_of_folded() -> Tensor:
    """Matrix (9f) x 49 from weights 3 x 3 for the four folded pixels of the bicubic enlargement to weights
    7 x 7 for the picture itself."""
    taps_f55 = _bicubic_taps()
    places = torch.eye(9 * _SQUARE).reshape(9 * _SQUARE, _SQUARE, 3, 3)
    return functional.conv_transpose2d(places, taps_f55[:, None]).reshape(9 * _SQUARE, 49)
