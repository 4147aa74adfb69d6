"""Network: a small network of others, read from a TFLite file and run on the CPU in float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

JUDGES = Path(__file__).parents[1] / "judges"

Real = NDArray[np.float32]


@cache
def open_network(path: Path) -> Callable[[Real], tuple[Real, ...]]:
    """What gives the outputs of a network for its one input, both in the file's layout; for one thread. Each
    is opened once."""
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    model = core.compile_model(core.read_model(path), "CPU", settings)
    request = model.create_infer_request()

    def run(values: Real) -> tuple[Real, ...]:
        found = request.infer({0: values})
        return tuple(np.array(found[output], np.float32) for output in model.outputs)

    return run
