"""TensorRT brought along or installed: what the benchmarks do with it, with a TensorRT that is a fake."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu import engines, planned, tensorrt_rtx
from benchmarks.gpu.cases import Cases, NotHereError
from benchmarks.gpu.pack import packed
from benchmarks.gpu.plans import Builds
from benchmarks.gpu.tensorrt_rtx import PLANS, Probe, measure
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.tensorrt import store_key
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import Golden
from streamfx.hardware.nvidia import Gpu
from tests import fake_cuda, fake_tensorrt
from tests.engines import make_engine
from tests.fake_tensorrt import plan_for

CPU = torch.device("cpu")
REFUSED = "this GPU is not one of those that the engine runs on"


class ILogger:
    WARNING = 1


class RtxEngine(fake_tensorrt.Engine):
    """Also knows how contexts are to be made."""

    def create_runtime_config(self) -> Any:
        cache = SimpleNamespace(serialize=lambda: b"kernels", deserialize=lambda kept: kept == b"kernels")
        return SimpleNamespace(create_runtime_cache=lambda: cache, set_runtime_cache=lambda cache: None)

    def create_execution_context(self, config: Any = None) -> fake_tensorrt.Context:
        assert config is None or config.dynamic_shapes_kernel_specialization_strategy == "eager"
        return super().create_execution_context()


class Runtime(fake_tensorrt.Runtime):
    """Says what it thinks of plans, as TensorRT-RTX does."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def get_engine_validity(self, data: bytes) -> tuple[Any, int]:
        good = data.startswith(b"{")
        return SimpleNamespace(name="VALID" if good else "INVALID"), 0 if good else 34

    def deserialize_cuda_engine(self, data: bytes) -> Any:
        if (engine := super().deserialize_cuda_engine(data)) is None:
            self._logger.log(ILogger.WARNING, REFUSED)
            return None
        return RtxEngine(engine.facts)


def rtx() -> Any:
    names = ("TensorIOMode", "DataType", "__name__", "__version__")
    reasons = {"UNSUPPORTED_CC": 2, "CUDA_ERROR": 64, "MALFORMED_ENGINE": 32}
    return SimpleNamespace(
        **{name: getattr(fake_tensorrt, name) for name in names},
        Runtime=Runtime,
        ILogger=ILogger,
        DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="eager"),
        CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole"),
        EngineInvalidityDiagnostics=SimpleNamespace(__members__=reasons),
    )


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture(autouse=True)
def _a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (engines, planned, tensorrt_rtx):  # how often is for figures that are looked at
        monkeypatch.setattr(module, "WARM", 2)
        monkeypatch.setattr(module, "CALLS", 5)
    monkeypatch.setattr("torch.cuda.current_stream", lambda device: SimpleNamespace(cuda_stream=7))
    fake_tensorrt.Engine.opened.clear()


def kit(folder: Path, engine: Engine, **wrong: object) -> Path:
    """Write what a kit holds of plans."""
    golden = engine.golden
    setting = Setting.of(golden.to_rgb, golden.from_rgb, golden.factor)
    (folder / "golden.npz").write_bytes(golden.to_bytes())
    (folder / "any.plan").write_bytes(plan_for(engine.folder, setting, None, **wrong))
    (folder / "odd.plan").write_bytes(b"\0 no plan")
    shapes = [[1, *golden.planes.shape], [1, 3, 32, 64]]
    about = {"any.plan": shapes, "odd.plan": shapes[:1]}
    table = {name: {"golden": "golden.npz", "shapes": each} for name, each in about.items()}
    (folder / PLANS).write_text(json.dumps(table))
    return folder


def network(engine: Engine, golden: Golden) -> Any:
    constants = (golden.to_rgb, golden.from_rgb, np.array([golden.factor], np.float32))
    given = [torch.from_numpy(each) for each in constants]
    return lambda seen: engine.network()(seen, *given).detach()


