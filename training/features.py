"""The frozen VGG-19 that looks at pictures, and the AdaIN decoder that serves as first teacher.

Legend of shapes: B pictures, H x W picture, C_l channels of layer l at (H_l, W_l).
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

ASSETS = Path(__file__).parent / "assets"
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")

_ENDS = (3, 10, 17, 30)  # index of each layer of LAYERS in the sequential
_ENCODER = (
    "c3-3-1 p c3-64-3 r p c64-64-3 r m p c64-128-3 r p c128-128-3 r m p c128-256-3 r "
    "p c256-256-3 r p c256-256-3 r p c256-256-3 r m p c256-512-3 r"
)
_DECODER = (
    "p c512-256-3 r u p c256-256-3 r p c256-256-3 r p c256-256-3 r p c256-128-3 r u "
    "p c128-128-3 r p c128-64-3 r u p c64-64-3 r p c64-3-3"
)


class Encoder(nn.Module):
    """Normalised VGG-19 up to relu4_1: features of RGB pictures in [0, 1].

    Weights after Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition"
    (2014), normalised as in Huang, Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
    Normalization" (2017). The first layer turns RGB into what VGG expects; do not normalise the input.
    Pictures need at least 9 x 9 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = _load(_ENCODER, ASSETS / "vgg19_relu4_1.safetensors")

    def forward(self, rgb_B3HW: Tensor, deepest: int = len(LAYERS)) -> list[Tensor]:
        """Features at the first `deepest` of relu1_1, relu2_1, relu3_1 and relu4_1, each BC_lH_lW_l."""
        found: list[Tensor] = []
        x = rgb_B3HW.contiguous(memory_format=torch.channels_last)
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in _ENDS:
                found.append(x)
            if len(found) == deepest:
                break
        return found


class Decoder(nn.Module):
    """Decoder of AdaIN (Huang, Belongie, 2017): RGB picture from features at relu4_1."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _load(_DECODER, ASSETS / "adain_decoder.safetensors")

    def forward(self, features_B512hw: Tensor) -> Tensor:
        """Pictures B3(8h)(8w), roughly in [0, 1]."""
        rgb_B3HW: Tensor = self.layers(features_B512hw)
        return rgb_B3HW


def adain(content_BChw: Tensor, style_1Cij: Tensor) -> Tensor:
    """Content features with mean and deviation of each channel replaced by the style's (Huang, Belongie,
    2017)."""
    mean, deviation = _statistics(content_BChw)
    style_mean, style_deviation = _statistics(style_1Cij)
    return (content_BChw - mean) / deviation * style_deviation + style_mean


def _statistics(features_BChw: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(features_BChw.float(), dim=(2, 3), keepdim=True)
    return mean, (variance + 1e-5).sqrt()


def _load(layout: str, weights: Path) -> nn.Sequential:
    layers = nn.Sequential(*(_layer(word) for word in layout.split()))
    layers.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})
    for parameter in layers.parameters():
        parameter.data = parameter.data.to(memory_format=_layout(parameter))
    return layers.eval().requires_grad_(False)


def _layout(parameter: Tensor) -> torch.memory_format:
    return torch.channels_last if parameter.dim() == 4 else torch.contiguous_format


def _layer(word: str) -> nn.Module:
    if word.startswith("c"):
        inputs, outputs, side = map(int, word[1:].split("-"))
        return nn.Conv2d(inputs, outputs, side)
    if word == "p":
        return nn.ReflectionPad2d(1)
    if word == "m":
        return nn.MaxPool2d(2, ceil_mode=True)
    return nn.ReLU() if word == "r" else nn.Upsample(scale_factor=2, mode="nearest")
