"""The start of a training of the matting engine: the weights of MediaPipe's network, from its TFLite file.

The file lists layers and no names, so that they are taken in order; each must have the shape of the layer it
becomes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from streamfx.engine.families.matting import Bottleneck, Join, Matting, Weighing
from training.evaluation.network import read_network

if TYPE_CHECKING:
    from openvino import Node, Output

Real = NDArray[np.float32]

_CONVOLUTIONS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData")


def start_from_mediapipe(network: Matting, path: Path) -> None:
    """Give a network the weights of MediaPipe's; what that has not, answers to detail, stays as it is.

    Args:
        network: Network to change.
        path: ``selfie_segmentation.tflite`` or the one for pictures that are wider than high.

    Raises:
        ValueError: The file holds another network.
    """
    found = list(_layers(path))
    wanted = list(_in_order(network))
    shapes = [[list(values.shape) for values in pair] for pair in found]
    expected = [_shapes(layer, network) for layer in wanted]
    if shapes != expected:
        raise ValueError(f"{path} does not hold MediaPipe's network for people in front of a camera")
    with torch.no_grad():
        for layer, (weight, bias) in zip(wanted, found, strict=True):
            values, offsets = torch.from_numpy(weight), torch.from_numpy(bias)
            if layer is network.person:  # a transposed convolution: its four places are channels here
                values, offsets = values[:, 0].flatten(1).T[:, :, None, None], offsets.expand(4)
            layer.weight.copy_(values.reshape(layer.weight.shape))
            assert layer.bias is not None
            layer.bias.copy_(offsets)


def _in_order(network: Matting) -> Iterator[nn.Conv2d | nn.Linear]:
    """Layers in the order in which the file lists them."""
    yield network.stem
    for block in (network.quarter, *network.eighth, *network.sixteenth):
        assert isinstance(block, Bottleneck)
        yield from (block.expand, block.filter)
        yield from _weighing(block.weighing)
        yield block.narrow
    yield from (network.widen, network.whole)
    for join in (network.join_eighth, network.join_quarter, network.join_half):
        assert isinstance(join, Join)
        yield join.narrow
        yield from _weighing(join.weighing)
        yield from (join.mix, join.filter)
    yield network.person


def _weighing(weighing: Weighing | None) -> Iterator[nn.Linear]:
    if weighing is not None:
        yield from (weighing.squeeze, weighing.excite)


def _shapes(layer: nn.Conv2d | nn.Linear, network: Matting) -> list[list[int]]:
    """Shapes of its weight and bias in the file."""
    outputs, *rest = layer.weight.shape
    if layer is network.person:
        return [[*rest[:1], 1, 2, 2], [1]]
    if isinstance(layer, nn.Linear):
        return [[outputs, *rest, 1, 1], [outputs]]
    return [[outputs, 1, *rest] if layer.groups > 1 else [outputs, *rest], [outputs]]


def _layers(path: Path) -> Iterator[tuple[Real, Real]]:
    """Weight and bias of each convolution of a TFLite file, in its order.

    Both are computed by OpenVINO: the file holds them in half precision and other layouts.
    """
    import openvino

    wanted: list[Output] = []
    for node in read_network(path).get_ordered_ops():
        if node.get_type_name() in _CONVOLUTIONS:
            (added,) = (target.get_node() for target in node.output(0).get_target_inputs())
            wanted += [node.input_value(1), *_others(added, node)]
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    computed = openvino.Core().compile_model(openvino.Model(wanted, [], "weights"), "CPU", settings)([])
    values = [np.array(computed[index], np.float32) for index in range(len(wanted))]
    for weight, bias in zip(values[::2], values[1::2], strict=True):
        yield weight, bias.reshape(-1)


def _others(added: Node, node: Node) -> list[Output]:
    """What is added to the output of a node."""
    name = node.get_friendly_name()
    return [value for value in added.input_values() if value.get_node().get_friendly_name() != name]
