"""Network: a small network of others, read from a TFLite file and run on the CPU in float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from openvino import Model, Output
    from openvino.frontend import NodeContext

JUDGES = Path(__file__).parents[1] / "judges"

Real = NDArray[np.float32]

_SIDE = 2  # of the kernel of a transposed convolution, and its step: no two places of its output overlap


@cache
def open_network(path: Path) -> Callable[[Real], tuple[Real, ...]]:
    """What gives the outputs of a network for its one input, both in the file's layout; for one thread. Each
    is opened once."""
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    model = openvino.Core().compile_model(read_network(path), "CPU", settings)
    request = model.create_infer_request()

    def run(values: Real) -> tuple[Real, ...]:
        found = request.infer({0: values})
        return tuple(np.array(found[output], np.float32) for output in model.outputs)

    return run


def read_network(path: Path) -> Model:
    """What OpenVINO reads of a network's file, MediaPipe's own operations among it."""
    import openvino
    from openvino.frontend import ConversionExtension

    core = openvino.Core()
    core.add_extension(ConversionExtension("Convolution2DTransposeBias", transposed_convolution))
    return core.read_model(path)


def transposed_convolution(node: NodeContext) -> list[Output]:
    """MediaPipe's own operation, which OpenVINO does not know: a transposed convolution, 2 x 2 with step 2,
    and a bias. It takes values BHWC, a kernel OHWI and a bias O."""
    from openvino import opset13 as ops

    values_BHWC, kernel_OHWI, bias_O = (node.get_input(index) for index in range(3))
    shape = list(kernel_OHWI.get_shape())
    if shape[1:3] != [_SIDE, _SIDE]:
        raise ValueError(f"a transposed convolution with a kernel {shape}: only {_SIDE} x {_SIDE} is read")
    values_BCHW = ops.transpose(values_BHWC, [0, 3, 1, 2])
    kernel_IOHW = ops.transpose(kernel_OHWI, [3, 0, 1, 2])
    larger_BCHW = ops.convolution_backprop_data(values_BCHW, kernel_IOHW, [_SIDE, _SIDE])
    larger_BHWC = ops.transpose(larger_BCHW, [0, 2, 3, 1])
    return [ops.add(larger_BHWC, bias_O).output(0)]