def probed(folder: Path, engine: Engine, *, gpu: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Return the rows by case, and the failures' first lines."""
    probe = Probe(folder, gpu, rtx())
    probe.listen()
    cases = Cases("probe", folder, {}, gpu=False, around=probe.telling)
    measure(probe, cases, lambda golden, device: network(engine, golden), CPU)
    return {row["case"]: row for row in cases.rows}, [each.splitlines()[0] for each in cases.failures]


def test_a_plan_that_runs_is_checked_and_timed_at_every_shape(tmp_path: Path, engine: Engine) -> None:
    rows, _ = probed(kit(tmp_path, engine), engine)
    height, width = engine.golden.planes.shape[1:]
    for shape in (f"1x3x{height}x{width}", "1x3x32x64"):
        at = f"any.plan at {shape}"
        assert rows[f"{at}, first run"]["plan_bytes"] == (tmp_path / "any.plan").stat().st_size
        assert rows[f"{at}, heads"]["rms"] < 0.01
        assert rows[f"{at}, launched"]["p50_ms"] > 0
        assert rows[f"{at}, opened again"]["kernels_bytes"] == len(b"kernels")
    assert rows["any.plan, validity"]["validity"] == "VALID"
    assert rows["any.plan, validity"]["because"] == []


def test_on_a_gpu_it_runs_on_streams_of_its_own_and_recorded(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = fake_cuda.install(monkeypatch)
    rows, failures = probed(kit(tmp_path, engine), engine, gpu=True)
    at = "any.plan at 1x3x32x64"
    assert [each for each in failures if "odd.plan" not in each] == []
    assert rows[f"{at}, heads"]["rms"] < 0.01
    for how in ("launched", "recorded", "recorded by itself"):
        assert rows[f"{at}, {how}"]["p50_ms"] > 0
    assert any("records in" in line for line in cuda.log)
    streams = {
        stream for one in fake_tensorrt.Engine.opened for each in one.contexts for stream in each.streams
    }
    assert streams == {1}  # never 0, the default one


def test_a_plan_that_is_refused_is_told_with_what_tensorrt_said(
    tmp_path: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, failures = probed(kit(tmp_path, engine), engine)
    assert rows["odd.plan, validity"]["validity"] == "INVALID"
    assert rows["odd.plan, validity"]["because"] == ["UNSUPPORTED_CC", "MALFORMED_ENGINE"]
    (failure,) = failures  # and nothing else is tried with it
    assert "odd.plan" in failure
    assert failure.endswith(f"cannot read the plan; 1: {REFUSED}")
    assert REFUSED in capsys.readouterr().err  # at once, in case the process dies


def test_wrong_heads_are_a_failure_and_times_are_taken_all_the_same(tmp_path: Path, engine: Engine) -> None:
    rows, failures = probed(kit(tmp_path, engine, wrong_by=50.0), engine)
    assert "AssertionError: heads are HeadsDifference(rms=" in failures[0]
    assert "any.plan at 1x3x32x64, launched" in rows


def test_a_kit_is_packed_into_pieces_and_comes_out_whole(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(40_000)  # does not compress
    (tmp_path / "in" / "bindings").mkdir(parents=True)
    (tmp_path / "in" / "library.so").write_bytes(content)
    (tmp_path / "in" / "bindings" / "__init__.py").write_text("one = 1\n")
    out, folder = tmp_path / "out", tmp_path / "unpacked"
    packed(tmp_path / "in", out, 5_000, 0)
    pieces = packed(tmp_path / "in", out, 15_000, 0)
    assert sorted(out.iterdir()) == pieces  # nothing is left of the one before
    assert len(pieces) == 3
    assert max(piece.stat().st_size for piece in pieces) <= 15_000
    row = Probe(folder, gpu=False).unpack(out)
    assert row == {"pieces": 3, "packed_bytes": sum(piece.stat().st_size for piece in pieces)}
    assert (folder / "library.so").read_bytes() == content
    assert (folder / "bindings" / "__init__.py").read_text() == "one = 1\n"
    pieces[1].unlink()
    with pytest.raises(NotHereError, match=r"is not whole: kit\.tar\.xz\.2-of-3 is missing"):
        Probe(folder, gpu=False).unpack(out)


def test_plans_are_built_by_the_building_process_and_measured(tmp_path: Path, engine: Engine) -> None:
    key = store_key(engine, Gpu("NVIDIA Imaginary 1", (9, 0), driver="1"), fake_tensorrt, "torch-tensorrt")
    cases = Cases("plans", tmp_path, {}, gpu=False)
    builder = [sys.executable, "-m", "tests.fake_plan_builder"]
    Builds(engine, fake_tensorrt, key, CPU, builder).measure(cases, [(32, 64)])
    rows = {row["case"]: row for row in cases.rows}
    assert cases.failures == []
    assert rows["tiny, plan for any size"]["plan_bytes"] > 0
    assert rows["tiny, plan for any size, at 1x3x32x64, heads"]["agrees"]
    assert rows["tiny, plan for 1x3x32x64, at 1x3x32x64, heads"]["agrees"]


def test_a_plan_that_cannot_be_built_is_told_with_the_reason(tmp_path: Path, engine: Engine) -> None:
    key = store_key(engine, Gpu("NVIDIA Imaginary 1", (9, 0), driver="1"), fake_tensorrt, "torch-tensorrt")
    cases = Cases("plans", tmp_path, {}, gpu=False)
    builder = [sys.executable, "-m", "tests.fake_plan_builder", "unsupported"]
    Builds(engine, fake_tensorrt, key, CPU, builder).measure(cases, [])
    (failure,) = cases.failures
    assert "TensorRT has nothing for the operator aten::cumsum" in failure
    assert cases.rows == []
