"""How far pictures are from the true ones: distortion and perceptual distance.

Legend of shapes: B pictures, H x W picture, C_l channels of layer l at (h_l, w_l).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from training.losses import luma

_WINDOW = 11  # of SSIM, in pixels
_DEVIATION = 1.5


def psnr_luma(rgb_B3HW: Tensor, truth_B3HW: Tensor, border: int = 0) -> Tensor:
    """Peak signal-to-noise ratio of the luma of each picture, B, in dB; infinite where nothing differs.

    Luma spans 0 to 1 here. On luma that spans 16 to 235 of 255 the customary figure comes out 1.3 dB higher.

    Args:
        rgb_B3HW: Pictures in [0, 1].
        truth_B3HW: True pictures in [0, 1].
        border: Pixels at each side that do not count.
    """
    difference_B1HW = luma(rgb_B3HW) - luma(truth_B3HW)
    return -10 * torch.log10(_inner(difference_B1HW, border).square().mean((1, 2, 3)))


def ssim(rgb_B3HW: Tensor, truth_B3HW: Tensor, border: int = 0) -> Tensor:
    """Structural similarity of the luma of each picture, B, at most 1 (Wang, Bovik, Sheikh, Simoncelli,
    "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004).

    Arguments as those of `psnr_luma`; what remains must be at least 11 x 11 pixels.
    """
    x_B1HW, y_B1HW = (_inner(luma(rgb), border) for rgb in (rgb_B3HW, truth_B3HW))
    places = torch.arange(_WINDOW, dtype=x_B1HW.dtype, device=x_B1HW.device) - _WINDOW // 2
    bell = torch.exp(-places.square() / (2 * _DEVIATION**2))
    bell = bell / bell.sum()

    def blurred(picture_B1HW: Tensor) -> Tensor:
        rows = functional.conv2d(picture_B1HW, bell.reshape(1, 1, -1, 1))
        return functional.conv2d(rows, bell.reshape(1, 1, 1, -1))

    mean_x, mean_y = blurred(x_B1HW), blurred(y_B1HW)
    variance_x = blurred(x_B1HW.square()) - mean_x.square()
    variance_y = blurred(y_B1HW.square()) - mean_y.square()
    covariance = blurred(x_B1HW * y_B1HW) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    brightness = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (brightness * structure).mean((1, 2, 3))


def perceptual_distance(layers: Sequence[Tensor], true_layers: Sequence[Tensor]) -> Tensor:
    """Mean over layers and places of the squared difference of VGG-19 features, B; 0 to 4.

    The features of each place are first scaled to length 1, as in Zhang, Isola, Efros, Shechtman, Wang, "The
    Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (2018), here without learned weights.

    Args:
        layers: Features B(C_l)(h_l)(w_l) of the pictures, from `training.features.Encoder`.
        true_layers: Layers of the true pictures.
    """
    each = [
        (unit(features.float()) - unit(true.float())).square().sum(1).mean((1, 2))
        for features, true in zip(layers, true_layers, strict=True)
    ]
    return torch.stack(each).mean(0)


def unit(features_BCN: Tensor) -> Tensor:
    """Features BC... with those of each place scaled to length 1; nothing stays nothing."""
    return features_BCN / (features_BCN.square().sum(1, keepdim=True) + 1e-10).sqrt()


def _inner(picture_BCHW: Tensor, border: int) -> Tensor:
    height, width = picture_BCHW.shape[2:]
    return picture_BCHW[..., border : height - border, border : width - border]
