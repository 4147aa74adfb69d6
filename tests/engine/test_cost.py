"""What a network computes, counted from its weights, against what torch counts while it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from streamfx.engine.cost import layers_of, weight_shapes
from streamfx.engine.folder import WEIGHTS, Engine, read_engine
from streamfx.engine.library import list_engines
from streamfx.engine.spec import EngineSpec
from streamfx.errors import EngineCorruptError
from tests.engines import make_engine

SHIPPED = [found.folder for found in list_engines() if found.spec and "engines" in found.folder.parts]


def counted_by_torch(engine: Engine, size: tuple[int, int]) -> int:
    """Return the operations of the convolutions for one reduced picture, as torch counts them."""
    rows, network = torch.eye(3, 4), engine.network()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, *engine.input_shape(size)), rows, rows, torch.tensor([4.0]))
    return int(counter.get_flop_counts()["Global"][torch.ops.aten.convolution])


def counted_here(engine: Engine, size: tuple[int, int]) -> float:
    layers = layers_of(engine.folder, engine.spec)
    return sum(layer.operations for layer in layers) * size[0] * size[1]


@pytest.mark.parametrize("size", [(32, 48), (16, 16)])
def test_the_count_of_a_tiny_engine_is_the_one_of_torch(tmp_path: Path, size: tuple[int, int]) -> None:
    engine = read_engine(make_engine(tmp_path))
    assert counted_here(engine, size) == counted_by_torch(engine, size)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_the_count_of_a_shipped_engine_is_the_one_of_torch(folder: Path) -> None:
    engine = read_engine(folder)
    size = engine.stride * 4, engine.stride * 6
    # Not quite: of a convolution after a composite layer only the weights that meet are computed.
    assert counted_here(engine, size) == pytest.approx(counted_by_torch(engine, size), rel=0.05)


# ---------------------------------------------------------------- what is in the file


def described(family: str = "warp_mask") -> EngineSpec:
    """Return a description of which only the family is stated, which is what the count looks at."""
    return EngineSpec.model_construct(family=family)


def write_weights(folder: Path, shapes: dict[str, list[int]]) -> Path:
    header = {name: {"dtype": "F32", "shape": shape} for name, shape in shapes.items()}
    text = json.dumps({"__metadata__": {"by": "a test"}, **header}).encode()
    (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text)
    return folder


def test_a_layer_counts_at_the_size_it_is_applied_at(tmp_path: Path) -> None:
    shapes = {"down.weight": [8, 4, 3, 3], "skip.weight": [6, 4, 1, 1], "down.bias": [8]}
    folder = write_weights(tmp_path, {**shapes, "modulate.0.weight": [9, 2]})
    down, skip = layers_of(folder, described())
    assert (down.name, skip.name) == ("down", "skip")
    assert down.operations == 2 * 8 * 4 * 9 / 16
    assert down.values == 4 / 4 + 8 / 16
    assert skip.operations == 2 * 6 * 4 / 4


def test_sets_of_weights_that_are_mixed_into_one_count_once(tmp_path: Path) -> None:
    (one,) = layers_of(write_weights(tmp_path, {"down.weight": [8, 4, 3, 3]}), described())
    (sets,) = layers_of(write_weights(tmp_path, {"down.weight": [3, 8, 4, 3, 3]}), described())
    assert sets == one


def test_a_layer_or_family_that_is_not_known_counts_at_every_pixel_the_most_it_can_be(tmp_path: Path) -> None:
    folder = write_weights(tmp_path, {"extra.weight": [2, 3, 5, 5], "down.weight": [8, 4, 3, 3]})
    extra = layers_of(folder, described())[1]
    assert extra.operations == 2 * 2 * 3 * 25
    down = layers_of(folder, described("from the future"))[0]
    assert down.operations == 2 * 8 * 4 * 9


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 8,
        b"\xff" * 16,
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"{nop",
        (15).to_bytes(8, "little") + b'{"a":{"b":[1]}}',
        (22).to_bytes(8, "little") + b'{"a":{"shape":["many"]}}',
        (20).to_bytes(8, "little") + b'{"a":{"shape":[-1]}}',
    ],
)
def test_weights_that_are_none_are_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / WEIGHTS
    path.write_bytes(content)
    with pytest.raises(EngineCorruptError, match=r"cannot read the shapes .*weights\.safetensors"):
        weight_shapes(path)


def test_weights_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineCorruptError, match="No such file"):
        weight_shapes(tmp_path / WEIGHTS)
