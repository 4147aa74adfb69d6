"""A network settled for one setting: the same heads from less, at every size, in half precision too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from streamfx.backends.constant_folding import dynamic_sizes, settled
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.tensorrt import TOLERANCE
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import difference
from tests.engines import golden_input, make_engine, make_inked_engine
from tests.half_precision import half_error

ROOT = Path(__file__).parents[2]
SHIPPED = [path.parent for path in sorted((ROOT / "engines").glob("*/engine.yaml"))]


@pytest.fixture(scope="module", params=[make_engine, make_inked_engine], ids=["plain", "inked"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(request.param(tmp_path_factory.mktemp("engines")))


def shape_of(engine: Engine) -> tuple[int, ...]:
    """Return the shape of what its network sees of its golden frame."""
    return 1, *engine.golden.planes.shape


def setting_of(engine: Engine) -> Setting:
    golden = engine.golden
    return Setting.of(golden.to_rgb, golden.from_rgb, golden.factor)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_engines_keep_their_golden_heads_in_half_precision(folder: Path) -> None:
    engine = read_engine(folder)
    error = half_error(engine)
    assert error.rms < TOLERANCE.rms / 2, error
    assert error.largest < TOLERANCE.largest / 2, error


def test_small_engines_keep_their_golden_heads_in_half_precision_with_ink_and_fine_luma_too(
    engine: Engine,
) -> None:
    error = half_error(engine)
    assert error.rms < TOLERANCE.rms / 2, error
    assert error.largest < TOLERANCE.largest / 2, error


def test_what_no_picture_changes_is_computed_beforehand(engine: Engine) -> None:
    golden = engine.golden
    graph = settled(engine, setting_of(engine), shape_of(engine))
    operators = {str(node.target) for node in graph.graph.nodes if node.op == "call_function"}
    assert not {name for name in operators if name.startswith(("aten.log2", "aten.einsum", "aten.sum"))}
    weights = sum(value.numel() for value in graph.state_dict().values())
    assert weights < sum(value.numel() for value in engine.network().parameters()) / 2
    heads = graph(torch.from_numpy(golden.planes)[None])
    assert difference(heads[0].numpy(), golden).largest < 1e-3


def test_settled_for_any_size_it_takes_every_size_of_whole_strides(engine: Engine) -> None:
    graph = settled(engine, setting_of(engine), shape_of(engine), any_size=True)
    plain = engine.network()
    constants = [torch.from_numpy(value.copy()) for value in setting_of(engine).values]
    for seed, size in enumerate([(8, 8), (32, 48), (72, 128)]):
        seen = torch.from_numpy(golden_input(seed, size, engine.spec.input_channels)[0])[None]
        with torch.inference_mode():
            assert torch.allclose(graph(seen), plain(seen, *constants), atol=1e-2)


def test_another_setting_gives_other_weights(engine: Engine) -> None:
    golden = engine.golden
    other = Setting.of(golden.to_rgb, golden.from_rgb, 1.0)
    seen = torch.from_numpy(golden.planes)[None]
    heads = settled(engine, other, shape_of(engine))(seen)
    with torch.inference_mode():
        expected = engine.network()(seen, *(torch.from_numpy(value.copy()) for value in other.values))
    assert torch.allclose(heads, expected, atol=1e-2)
    assert difference(heads[0].numpy(), golden).largest > 0.1


def test_sizes_are_whole_strides_of_what_the_network_sees() -> None:
    sizes = {folder.name: dynamic_sizes(read_engine(folder))["seen"] for folder in SHIPPED}
    surface = str(sizes["cafe"][2])  # 4:2:0 planes in one: three halves as many rows
    assert "6*rows" in surface
    assert "4*columns" in str(sizes["cafe"][3])
    assert "16*rows" in str(sizes["domain"][2])
