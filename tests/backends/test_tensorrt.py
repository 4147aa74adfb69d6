"""TensorRT without a GPU: how plans are run, built, kept, checked and exchanged, with a fake TensorRT.

That the real one takes the networks is shown by ``test_tensorrt_build.py``.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from benchmarks.gpu import bare, engines, resident
from streamfx.backends.backend import Build, CompilableEngine, CompileOptions, DeviceEngine, Precision
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.store import CompiledStore, Stored, StoreKey
from streamfx.backends.tensorrt import TOLERANCE, TensorRtBackend, open_engine, store_key
from streamfx.backends.tensorrt_plan import FLAVOURS, Plan, flavour_missing
from streamfx.backends.torch_engine import TorchEngine
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import difference
from streamfx.errors import BackendUnavailableError, EngineMismatchError
from streamfx.hardware.cuda import Device
from streamfx.hardware.nvidia import Gpu
from tests import fake_tensorrt
from tests.engines import golden_input, make_engine

STREAM = 77
GPU = Gpu("NVIDIA Imaginary 1", (9, 0), driver="580.65.06")
SHAPE = (1, 3, 32, 48)
BUILDER = [sys.executable, "-m", "tests.fake_plan_builder"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture
def store(tmp_path: Path) -> CompiledStore:
    return CompiledStore(tmp_path / "compiled")


@pytest.fixture(autouse=True)
def _a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.current_stream", lambda device: SimpleNamespace(cuda_stream=STREAM))
    fake_tensorrt.Engine.opened.clear()


@pytest.fixture
def opened() -> Iterator[list[TorchEngine]]:
    """Engines that are closed when the test is over."""
    engines: list[TorchEngine] = []
    yield engines
    for compiled in engines:
        compiled.close()


def key_of(engine: Engine) -> StoreKey:
    return store_key(engine, GPU, fake_tensorrt, "torch-tensorrt")


def open_fake(
    engine: Engine,
    store: CompiledStore | None,
    *what: str,
    build: Build = Build.WAIT,
    key: StoreKey | None = None,
) -> TorchEngine:
    options = CompileOptions(store=store, build=build)
    return open_engine(engine, options, fake_tensorrt, key or key_of(engine), "cpu", [*BUILDER, *what])


def setting_of(engine: Engine) -> Setting:
    golden = engine.golden
    return Setting.of(golden.to_rgb, golden.from_rgb, golden.factor)


def error_of(engine: Engine, compiled: TorchEngine) -> float:
    golden = engine.golden
    return difference(compiled(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor), golden).rms


def orders(store: CompiledStore) -> list[str]:
    """Return what was ordered of the building process."""
    lines = (store.folder / "orders.txt").read_text().splitlines()
    return [line.partition(" ")[2] for line in lines]


def wait_for(compiled: TorchEngine, version: int) -> None:
    deadline = time.monotonic() + 120
    while compiled.version < version:
        assert time.monotonic() < deadline, f"still at version {compiled.version}"
        time.sleep(0.02)


# ---------------------------------------------------------------------------------------------- the plan


def test_a_plan_is_told_shape_and_addresses_and_runs_on_the_stream_that_is_current(engine: Engine) -> None:
    plan = Plan(fake_tensorrt, fake_tensorrt.plan_for(engine.folder, setting_of(engine), SHAPE))
    translate = plan.translate(SHAPE)
    seen = torch.from_numpy(engine.golden.golden_input(SHAPE)).half()
    heads = torch.full((1, 7, 32, 48), torch.nan, dtype=torch.float16)
    translate(seen, heads)
    ((context,),) = (opened.contexts for opened in fake_tensorrt.Engine.opened)
    assert context.shape == SHAPE
    assert context.addresses == {"seen": seen.data_ptr(), "output0": heads.data_ptr()}
    assert context.streams == [STREAM]
    assert difference(heads[0].float().numpy(), engine.golden).rms < TOLERANCE.rms
    other = torch.empty_like(heads)
    translate(seen, other)  # another buffer, the same context
    assert context.addresses["output0"] == other.data_ptr()
    assert torch.equal(heads, other)


def test_each_shape_has_a_context_of_its_own(engine: Engine) -> None:
    plan = Plan(fake_tensorrt, fake_tensorrt.plan_for(engine.folder, setting_of(engine), None))
    plan.translate(SHAPE)
    plan.translate((1, 3, 16, 16))
    (opened,) = fake_tensorrt.Engine.opened
    assert [context.shape for context in opened.contexts] == [SHAPE, (1, 3, 16, 16)]


def test_a_plan_never_runs_on_the_default_stream(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    translate = Plan(
        fake_tensorrt, fake_tensorrt.plan_for(engine.folder, setting_of(engine), SHAPE)
    ).translate(SHAPE)
    monkeypatch.setattr("torch.cuda.current_stream", lambda device: SimpleNamespace(cuda_stream=0))
    seen, heads = torch.zeros(SHAPE).half(), torch.zeros(1, 7, 32, 48).half()
    with pytest.raises(RuntimeError, match="must not run on the default stream; use one of your own"):
        translate(seen, heads)


def test_memory_that_is_not_contiguous_is_refused_before_it_is_read(engine: Engine) -> None:
    translate = Plan(
        fake_tensorrt, fake_tensorrt.plan_for(engine.folder, setting_of(engine), SHAPE)
    ).translate(SHAPE)
    seen = torch.zeros(SHAPE).half().contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="seen must be contiguous, found strides"):
        translate(seen, torch.zeros(1, 7, 32, 48).half())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"outputs": 2}, r"one input and one output, found \['seen'\] and \['output0', 'output1'\]"),
        ({"type": "float"}, "must take and give half precision"),
    ],
)
def test_a_plan_of_another_kind_is_refused(engine: Engine, changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plan(fake_tensorrt, fake_tensorrt.plan_for(engine.folder, setting_of(engine), SHAPE, **changed))


def test_what_is_no_plan_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tests.fake_tensorrt 11.0.fake cannot read the plan"):
        Plan(fake_tensorrt, b"no plan")


def test_a_plan_that_cannot_run_says_so(engine: Engine) -> None:
    data = fake_tensorrt.plan_for(engine.folder, setting_of(engine), SHAPE, fails=True)
    with pytest.raises(RuntimeError, match=r"TensorRT could not run a plan for \(1, 3, 32, 48\)"):
        Plan(fake_tensorrt, data).translate(SHAPE)(
            torch.zeros(SHAPE).half(), torch.zeros(1, 7, 32, 48).half()
        )
    with pytest.raises(ValueError, match=r"the plan does not take \(1, 3, 8, 8\)"):
        Plan(fake_tensorrt, data).translate((1, 3, 8, 8))


# ------------------------------------------------------------------------------------ building and exchanging


def test_waiting_builds_a_plan_for_the_shape_alone_which_the_next_start_takes_from_the_store(
    engine: Engine, store: CompiledStore, opened: list[TorchEngine], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = open_fake(engine, store)
    opened.append(first)
    assert error_of(engine, first) < TOLERANCE.rms
    assert (first.backend, first.precision, first.version) == ("tensorrt", Precision.F16, 0)
    assert isinstance(first, DeviceEngine)
    assert orders(store) == [str(SHAPE)]
    assert "TensorRT plan for 1x3x32x48: building the plan, after" in caplog.text
    again = open_fake(engine, store, "dies")
    opened.append(again)
    assert error_of(engine, again) < TOLERANCE.rms
    assert len(orders(store)) == 1


def test_frames_go_on_while_plans_are_built_and_then_go_through_them(
    engine: Engine, store: CompiledStore, opened: list[TorchEngine], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    compiled = open_fake(engine, store, build=Build.BACKGROUND)
    opened.append(compiled)
    golden, errors, stop = engine.golden, [], threading.Event()

    def frames() -> None:
        while not stop.wait(0.005):
            errors.append(error_of(engine, compiled))

    compiled.warm_up(SHAPE[1:], golden.to_rgb, golden.from_rgb, golden.factor)
    assert fake_tensorrt.Engine.opened == [], "the first frames need no plan"
    threads = [threading.Thread(target=frames) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(compiled, 2)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert errors
    assert max(errors) < TOLERANCE.rms
    assert orders(store) == ["any", str(SHAPE)]
    calls = [len(context.streams) for plan in fake_tensorrt.Engine.opened for context in plan.contexts]
    error_of(engine, compiled)
    assert [len(c.streams) for plan in fake_tensorrt.Engine.opened for c in plan.contexts] == [
        calls[0],
        calls[1] + 1,
    ], "the plan for this shape is the one in use"
    assert "frames go through the TensorRT plan for 1x3x32x48 from now on" in caplog.text


def test_a_plan_for_any_size_that_is_in_the_store_serves_another_size_at_once(
    engine: Engine, store: CompiledStore, opened: list[TorchEngine]
) -> None:
    first = open_fake(engine, store, build=Build.BACKGROUND)
    opened.append(first)
    error_of(engine, first)
    wait_for(first, 2)
    fake_tensorrt.Engine.opened.clear()
    second = open_fake(engine, store, build=Build.BACKGROUND)
    opened.append(second)
    planes, to_rgb, from_rgb = golden_input(3, (64, 64))
    heads = second(planes, to_rgb, from_rgb, engine.golden.factor)
    assert np.isfinite(heads).all()
    assert len(fake_tensorrt.Engine.opened) >= 1, "a plan ran the very first frame"
    wait_for(second, 1)
    assert orders(store) == ["any", str(SHAPE), "(1, 3, 64, 64)"]


def test_tensors_of_the_device_are_read_and_written_where_they_are(
    engine: Engine, store: CompiledStore, opened: list[TorchEngine]
) -> None:
    compiled = open_fake(engine, store)
    opened.append(compiled)
    golden = engine.golden
    seen = torch.from_numpy(golden.golden_input(SHAPE)).to(compiled.dtype)
    heads = torch.empty(compiled.heads_shape(SHAPE), dtype=compiled.dtype)
    compiled.run(seen, golden.to_rgb, golden.from_rgb, golden.factor, heads)
    assert difference(heads[0].float().numpy(), golden).rms < TOLERANCE.rms
    assert fake_tensorrt.Engine.opened[-1].contexts[-1].addresses["output0"] == heads.data_ptr()


def test_a_plan_that_gives_wrong_heads_is_never_used(
    engine: Engine, store: CompiledStore, opened: list[TorchEngine], caplog: pytest.LogCaptureFixture
) -> None:
    waits = open_fake(engine, store, "wrong")
    opened.append(waits)
    with pytest.raises(
        EngineMismatchError, match="TensorRT plan for 1x3x32x48, does not give its golden heads"
    ):
        error_of(engine, waits)
    goes_on = open_fake(engine, store, "wrong", build=Build.BACKGROUND)
    opened.append(goes_on)
    assert error_of(engine, goes_on) < TOLERANCE.rms
    assert "cannot be used, building it again" in caplog.text, "the one in the store is checked too"
    goes_on.close()
    assert goes_on.version == 0


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("unsupported", "TensorRT has nothing for the operator aten::cumsum; use backend inductor"),
        ("dies", "the process that builds it ended: no memory left on the GPU"),
    ],
)
def test_what_cannot_be_built_is_an_error_or_in_the_background_a_line_in_the_log(
    engine: Engine,
    store: CompiledStore,
    opened: list[TorchEngine],
    caplog: pytest.LogCaptureFixture,
    what: str,
    message: str,
) -> None:
    waits = open_fake(engine, store, what)
    opened.append(waits)
    with pytest.raises(BackendUnavailableError, match=message):
        error_of(engine, waits)
    goes_on = open_fake(engine, store, what, build=Build.BACKGROUND)
    opened.append(goes_on)
    assert error_of(engine, goes_on) < TOLERANCE.rms
    deadline = time.monotonic() + 60
    while "stays as it is, no TensorRT plan" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert message in caplog.text
    assert error_of(engine, goes_on) < TOLERANCE.rms


def test_closing_ends_the_process_that_builds(
    engine: Engine, store: CompiledStore, opened: list[TorchEngine]
) -> None:
    compiled = open_fake(engine, store, "slow", build=Build.BACKGROUND)
    opened.append(compiled)
    error_of(engine, compiled)
    noted = store.folder / "orders.txt"
    deadline = time.monotonic() + 60
    while not noted.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process = int(noted.read_text().split()[0])
    compiled.close()
    assert not Path(f"/proc/{process}").exists()
    assert "tensorrt-plans" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="this compiled engine is closed"):
        error_of(engine, compiled)


def test_without_a_store_plans_are_kept_for_the_run_alone(engine: Engine, opened: list[TorchEngine]) -> None:
    compiled = open_fake(engine, None)
    opened.append(compiled)
    assert error_of(engine, compiled) < TOLERANCE.rms


def test_an_engine_that_changed_while_it_was_to_be_built_is_not_built(
    engine: Engine, store: CompiledStore, opened: list[TorchEngine]
) -> None:
    compiled = open_fake(engine, store, key=replace(key_of(engine), engine_digest="0" * 64))
    opened.append(compiled)
    with pytest.raises(BackendUnavailableError, match="was changed while it was to be built; start again"):
        error_of(engine, compiled)


# ----------------------------------------------------------------------------------------- what a plan is for


def test_the_key_names_everything_that_can_make_a_plan_wrong(engine: Engine) -> None:
    key = key_of(engine)
    assert key.engine_digest == engine.digest
    assert key.backend_version.startswith("tests.fake_tensorrt 11.0.fake, torch-tensorrt ")
    assert key.torch_version
    assert key.device == "NVIDIA Imaginary 1"
    assert key.device_features == ("compute capability 9.0", "driver 580.65.06")
    assert key.precision == "f16"


@pytest.mark.parametrize(
    "changed",
    [
        {"engine_digest": "0" * 64},
        {"backend_version": "tensorrt 12.0, torch-tensorrt 2.14"},
        {"torch_version": "2.14.0"},
        {"device": "NVIDIA Imaginary 2"},
        {"device_features": ("compute capability 9.0", "driver 999")},
        {"device_features": ("compute capability 8.6", "driver 580.65.06")},
        {"flags": ("streamfx 99",)},
    ],
    ids=lambda changed: next(iter(changed.values())),
)
def test_a_plan_for_something_else_is_built_anew(
    engine: Engine,
    store: CompiledStore,
    opened: list[TorchEngine],
    caplog: pytest.LogCaptureFixture,
    changed: dict[str, object],
) -> None:
    caplog.set_level(logging.INFO)
    key = key_of(engine)
    wanted = replace(key, flags=(*key.flags, setting_of(engine).flag), sizes="x".join(map(str, SHAPE)))
    other = replace(key, **changed)  # type: ignore[arg-type]
    other = replace(other, flags=(*other.flags, setting_of(engine).flag), sizes=wanted.sizes)
    wrong = fake_tensorrt.plan_for(engine.folder, setting_of(engine), SHAPE, wrong_by=50.0)
    store.save(other, Stored({"plan": wrong}, {}))
    compiled = open_fake(engine, store)
    opened.append(compiled)
    assert error_of(engine, compiled) < TOLERANCE.rms
    assert orders(store) == [str(SHAPE)]
    assert f"{next(iter(changed))} " in caplog.text, "the log says what differs"
    assert {entry.key for entry in store.entries()} == {wanted, other}


def test_a_plan_for_another_factor_or_shape_is_another_plan(
    engine: Engine, store: CompiledStore, opened: list[TorchEngine]
) -> None:
    compiled = open_fake(engine, store)
    opened.append(compiled)
    golden = engine.golden
    for factor, shape in ((4.0, SHAPE), (2.0, SHAPE), (2.0, (1, 3, 64, 64))):
        compiled.warm_up(shape[1:], golden.to_rgb, golden.from_rgb, factor)
    compiled.warm_up(SHAPE[1:], golden.to_rgb, golden.from_rgb, 2.0)
    assert orders(store) == [str(SHAPE), str(SHAPE), "(1, 3, 64, 64)"]


def test_a_stored_plan_that_was_tampered_with_is_built_anew(
    engine: Engine, store: CompiledStore, opened: list[TorchEngine], caplog: pytest.LogCaptureFixture
) -> None:
    opened.append(open_fake(engine, store))
    error_of(engine, opened[0])
    (entry,) = store.entries()
    data = entry.path.read_bytes()
    entry.path.write_bytes(data.replace(b'"wrong_by": 0.0', b'"wrong_by": 9.0'))
    opened.append(open_fake(engine, store))
    assert error_of(engine, opened[1]) < TOLERANCE.rms
    assert "plan was changed: its SHA-256 is" in caplog.text
    assert len(orders(store)) == 2


# -------------------------------------------------------------------------------------------- benchmarks


@dataclass(frozen=True)
class Compiling:
    """The backend with the fake TensorRT, for one engine whatever is asked for; notes how it was asked."""

    engine: Engine
    builds: list[Build] = field(default_factory=list)
    name: ClassVar[str] = "tensorrt"
    chosen_on: ClassVar[frozenset[Device]] = TensorRtBackend.chosen_on
    library: ClassVar[str] = TensorRtBackend.library
    keeps_compiled: ClassVar[bool] = True
    compiles_each_size: ClassVar[bool] = True

    def compile(self, _: CompilableEngine, options: CompileOptions) -> TorchEngine:
        self.builds.append(options.build)
        return open_fake(self.engine, None, build=options.build)

    def availability(self) -> None: ...

    held_back = availability


def test_benchmarks_measure_plans_and_not_what_stands_in_for_them(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiling = Compiling(engine)
    row = engines.measure(engine, compiling, torch.device("cpu"))
    assert (row["backend"], row["agrees"]) == ("tensorrt", True)
    assert 0 < row["error"] < TOLERANCE.rms
    assert [len(opened.contexts) for opened in fake_tensorrt.Engine.opened] == [
        1,
        1,
    ]  # golden, and the one timed
    monkeypatch.setitem(resident.BACKENDS, "tensorrt", lambda: compiling)
    bench = resident.Bench(torch.device("cpu"), 1, None)
    bench.engine("tensorrt", bare.bare_engine(tiny=True), [])
    assert compiling.builds == [Build.WAIT, Build.WAIT]


def test_a_benchmark_says_where_heads_are_not_the_golden_ones(engine: Engine) -> None:
    golden = engine.golden
    other = replace(engine, golden=replace(golden, heads=golden.heads + 1))
    row = engines.measure(other, Compiling(engine), torch.device("cpu"))
    assert row["agrees"] is False
    assert row["error"] > TOLERANCE.rms


# --------------------------------------------------------------------------------------------- availability


def test_what_is_missing_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfx.hardware.cuda.gpus", lambda: ())
    assert TensorRtBackend().availability() == "NVIDIA's driver knows of no GPU here"
    versions: dict[str, str] = {}
    monkeypatch.setattr("streamfx.backends.tensorrt_plan.installed", versions.get)
    assert flavour_missing() == "torch-tensorrt is not installed; pip install 'streamfx[tensorrt]'"
    versions["torch-tensorrt-rtx"] = "2.13.0"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = "torch-tensorrt-rtx is installed, but the library it is for is not; pip install tensorrt_rtx"
    assert flavour_missing() == missing
    assert FLAVOURS[1].package in missing


def test_another_precision_or_device_than_its_own_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BackendUnavailableError, match="backend tensorrt cannot run here: NVIDIA's driver"):
        TensorRtBackend().compile(engine, CompileOptions())
    monkeypatch.setattr(TensorRtBackend, "availability", lambda self: None)
    with pytest.raises(BackendUnavailableError, match="computes in f16 on cuda; f32 on auto was asked for"):
        TensorRtBackend().compile(engine, CompileOptions(Precision.F32))
    with pytest.raises(BackendUnavailableError, match="computes in f16 on cuda; auto on cpu was asked for"):
        TensorRtBackend().compile(engine, CompileOptions(device=Device.CPU))
