"""Changes to models: integers where ranges are known and nowhere else, constants, shuffles, the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamfx.backends.backend import CompileOptions, Precision
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.openvino import OpenVinoBackend
from streamfx.backends.openvino_graph import RANGES, has_ranges, pack, unpack
from streamfx.backends.openvino_layout import packed, shuffled
from streamfx.backends.openvino_library import core, openvino
from streamfx.backends.openvino_model import convert, measured_ranges
from streamfx.backends.openvino_passes import (
    compute_constants,
    flows,
    packed_inputs,
    shuffle_at_once,
    use_integers,
    without_shuffle,
)
from streamfx.engine.folder import GRAPH, WEIGHTS, Engine, read_engine
from streamfx.engine.golden import Array
from streamfx.errors import BackendUnavailableError
from tests.engines import golden_input, make_engine
from training.export import add_graph, with_ranges

ROOT = Path(__file__).parents[2]
WITH_RANGES = [
    folder.parent
    for folder in sorted((ROOT / "engines").glob("*/openvino.zip"))
    if has_ranges(folder.read_bytes())
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = make_engine(tmp_path_factory.mktemp("engines"))
    add_graph(folder)
    golden = read_engine(folder).golden
    setting = Setting.of(golden.to_rgb, golden.from_rgb, golden.factor)
    ranges = measured_ranges(convert(read_engine(folder)), [(golden.planes, setting)])
    return with_ranges(folder, ranges)


def of_one_convolution() -> Any:
    """Two convolutions of one weight each, 1 and 0.5, so that rounding can be worked out by hand."""
    opset = openvino().opset13
    seen = opset.parameter([1, 1, 2, 2], np.float32, name="seen")
    first = opset.convolution(seen, np.ones((1, 1, 1, 1), np.float32), [1, 1], [0, 0], [0, 0], [1, 1])
    first.set_friendly_name("between")
    last = opset.convolution(first, np.full((1, 1, 1, 1), 0.5, np.float32), [1, 1], [0, 0], [0, 0], [1, 1])
    return openvino().Model([opset.result(last)], [seen], "two")


def run(model: Any, seen: Array) -> Array:
    request = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    return np.array(request.infer({0: seen})[0])


def test_what_flows_is_rounded_to_256_values_of_which_one_is_0() -> None:
    model = of_one_convolution()
    assert list(flows(model)) == ["between"], "what the first one reads is the picture itself"
    use_integers(model, {"between": (0.0, 2.55)})  # steps of 0.01
    seen = np.array([[[[0.0, 0.014], [1.0, 4.0]]]], np.float32)
    # 0.014 is nearest to 1 step, 4 is above the range; the weight 0.5 is a value of its own range.
    assert run(model, seen) == pytest.approx(np.array([[[[0.0, 0.005], [0.5, 1.275]]]]), abs=1e-4)


def test_where_a_range_reaches_below_0_it_still_holds_0_and_both_ends() -> None:
    model = of_one_convolution()
    use_integers(model, {"between": (-0.503, 1.0)})
    seen = np.array([[[[0.0, -0.503], [1.0, -2.0]]]], np.float32)
    found = run(model, seen)
    assert found[0, 0, 0, 0] == 0
    assert found == pytest.approx(np.array([[[[0.0, -0.2515], [0.5, -0.2515]]]]), abs=0.01)


def test_a_flow_whose_range_is_not_known_stays_as_it_is() -> None:
    model = of_one_convolution()
    use_integers(model, {"another": (-1.0, 1.55)})
    seen = np.full((1, 1, 2, 2), 0.014, np.float32)
    assert run(model, seen) == pytest.approx(np.full((1, 1, 2, 2), 0.007), abs=1e-6)


def test_constants_that_openvino_would_compute_late_are_computed_before() -> None:
    opset = openvino().opset13
    seen = opset.parameter([1, 1, 2, 2], np.float32, name="seen")
    weights = opset.einsum([np.full((1, 2), 3.0, np.float32), np.ones((2, 1), np.float32)], "ab,bc->ac")
    model = openvino().Model([opset.result(opset.multiply(seen, weights))], [seen], "late")
    compute_constants(model)
    assert [node.get_type_name() for node in model.get_ordered_ops()].count("Einsum") == 0
    assert run(model, np.ones((1, 1, 2, 2), np.float32)) == pytest.approx(np.full((1, 1, 2, 2), 6.0))


def test_a_pixel_shuffle_of_three_steps_becomes_one() -> None:
    opset, seen = openvino().opset13, np.arange(2 * 8 * 3 * 5, dtype=np.float32).reshape(2, 8, 3, 5)
    given = opset.parameter(seen.shape, np.float32, name="seen")
    squares = opset.reshape(given, [2, 2, 2, 2, 3, 5], special_zero=False)
    shuffled = opset.reshape(opset.transpose(squares, [0, 1, 4, 2, 5, 3]), [2, 2, 6, 10], special_zero=False)
    model = openvino().Model([opset.result(shuffled)], [given], "shuffle")
    shuffle_at_once(model)
    assert "DepthToSpace" in [node.get_type_name() for node in model.get_ordered_ops()]
    expected = seen.reshape(2, 2, 2, 2, 3, 5).transpose(0, 1, 4, 2, 5, 3).reshape(2, 2, 6, 10)
    assert np.array_equal(run(model, seen), expected)


def test_another_transposition_is_left_alone() -> None:
    opset = openvino().opset13
    given = opset.parameter([2, 8, 3, 5], np.float32, name="seen")
    squares = opset.reshape(given, [2, 2, 2, 2, 3, 5], special_zero=False)
    turned = opset.reshape(opset.transpose(squares, [0, 1, 4, 3, 5, 2]), [2, 2, 6, 10], special_zero=False)
    model = openvino().Model([opset.result(turned)], [given], "turned")
    shuffle_at_once(model)
    assert "Transpose" in [node.get_type_name() for node in model.get_ordered_ops()]


def ending(*, block: int = 2, biased: bool = True) -> Any:
    """A convolution of one weight for each of 8 channels, their bias, and a pixel shuffle."""
    opset = openvino().opset13
    seen = opset.parameter([1, 1, -1, -1], np.float32, name="seen")
    weights = np.arange(1, 9, dtype=np.float32).reshape(8, 1, 1, 1)
    last = opset.convolution(seen, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    if biased:
        last = opset.add(last, np.arange(0, 80, 10, dtype=np.float32).reshape(1, 8, 1, 1))
    shuffled = opset.depth_to_space(last, "depth_first", block) if block else last
    return openvino().Model([opset.result(shuffled)], [seen], "end")


@pytest.mark.parametrize("threads", [1, 2])
def test_bias_and_shuffle_of_our_own_give_what_the_models_would(threads: int) -> None:
    seen = np.random.default_rng(0).normal(0, 1, (1, 1, 40, 3)).astype(np.float32)
    shorter = without_shuffle(ending())
    assert shorter is not None
    model, bias = shorter
    heads = shuffled(run(model, seen)[0], bias, threads)
    assert heads.shape == (2, 80, 6)
    assert heads == pytest.approx(run(ending(), seen)[0], abs=1e-5)
    # By hand: the square of the first pixel has its channels row by row.
    value = seen[0, 0, 0, 0]
    assert heads[1, :2, :2] == pytest.approx(value * np.array([[5, 6], [7, 8]]) + [[40, 50], [60, 70]])


@pytest.mark.parametrize("model", [ending(block=0), ending(biased=False)])
def test_a_model_that_ends_in_another_way_is_left_alone(model: Any) -> None:
    assert without_shuffle(model) is None


@pytest.mark.parametrize(("channels", "margin", "threads"), [(3, 1, 1), (19, 1, 2), (4, 2, 1), (1, 0, 2)])
def test_what_is_seen_is_packed_with_channels_last_and_its_edge_repeated(
    channels: int, margin: int, threads: int
) -> None:
    seen = np.random.default_rng(1).normal(0, 99, (channels, 40, 6)).astype(np.float32)
    found = packed(seen, margin, threads)
    wide = np.pad(seen, [(0, 0), (margin, margin), (margin, margin)], mode="edge").transpose(1, 2, 0)
    assert found.shape == (40 + 2 * margin, 6 + 2 * margin, -(-channels // 4) * 4)
    values = (found.astype(np.uint32) << 16).view(np.float32)
    assert values[..., :channels] == pytest.approx(wide, rel=2**-8)
    assert not values[..., channels:].any()


def test_packing_rounds_to_the_nearest_and_to_even() -> None:
    bits = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF], np.uint32)  # two ties, above, below
    found = packed(bits.view(np.float32).reshape(1, 1, 4), 0, 1)
    assert found[0, :, 0].tolist() == [0x3F80, 0x3F82, 0x3F81, 0x3F80]


def beginning(*, mode: str = "edge", branches: bool = False) -> Any:
    """A border of one pixel and a convolution of 3 x 3, of 3 channels, at every second pixel."""
    opset = openvino().opset13
    seen = opset.parameter([1, 3, 6, 8], np.float32, name="seen")
    wide = opset.pad(seen, [0, 0, 1, 1], [0, 0, 1, 1], mode, 0.0)
    weights = np.random.default_rng(2).normal(0, 1, (5, 3, 3, 3)).astype(np.float32)
    last = opset.convolution(wide, weights, [2, 2], [0, 0], [0, 0], [1, 1])
    results = [opset.result(last), *[opset.result(seen)] * branches]
    return openvino().Model(results, [seen], "begin")


def test_a_model_that_takes_what_is_packed_gives_the_same() -> None:
    seen = np.random.default_rng(3).integers(0, 256, (1, 3, 6, 8)).astype(np.float32)  # exact in bfloat16
    expected = run(beginning(), seen)
    changed = packed_inputs(beginning())
    assert changed is not None
    model, margin = changed
    assert list(model.input(0).shape) == [1, 8, 10, 4]
    bits = packed(seen[0], margin, 1)[None]
    request = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    request.set_input_tensor(openvino().Tensor(bits, openvino().Shape(bits.shape), openvino().Type.bf16))
    request.infer()
    assert np.array(request.get_output_tensor(0).data) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "model", [beginning(mode="constant"), beginning(branches=True), of_one_convolution()]
)
def test_a_model_that_begins_in_another_way_is_left_alone(model: Any) -> None:
    assert packed_inputs(model) is None


def test_an_engine_in_integers_is_close_to_itself_in_float_and_not_the_same(engine: Engine) -> None:
    inputs = golden_input(3, (32, 48))
    made = {}
    for precision in (Precision.F32, Precision.INT8):
        compiled = OpenVinoBackend().compile(engine, CompileOptions(precision, 1))
        assert compiled.precision is precision
        made[precision] = compiled(*inputs, 4.0)
        compiled.close()
    error = np.abs(made[Precision.INT8] - made[Precision.F32])
    assert 0 < error[:3].mean() < 3


def test_integers_are_refused_where_nothing_is_known_of_what_flows(tmp_path: Path) -> None:
    plain = add_graph(make_engine(tmp_path))
    with pytest.raises(BackendUnavailableError, match="cannot run in int8: its graph does not say"):
        OpenVinoBackend().compile(plain, CompileOptions(Precision.INT8, 1))


def test_ranges_travel_in_the_graph_and_wrong_ones_are_refused(engine: Engine) -> None:
    graph, weights = engine.file(GRAPH), engine.file(WEIGHTS)
    assert graph is not None
    assert weights is not None
    model = unpack(graph, weights)
    assert has_ranges(graph)
    assert all(low <= high for low, high in json.loads(model[RANGES]).values())
    for wrong in ([1.0, 0.0], [0.0], [0.0, float("nan")], "0 to 1", [0.0, 1e39]):
        with pytest.raises(ValueError, match="pairs of finite numbers"):
            unpack(pack(model, weights, {"between": wrong}), weights)  # type: ignore[dict-item]


@pytest.mark.parametrize("folder", WITH_RANGES, ids=lambda folder: folder.name)
def test_shipped_engines_give_their_golden_heads_in_integers(folder: Path) -> None:
    OpenVinoBackend().compile(read_engine(folder), CompileOptions(Precision.INT8, 1)).close()  # checks them


def test_looks_are_shipped_with_ranges() -> None:
    assert {"toon", "wave", "pencil"} <= {folder.name for folder in WITH_RANGES}
