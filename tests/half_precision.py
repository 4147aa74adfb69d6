"""How far networks in half precision are from their golden heads, as torch computes them on a processor."""

from __future__ import annotations

import torch

from streamfx.backends.constant_folding import folded
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.tensorrt import TOLERANCE
from streamfx.engine.folder import Engine
from streamfx.engine.golden import HeadsDifference, difference


def half_error(engine: Engine) -> HeadsDifference:
    """Return how far the engine's network is with weights, input and layers in half precision."""
    golden = engine.golden
    shape = (1, *golden.planes.shape)
    graph = folded(engine, Setting.of(golden.to_rgb, golden.from_rgb, golden.factor), shape).half()
    with torch.inference_mode():
        heads = graph(torch.from_numpy(golden.planes)[None].half())
    return difference(heads[0].float().numpy(), golden, TOLERANCE.roundoff)
