"""Changes to a model of OpenVINO before it is compiled: constants, pixel shuffles, integers of 8 bits, and
its beginning and end, which are left to kernels of our own.

Eight bits follow Jacob and others, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (2018), after training: weights are symmetric with a scale for each output
channel, and what flows between layers has the range that was measured on pictures. The layers that see the
picture itself stay as they are: differences of a few codes decide there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from streamfx.backends.openvino_library import core, openvino

Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""Lowest and highest value of what flows between layers, by the name of the layer that gives it."""

_CONVOLUTIONS = {"Convolution": (0,), "GroupConvolution": (0, 1)}
"""Axes of the weights that number the output channels."""
_LEAST_SCALE = 1e-9
_OF_A_SHUFFLE = [0, 1, 4, 2, 5, 3]
"""Order of the axes: batch, channels, rows, rows of a square, columns, columns of a square."""
_CHANNELS_LAST, _CHANNELS_SECOND = [0, 2, 3, 1], [0, 3, 1, 2]


def compute_constants(model: Any) -> None:
    """Replace what depends on no input by its value.

    OpenVINO does the same while it compiles, but later: it then sees no weights where some are computed.
    """
    opset = openvino().opset13
    fed = _fed_by(model, lambda node: node.get_type_name() == "Parameter")
    edges = [
        (port, port.get_source_output())
        for node in model.get_ordered_ops()
        if node.get_name() in fed
        for port in node.inputs()
        if (giver := port.get_source_output().get_node()).get_name() not in fed
        and giver.get_type_name() != "Constant"
    ]
    if not edges:
        return
    constants = openvino().Model([opset.result(output) for _, output in edges], [], "constants")
    request = (
        core().compile_model(constants, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    )
    request.infer()
    for number, (port, _) in enumerate(edges):
        value = np.array(request.get_output_tensor(number).data)
        port.replace_source_output(opset.constant(value).output(0))


def fix_shape(model: Any, shape: tuple[int, ...]) -> None:
    """Give the only input its shape, and what follows from shapes its values."""
    from openvino.passes import ConstantFolding, Manager

    model.reshape({model.input(0): openvino().PartialShape(list(shape))})
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)


def shuffle_at_once(model: Any) -> None:
    """Replace pixel shuffles made of a reshape, a transposition and a reshape by OpenVINO's own operation."""
    for node in model.get_ordered_ops():
        chain = [node]
        while len(chain) < 3 and chain[-1].get_input_size():
            chain.append(chain[-1].input(0).get_source_output().get_node())
        if [link.get_type_name() for link in chain] != ["Reshape", "Transpose", "Reshape"]:
            continue
        order = chain[1].input(1).get_source_output().get_node()
        given, split = chain[2].input(0).get_source_output(), chain[2].output(0).get_partial_shape()
        if order.get_type_name() != "Constant" or list(order.get_data()) != _OF_A_SHUFFLE:
            continue
        channels, *blocks = given.get_partial_shape()[1], split[2], split[3]
        if any(length.is_dynamic for length in (channels, *blocks)):
            continue
        block = blocks[0].get_length()
        if blocks[1].get_length() != block or channels.get_length() % block**2:
            continue
        shuffled = openvino().opset13.depth_to_space(given, "depth_first", block)
        node.output(0).replace(shuffled.output(0))


def packed_inputs(model: Any) -> tuple[Any, int] | None:
    """Return the model with what it sees laid out as its first convolution reads it, and the border's width.

    OpenVINO passes over what is seen twice to lay it out and to repeat its edge. The changed model takes
    (1, h + 2 m, w + 2 m, 4 B), bfloat16: the border is there, channels come last, and are filled up with
    zeros to blocks of 4. None: the model begins in another way.

    Args:
        model: a model with one input, (1, N, h, w), of one size.
    """
    opset = openvino().opset13
    (seen,) = model.get_parameters()
    pad = _only_reader(seen)
    if pad is None or pad.get_type_name() != "Pad" or pad.get_attributes()["pad_mode"] != "edge":
        return None
    convolution = _only_reader(pad)
    if convolution is None or convolution.get_type_name() != "Convolution":
        return None
    begins, ends = (list(pad.input(at).get_source_output().get_node().get_data()) for at in (1, 2))
    weights = convolution.input(1).get_source_output().get_node()
    margin = int(begins[-1])
    if begins != [0, 0, margin, margin] or ends != begins or weights.get_type_name() != "Constant":
        return None
    _, channels, height, width = (length.get_length() for length in seen.get_partial_shape())
    missing = -channels % 4
    shape = [1, height + 2 * margin, width + 2 * margin, channels + missing]
    packed = opset.parameter(shape, openvino().Type.bf16, name="packed")
    as_before = opset.transpose(opset.convert(packed, "f32"), _CHANNELS_SECOND)
    filled = np.pad(weights.get_data(), [(0, 0), (0, missing), (0, 0), (0, 0)])
    convolution.input(0).replace_source_output(as_before.output(0))
    convolution.input(1).replace_source_output(opset.constant(filled).output(0))
    return openvino().Model(model.get_results(), [packed], "packed"), margin


