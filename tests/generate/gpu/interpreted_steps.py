"""What stays on a GPU and is placed, added or fused, by the GPU's kernels in Triton's interpreter, beside
the ordinary flow; prints how far off it is as JSON.

    TRITON_INTERPRET=1 python -m tests.generate.gpu.interpreted_steps

Run by `test_placed_heads.py` in a process of its own, because the variable is read when a kernel is defined.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from streamfx.engine.folder import Engine
from streamfx.engine.golden import Array, Golden
from streamfx.engine.spec import EngineSpec
from streamfx.generate.gpu.fused_heads import FusedHeads
from streamfx.generate.gpu.placed_heads import PlacedHeads
from streamfx.generate.gpu.steps import GraphKey, HeadSteps, Network
from streamfx.generate.network_input import Noise, network_input
from streamfx.generate.network_output import NetworkOutput
from streamfx.generate.ops import dispatch as steps
from streamfx.generate.ops.fuse import triton as fuse_triton
from streamfx.generate.ops.place import triton as place_triton
from streamfx.generate.ops.reduce import triton as reduce_triton
from streamfx.gpu.layout import Layout, arrays_of, copy_surface, fill
from streamfx.gpu.pool import Slot, device_memory
from streamfx.media.frame import CodeRange, Colour, Frame, Matrix
from tests.generate.ops.interpreted_kernels import ask_for_overflow
from tests.generate.test_network_input import make_spec

SIZE, STRENGTH = (21, 34), 0.7
COLOUR = Colour(Matrix.BT709, CodeRange.LIMITED).assumed(SIZE[0])
NOISE = Noise(0.5, 3, 1)
CPU = torch.device("cpu")

INKED = {
    "format": 2,
    "stride": 4,
    "heads": ["translated", "mask", "displacement", "detail", "ink"],
    "fine_luma": 4,
    "max_displacement_pixels": 2.0,
}
ENGINES: dict[str, tuple[dict[str, Any], float]] = {
    "planes, their edge repeated": ({}, 1.0),
    "planes, twice as large, with noise": ({"scale": 2, "noise_channels": 2}, 2.0),
    "each plane on its own grid": ({"layout": "i420"}, 1.0),
    "each plane on its own grid, reduced": ({"layout": "i420"}, 2.0),
    "added": ({"heads": ["residual"]}, 1.0),
    "fused, with ink and fine luma": (INKED, 2.0),
}
FORMS = {
    "i420": Layout(SIZE),
    "nv12": Layout(SIZE, paired=True),
    "p010": Layout(SIZE, depth=10, paired=True, high=True),
    "10 bits": Layout(SIZE, depth=10),
}


def heads_of(values: Array, spec: EngineSpec) -> Array:
    """Return what a network might give: the picture changed, and its noise as strong as that it would be
    missed."""
    picture = values[:3] * np.float32(0.9) + 4
    if spec.fuses:
        return fused_heads(picture, values[3:])
    if spec.noise_channels:
        picture = picture + 60 * values[3:].mean(0)
    larger: Array = np.kron(picture, np.ones((1, spec.scale, spec.scale))).astype(np.float32)
    return larger


def fused_heads(picture: Array, fine: Array) -> Array:
    """Return such heads with ink, each of which hangs on channels of fine luma of its own."""
    code = np.abs(fine).max()
    shares = (fine / code).reshape(8, 2, *fine.shape[1:]).mean(1)
    mask, move_x, move_y, gain, offset, rise, fall, amplitude = shares
    inks = (gain + 0.5, offset, rise / 20, fall / 20, code * amplitude)
    heads: Array = np.stack([*picture, 0.7 + mask, 3 * move_x, 3 * move_y, *inks]).astype(np.float32)
    return heads


def way_of(engine: Engine, compiled: Any, kind: GraphKey) -> HeadSteps:
    """Return the steps before and after a network, as they are put on a GPU."""
    spec = engine.spec
    if not spec.fuses:
        return PlacedHeads(engine, compiled, kind, CPU)
    bound = spec.max_displacement_pixels
    network = Network(
        "toy", compiled, spec.stride, bound, spec.fine_luma, memory_tolerance=spec.memory_tolerance
    )
    return FusedHeads(network, kind, CPU)


def difference(described: dict[str, Any], factor: float, form: Layout) -> int:
    """Return by how many codes the two flows differ at most."""
    spec = make_spec(**described)
    random, chroma = np.random.default_rng(5), form.subsampling.chroma_size(SIZE)
    dtype = np.uint8 if form.depth == 8 else np.uint16
    y, u, v = (random.integers(0, 1 << form.depth, size, dtype) for size in (SIZE, chroma, chroma))
    frame = Frame((y, u, v), form.subsampling, form.depth, COLOUR, 0, 0, Fraction(1, 25))
    seen = network_input(frame, COLOUR, spec, factor, NOISE)
    heads = heads_of(seen.values, spec)
    expected = NetworkOutput(spec, COLOUR, STRENGTH, 1).full_size(frame, seen, heads)

    golden = Golden(seen.values, np.eye(3, 4, dtype=np.float32), np.eye(3, 4, dtype=np.float32), 1.0, heads)
    compiled: Any = SimpleNamespace(dtype=torch.float32, heads_shape=golden.heads_shape)
    steps = way_of(Engine(Path(), spec, golden), compiled, GraphKey(form, COLOUR, factor, 0))
    source, target, planar = (Slot.new(each, device_memory(CPU)) for each in (form, form, form.planar))
    fill(source.surface, frame.planes)
    flag = torch.zeros(1, dtype=torch.int32)

    def network(values: torch.Tensor, to: torch.Tensor) -> None:
        to[0] = torch.from_numpy(heads_of(values[0].numpy(), spec))

    steps.take(NOISE)
    steps.reduce(source.surface)
    steps.translate(network)
    steps.full_size(source.surface, target.surface, torch.full((1,), STRENGTH), flag)
    assert not int(flag)
    copy_surface(target.surface, planar.surface)
    pairs = zip(arrays_of(planar.surface), expected, strict=True)
    return max(int(np.abs(found.astype(int) - plane).max()) for found, plane in pairs)


def main() -> None:
    """Print the differences, by engine and form."""
    steps.by_processor = lambda pixels: False
    # What the interpreter takes is per program: a few do a picture, and more than one in each direction.
    tiles = {"FuseTile": fuse_triton, "PlaceTile": place_triton, "ReduceTile": reduce_triton}
    for tile, module in tiles.items():
        setattr(module, tile, partial(getattr(module, tile), 16, 16))
    differences = {}
    for number, (engine, (name, form)) in enumerate(product(ENGINES, FORMS.items())):
        ask_for_overflow(number)
        differences[f"{engine}, {name}"] = difference(*ENGINES[engine], form)
    json.dump(differences, sys.stdout)


if __name__ == "__main__":
    main()
