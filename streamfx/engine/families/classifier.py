"""Classifier: what kind of picture this is, or how good, as maps of scores.

Legend of shapes: B pictures, H x W picture (multiples of 16), K classes, W1..W4 channels of the four stages.

    planes B3HW --colour matrix, detail beside it if asked for, pixel unshuffle--> B12(H/2)(W/2) or B24...
    --stage 1--> BW1(H/2)(W/2)
    --stage 2, stride 2--> BW2(H/4)(W/4) --stage 3--> BW3(H/8)(W/8) --stage 4--> BW4(H/16)(W/16)
    --1x1--> scores BK(H/16)(W/16)

Fully convolutional after Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation"
(2015): every place gives its own scores, so pictures of all sizes are judged alike.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfx.engine.families.warp_mask import affine

HEADS = ("scores",)
STRIDE = 16
_AMPLIFIED = 20.0


class Classifier(nn.Module):
    """Small fully convolutional network that gives one map of scores for each class.

    The scores of a picture are the means of its maps; their softmax gives the probabilities, see
    `probabilities`.

    Args:
        classes: Number of classes.
        width: Channels of the first stage; the others have 2, 4 and 6 times as many.
        detail: Whether the difference to the mean of 3 x 3 pixels, amplified, is seen beside the picture. It
            holds what tells noise, blur and blocks, and is lost beside all the rest when a training begins.

    Example:
        >>> import torch
        >>> rows = torch.eye(3, 4)
        >>> Classifier(3)(torch.rand(1, 3, 64, 96), rows, rows, torch.tensor([1.0])).shape
        torch.Size([1, 3, 4, 6])
    """

    def __init__(self, classes: int, width: int = 16, detail: bool = False) -> None:
        super().__init__()
        self.detail = detail
        widths = (width, 2 * width, 4 * width, 6 * width)
        self.stage1 = nn.Sequential(*_layer(24 if detail else 12, widths[0], stride=1))
        self.stage2 = _stage(widths[0], widths[1])
        self.stage3 = _stage(widths[1], widths[2])
        self.stage4 = _stage(widths[2], widths[3])
        self.scores = nn.Conv2d(widths[3], classes, 1)

    def forward(
        self,
        planes_B3HW: Tensor,
        to_rgb_34: Tensor,
        from_rgb_34: Tensor,  # noqa: ARG002 - every family is called alike
        factor_1: Tensor,  # noqa: ARG002
    ) -> Tensor:
        """Scores for planes.

        Args:
            planes_B3HW: Y, U, V in code values, all at one size, multiples of 16.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Unused parameter: no picture comes out.
            factor_1: Unused parameter: the picture is judged as it is.

        Returns:
            BK(H/16)(W/16), not normalised.
        """
        return self.scores_of(affine(planes_B3HW, to_rgb_34))

    def scores_of(self, rgb_B3HW: Tensor) -> Tensor:
        """Scores of a picture in RGB, in [0, 1]."""
        seen = 4 * rgb_B3HW - 2
        if self.detail:
            smooth_B3HW = functional.avg_pool2d(rgb_B3HW, 3, 1, 1, count_include_pad=False)
            seen = torch.cat([seen, _AMPLIFIED * (rgb_B3HW - smooth_B3HW)], dim=1)
        features = self.stage4(self.stage3(self.stage2(self.stage1(functional.pixel_unshuffle(seen, 2)))))
        scores_BKhw: Tensor = self.scores(features)
        return scores_BKhw


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_layer(inputs, outputs, stride=2), *_layer(outputs, outputs, stride=1))


def _layer(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    """A convolution with batch norm (Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training
    by Reducing Internal Covariate Shift", 2015). Without it hundreds of steps teach nothing; once trained it
    is but a factor, which backends fold into the convolution."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


def probabilities(scores_BKhw: Tensor) -> Tensor:
    """Probability of each class for each picture, BK, from its maps of scores."""
    return torch.softmax(scores_BKhw.float().mean((2, 3)), dim=1)