def without_shuffle(model: Any) -> tuple[Any, Any] | None:
    """Return the model without its end, a bias and a pixel shuffle of squares of 2, and that bias.

    OpenVINO passes over the heads four times for both. The shorter model gives what the last convolution
    gives, channels last, as it lies there in any case: (1, h, w, 4 K); the bias is (4 K), float32.
    None: the model ends in another way.
    """
    opset = openvino().opset13
    links = [model.get_results()[0]]
    for kind in ("DepthToSpace", "Add", "Convolution"):
        links.append(links[-1].input(0).get_source_output().get_node())
        if links[-1].get_type_name() != kind:
            return None
    _, shuffle, added, convolution = links
    how, given = shuffle.get_attributes(), added.input(1).get_source_output().get_node()
    if (how["mode"], how["block_size"]) != ("depth_first", 2) or given.get_type_name() != "Constant":
        return None
    bias = given.get_data().astype(np.float32).ravel()
    if len(bias) != convolution.output(0).get_partial_shape()[1].get_length():
        return None
    last = opset.transpose(convolution.output(0), _CHANNELS_LAST)
    return openvino().Model([opset.result(last)], model.get_parameters(), "heads"), bias


def flows(model: Any) -> dict[str, Any]:
    """Return the outputs that convolutions read and other convolutions had a part in, by name."""
    made = _fed_by(model, lambda node: node.get_type_name() in _CONVOLUTIONS)
    found: dict[str, Any] = {}
    for node in _convolutions(model):
        output = _read_by(node)
        giver = output.get_node()
        if giver.get_name() in made and giver.get_output_size() == 1:
            found[giver.get_friendly_name()] = output
    return found


def use_integers(model: Any, ranges: Ranges) -> None:
    """Let convolutions compute in integers of 8 bits, as far as the range of what they read is known."""
    opset = openvino().opset13
    known = {name: output for name, output in flows(model).items() if name in ranges}
    readers = [
        node for node in _convolutions(model) if _read_by(node).get_node().get_friendly_name() in known
    ]
    for node in readers:
        weights = node.input(1).get_source_output()
        if weights.get_node().get_type_name() != "Constant":
            continue
        values = weights.get_node().get_data()
        channels = _CONVOLUTIONS[node.get_type_name()]
        others = tuple(axis for axis in range(values.ndim) if axis not in channels)
        largest = np.maximum(np.abs(values).max(axis=others, keepdims=True), _LEAST_SCALE).astype(np.float32)
        rounded = opset.fake_quantize(weights, -largest, largest, -largest, largest, 255)
        node.input(1).replace_source_output(rounded.output(0))
    for name, output in known.items():
        low, high = _with_zero(*ranges[name])
        ports = [port for port in output.get_target_inputs() if _leads_to_convolutions(port.get_node())]
        rounded = opset.fake_quantize(output, low, high, low, high, 256)
        for port in ports:
            port.replace_source_output(rounded.output(0))


def _only_reader(node: Any) -> Any | None:
    """Return what reads what a layer gives; None where that are several."""
    readers = list(node.output(0).get_target_inputs())
    return readers[0].get_node() if len(readers) == 1 else None


def _with_zero(low: float, high: float) -> tuple[Any, Any]:
    """Return the range, a little larger where it must be for 0 to be one of its 256 values."""
    low, high = min(low, 0.0), max(high, _LEAST_SCALE)
    step = (high - low) / 255
    below = int(np.ceil(-low / step)) if low else 0
    step = max(step, high / (255 - below)) if below < 255 else step
    return np.float32(-below * step), np.float32((255 - below) * step)


def _convolutions(model: Any) -> Iterator[Any]:
    return (node for node in model.get_ordered_ops() if node.get_type_name() in _CONVOLUTIONS)


def _read_by(convolution: Any) -> Any:
    """Return the output that a convolution reads; what only repeats its border is passed over."""
    output = convolution.input(0).get_source_output()
    while output.get_node().get_type_name() == "Pad":
        output = output.get_node().input(0).get_source_output()
    return output


def _leads_to_convolutions(node: Any) -> bool:
    """Tell whether all that a layer gives is read by convolutions, or is what one reads."""
    if node.get_type_name() != "Pad":
        return node.get_type_name() in _CONVOLUTIONS
    return all(_leads_to_convolutions(port.get_node()) for port in node.output(0).get_target_inputs())


def _fed_by(model: Any, starts: Callable[[Any], bool]) -> set[str]:
    """Return the names of the layers that start something, and of all behind them."""
    found: set[str] = set()
    for node in model.get_ordered_ops():
        givers = (port.get_source_output().get_node().get_name() for port in node.inputs())
        if starts(node) or any(giver in found for giver in givers):
            found.add(node.get_name())
    return found
