"""Inductor on a processor: networks become one graph each, for any number of sizes, with the golden heads.

What its kernels for a GPU give, only a GPU can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from streamfx.backends.backend import CompileOptions, DeviceEngine, Precision
from streamfx.backends.eager import EagerBackend
from streamfx.backends.inductor import InductorBackend
from streamfx.backends.registry import backends, choose
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import difference
from streamfx.errors import BackendUnavailableError
from streamfx.hardware.cuda import Device, compiler_missing, cuda_missing
from streamfx.hardware.nvidia import Gpu
from tests.engines import golden_input, make_engine, make_inked_engine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture(scope="module")
def inked(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_inked_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[torch.fx.GraphModule]:
    """Graphs as torch.compile captured them; they run as they are instead of becoming kernels for seconds."""
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _: object) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr("torch.compile", partial(torch.compile, backend=keep))
    return graphs


@pytest.mark.slow
def test_kernels_of_inductor_give_the_golden_heads(engine: Engine) -> None:
    compiled = InductorBackend().compile(engine, CompileOptions(threads=1))  # checks them
    golden = engine.golden
    heads = compiled(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor)
    assert difference(heads, golden).largest < 1e-2


def test_each_setting_and_size_is_one_graph_however_many_there_are(
    engine: Engine, captured: list[torch.fx.GraphModule]
) -> None:
    compiled = InductorBackend().compile(engine, CompileOptions(device=Device.CPU))
    assert (compiled.backend, compiled.precision) == ("inductor", Precision.F32)
    assert isinstance(compiled, DeviceEngine)
    _, to_rgb, from_rgb = golden_input()
    for strides in range(2, 12):  # torch gives up on code that it compiled eight times
        compiled.warm_up((3, 4 * strides, 8), to_rgb, from_rgb, 2.0)
        compiled.warm_up((3, 4 * strides, 8), to_rgb, from_rgb, 2.0)
    assert len(captured) == 11


@pytest.mark.parametrize(("kind", "channels"), [("engine", 7), ("inked", 11)])
def test_tensors_go_through_as_arrays_do(
    kind: str, channels: int, request: pytest.FixtureRequest, captured: list[torch.fx.GraphModule]
) -> None:
    engine: Engine = request.getfixturevalue(kind)
    compiled = InductorBackend().compile(engine, CompileOptions(device=Device.CPU))
    golden = engine.golden
    seen = torch.from_numpy(golden.planes)[None].repeat(2, 1, 1, 1)
    assert compiled.heads_shape(tuple(seen.shape)) == (2, channels, 32, 48)
    heads = torch.empty(2, channels, 32, 48, dtype=compiled.dtype)
    compiled.run(seen, golden.to_rgb, golden.from_rgb, golden.factor, heads)
    for each in heads:
        assert difference(each.numpy(), golden).largest < 1e-2


def test_on_a_processor_it_runs_if_asked_for_and_auto_prefers_openvino(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("streamfx.hardware.cuda.gpus", lambda: ())
    monkeypatch.setattr("streamfx.hardware.cuda.compiler_missing", lambda *_: None)
    assert choose("auto").name == "openvino"
    assert choose("inductor").name == "inductor"
    assert "backend tensorrt, which goes before, is not used: NVIDIA's driver knows of no GPU" in caplog.text
    assert "inductor, which goes before, is not used: NVIDIA's driver knows of no GPU here, and on a CPU" in (
        caplog.text
    )


def test_with_a_gpu_the_order_is_tensorrt_inductor_openvino_eager(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for module in ("inductor", "tensorrt"):
        monkeypatch.setattr(f"streamfx.backends.{module}.cuda_missing", lambda: None)
    monkeypatch.setattr("streamfx.backends.inductor._compiler_missing", lambda device: None)
    monkeypatch.setattr(
        "streamfx.backends.tensorrt_plan.flavour_missing", lambda: "torch-tensorrt is not here"
    )
    assert [backend.name for backend in backends()] == ["tensorrt", "inductor", "openvino", "eager"]
    assert choose("auto").name == "inductor"
    assert "backend tensorrt, which goes before, is not used: torch-tensorrt is not here" in caplog.text
    monkeypatch.setattr("streamfx.backends.tensorrt_plan.flavour_missing", lambda: None)
    assert choose("auto").name == "tensorrt"


def test_a_gpu_that_torch_cannot_use_is_said_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("streamfx.hardware.cuda.gpus", lambda: (Gpu("NVIDIA T4"),))
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    assert "was built without CUDA; install its CUDA build" in (cuda_missing() or "")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libtorch_cuda.so").touch()
    assert cuda_missing() is None


def test_without_a_compiler_the_reason_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    message = r"no compiler is found \(g\+\+\); on Debian and Ubuntu: apt install g\+\+"
    with pytest.raises(BackendUnavailableError, match="backend inductor cannot run here: " + message):
        choose("inductor")
    monkeypatch.setenv("CXX", "clang++-99")
    assert "clang++-99" in (compiler_missing("CXX", ("g++",)) or "")
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert "Python.h is missing; on Debian and Ubuntu: apt install python3-dev" in (
        compiler_missing("CXX", ("g++",)) or ""
    )


@pytest.mark.parametrize(
    ("backend", "options", "message"),
    [
        (InductorBackend(), {"precision": Precision.BF16}, "computes in f32 on cpu; bf16 was asked for"),
        (InductorBackend(), {"device": Device.CUDA}, "inductor cannot run on a GPU here: NVIDIA's driver"),
        (EagerBackend(), {"device": Device.CUDA}, "eager cannot run on a GPU here: NVIDIA's driver"),
        (EagerBackend(), {"precision": Precision.F16}, "f32 only; f16 was asked for: use inductor"),
    ],
)
def test_what_a_backend_does_not_do_is_refused(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    backend: InductorBackend | EagerBackend,
    options: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.setattr("streamfx.hardware.cuda.gpus", lambda: ())
    monkeypatch.setattr("streamfx.backends.inductor._compiler_missing", lambda device: None)
    with pytest.raises(BackendUnavailableError, match=message):
        backend.compile(engine, CompileOptions(**options))
