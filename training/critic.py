"""Critics of adversarial training, and every term made of their two sets of probabilities.

A critic gives each patch of a picture a probability of being true, as a logit. One set of probabilities is
for true pictures, one for made ones; both correct the critic, the second corrects the generator (Goodfellow
et al., "Generative Adversarial Nets", 2014, in the form whose gradient does not vanish).

Legend of shapes: B pictures, C channels, H x W picture, h x w patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm


class PatchCritic(nn.Module):
    """Judges overlapping patches, each by itself: texture and strokes rather than what the scene shows.

    A PatchGAN (Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial
    Networks", 2017) with spectral normalisation (Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization
    for Generative Adversarial Networks", 2018), which needs no statistics of a batch and no second gradient.
    Patches are 22 pixels wide with two halvings, 46 with three.

    Args:
        channels: Channels of the pictures: 3, or more where a condition is laid beside them.
        width: Channels after the first halving; each further one doubles them.
        halvings: Number of times that the size is halved, at least 1.

    Example:
        >>> import torch
        >>> PatchCritic(3)(torch.rand(1, 3, 64, 96)).shape
        torch.Size([1, 1, 7, 11])
    """

    def __init__(self, channels: int, width: int = 32, halvings: int = 3) -> None:
        super().__init__()
        widths = [channels, *(width * 2**step for step in range(halvings))]
        self.halve = nn.ModuleList(
            spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1)) for inputs, outputs in pairwise(widths)
        )
        self.judge = spectral_norm(nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, picture_BCHW: Tensor) -> Tensor:
        """Logits B1hw of the probability that a patch is true, for values in [0, 1]."""
        features = 2 * picture_BCHW - 1
        for halve in self.halve:
            features = functional.leaky_relu(halve(features), 0.2)
        logits_B1hw: Tensor = self.judge(features)
        return logits_B1hw


class FeatureCritic(nn.Module):
    """Judges patches by what a frozen VGG-19 sees in them, at one scale for each of its layers.

    Such a critic knows strokes and edges from the start, where one of pixels first has to learn them (Sauer,
    Chitta, Mueller, Geiger, "Projected GANs Converge Faster", 2021). Patches are 10, 20 and 36 pixels wide.

    Args:
        conditions: Planes laid beside the features, each of one value for the whole picture.
        width: Channels of each scale's own convolutions.
        layers: Number of layers of `training.features.LAYERS` that are looked at, at most 3.
    """

    def __init__(self, conditions: int = 0, width: int = 32, layers: int = 3) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            _scale(channels + conditions, width, 4 >> level)
            for level, channels in enumerate((64, 128, 256)[:layers])
        )

    def forward(self, features: Sequence[Tensor], conditions: Sequence[float] = ()) -> Tensor:
        """Logits BLhw of the probability that a patch is true, one channel for each of L layers, for features
        as `training.features.Encoder` gives them of pictures whose sides are multiples of 4."""
        logits = []
        for scale, layer_BChw in zip(self.scales, features, strict=True):
            planes = [torch.full_like(layer_BChw[:, :1], value) for value in conditions]
            logits.append(scale(torch.cat([layer_BChw, *planes], dim=1)))
        return torch.cat(logits, dim=1)


def _scale(channels: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        spectral_norm(nn.Conv2d(channels, width, 1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(width, width, stride + 2, stride, 1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(width, 1, 1)),
    )


def true_term(true_logits_B1hw: Tensor) -> Tensor:
    """Mean of -log D over patches of true pictures: what a critic pays for doubting them; scalar."""
    return functional.softplus(-true_logits_B1hw.float()).mean()


def made_term(made_logits_B1hw: Tensor) -> Tensor:
    """Mean of -log(1 - D) over patches of made pictures: what a critic pays for believing them; scalar."""
    return functional.softplus(made_logits_B1hw.float()).mean()


def belief_term(made_logits_B1hw: Tensor) -> Tensor:
    """Mean of -log D over patches of made pictures: what a generator pays for not being believed; scalar."""
    return functional.softplus(-made_logits_B1hw.float()).mean()


def cycle_term(returned_B3HW: Tensor, start_B3HW: Tensor, square_pixels: int = 1) -> Tensor:
    """Mean absolute difference of a picture sent to the other domain and back, and itself; scalar (Zhu, Park,
    Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017).
    With squares of more than one pixel their means are compared: what is shown, not where each stroke is."""
    return functional.avg_pool2d(returned_B3HW - start_B3HW, square_pixels).abs().mean()


def identity_term(kept_B3HW: Tensor, given_B3HW: Tensor) -> Tensor:
    """Mean absolute difference of a picture that is already in the target domain and what its generator makes
    of it; scalar (Taigman, Polyak, Wolf, "Unsupervised Cross-Domain Image Generation", 2016)."""
    return (kept_B3HW - given_B3HW).abs().mean()
