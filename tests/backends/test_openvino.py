"""OpenVINO: the same heads as the reference, at any size, from any thread, from the store."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from streamfx.backends.backend import CompileOptions, Precision
from streamfx.backends.eager import EagerBackend
from streamfx.backends.openvino import TOLERANCES, OpenVinoBackend, OpenVinoEngine
from streamfx.backends.store import CompiledStore
from streamfx.engine.folder import Engine, read_engine, write_engine
from streamfx.engine.golden import Array, Golden, difference
from streamfx.errors import BackendUnavailableError, EngineMismatchError
from tests.engines import golden_input, make_engine, make_inked_engine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> CompiledStore:
    """A store for tests to which it does not matter whether the engine comes from one."""
    return CompiledStore(tmp_path_factory.mktemp("compiled"))


@pytest.fixture
def store(tmp_path: Path) -> CompiledStore:
    return CompiledStore(tmp_path / "compiled")


def compile_f32(engine: Engine, store: CompiledStore | None, requests: int = 1) -> OpenVinoEngine:
    return OpenVinoBackend().compile(engine, CompileOptions(Precision.F32, 1, requests, store))


SHIPPED = [path.parent for path in sorted((ROOT / "engines").glob("*/engine.yaml"))]


@pytest.mark.parametrize("precision", [Precision.F32, Precision.BF16])
@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_engines_give_their_golden_heads(folder: Path, precision: Precision) -> None:
    OpenVinoBackend().compile(read_engine(folder), CompileOptions(precision)).close()  # checks them


@pytest.mark.parametrize("precision", [Precision.F32, Precision.BF16])
def test_an_engine_with_ink_that_sees_fine_luma_gives_its_golden_heads(
    tmp_path: Path, precision: Precision
) -> None:
    inked = read_engine(make_inked_engine(tmp_path))
    compiled = OpenVinoBackend().compile(inked, CompileOptions(precision))  # checks them
    heads = compiled(*golden_input(5, (8, 8), 19), 2.0)
    assert heads.shape == (11, 8, 8)
    compiled.close()


@pytest.mark.parametrize("precision", [Precision.F32, Precision.BF16])
def test_heads_are_those_of_the_reference_at_every_size_and_factor(
    engine: Engine, precision: Precision
) -> None:
    reference = EagerBackend().compile(engine, CompileOptions())
    compiled = OpenVinoBackend().compile(engine, CompileOptions(precision))
    assert compiled.precision is precision
    tolerance = TOLERANCES[precision]
    for seed, size in enumerate([(32, 48), (8, 8), (72, 128), (8, 8), (32, 48)]):
        planes, to_rgb, from_rgb = golden_input(seed, size)
        for factor in (1.0, 2.5, 8.0):
            expected = reference(planes, to_rgb, from_rgb, factor)
            found = compiled(planes, to_rgb, from_rgb, factor)
            assert found.dtype == np.float32
            assert found.flags.c_contiguous
            error = difference(found, Golden(planes, to_rgb, from_rgb, factor, expected))
            assert error.rms <= tolerance.rms
            assert error.largest <= tolerance.largest


def test_the_smallest_picture_is_one_stride(engine: Engine, built: CompiledStore) -> None:
    compiled = compile_f32(engine, built)
    _, to_rgb, from_rgb = golden_input()
    heads = compiled(np.full((3, 4, 4), 100, np.float32), to_rgb, from_rgb, 1.0)
    assert heads.shape == (7, 4, 4)


def test_more_sizes_than_stay_open_are_opened_again_from_the_store(
    engine: Engine, built: CompiledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfx.backends.openvino._MOST_OPEN", 2)
    compiled = compile_f32(engine, built)
    _, to_rgb, from_rgb = golden_input()
    pictures = [np.full((3, 4, width), 100, np.float32) for width in (4, 8, 12)]
    first = [compiled(picture, to_rgb, from_rgb, 1.0) for picture in pictures]
    assert len(compiled._requests) == 2
    again = [compiled(picture, to_rgb, from_rgb, 1.0) for picture in pictures]
    assert all(map(np.array_equal, first, again))


def test_a_picture_that_is_not_contiguous_gives_the_same_heads(engine: Engine, built: CompiledStore) -> None:
    compiled = compile_f32(engine, built)
    planes, to_rgb, from_rgb = golden_input()
    wide = np.zeros((3, 32, 96), np.float32)
    wide[:, :, ::2] = planes
    expected = compiled(planes, to_rgb, from_rgb, 4.0)
    assert np.array_equal(compiled(wide[:, :, ::2], to_rgb, from_rgb, 4.0), expected)


def test_heads_of_one_call_are_not_touched_by_the_next(engine: Engine, built: CompiledStore) -> None:
    compiled = compile_f32(engine, built)
    first_input, second_input = golden_input(1), golden_input(2)
    first = compiled(*first_input, 4.0)
    kept = first.copy()
    second = compiled(*second_input, 4.0)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, kept)


def test_threads_that_call_at_once_get_the_heads_of_their_own_pictures(
    engine: Engine, built: CompiledStore
) -> None:
    compiled = compile_f32(engine, built, requests=2)
    inputs = [golden_input(seed, size) for seed, size in enumerate([(32, 48), (16, 64), (32, 48), (8, 8)])]
    expected = [compiled(*values, 4.0) for values in inputs]
    wrong: list[int] = []
    barrier = threading.Barrier(len(inputs))

    def call(index: int) -> None:
        barrier.wait()
        found = [compiled(*inputs[index], 4.0) for _ in range(25)]
        wrong.extend(index for heads in found if not np.array_equal(heads, expected[index]))

    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_a_closed_engine_says_so_in_every_thread(engine: Engine, built: CompiledStore) -> None:
    compiled = compile_f32(engine, built, requests=2)
    compiled.close()
    compiled.close()
    for _ in range(3):
        with pytest.raises(RuntimeError, match="this compiled engine is closed"):
            compiled(*golden_input(), 4.0)


def test_warming_up_runs_every_request_and_gives_them_back(engine: Engine, built: CompiledStore) -> None:
    compiled = compile_f32(engine, built, requests=3)
    compiled.warm_up((3, 12, 16), *golden_input()[1:], 4.0)
    assert compiled(*golden_input(), 4.0).shape == (7, 32, 48)
    compiled.close()


# ---------------------------------------------------------------------------------------------- the store


START = """
import sys
from pathlib import Path
from streamfx.backends.backend import CompileOptions
from streamfx.backends.openvino import OpenVinoBackend
from streamfx.backends.store import CompiledStore
from streamfx.engine.folder import read_engine
engine = read_engine(Path(sys.argv[1]))
OpenVinoBackend().compile(engine, CompileOptions(store=CompiledStore(Path(sys.argv[2]))))
print("torch" in sys.modules)
"""


def start(engine: Engine, store: CompiledStore) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", START, str(engine.folder), str(store.folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_start_from_the_store_gives_the_same_heads_and_needs_no_torch(
    engine: Engine, store: CompiledStore
) -> None:
    fresh = OpenVinoBackend().compile(engine, CompileOptions(store=store))
    stored = OpenVinoBackend().compile(engine, CompileOptions(store=store))
    assert stored.precision is fresh.precision
    assert np.array_equal(fresh(*golden_input(5), 3.0), stored(*golden_input(5), 3.0))
    output, _ = start(engine, store).communicate(timeout=60)
    assert output == "False\n"


@pytest.mark.slow
def test_two_processes_that_build_the_same_engine_at_once_both_succeed(
    engine: Engine, store: CompiledStore
) -> None:
    processes = [start(engine, store) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=100)
    assert [process.returncode for process in processes] == [0, 0]
    (entry,) = store.entries()
    assert entry.key is not None
    assert store.load(entry.key) is not None


def test_automatic_precision_is_decided_once_and_remembered_with_what_was_measured(
    engine: Engine, store: CompiledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = OpenVinoBackend().compile(engine, CompileOptions(store=store))
    (entry,) = store.entries()
    assert entry.key is not None
    assert entry.key.precision == "auto"
    assert entry.notes is not None
    assert entry.notes["precision"] == compiled.precision
    measured = {name: value for name, value in entry.notes.items() if name.endswith("_ms")}
    if measured:  # a processor without bf16 has nothing to choose from
        assert f"{compiled.precision}_ms" == min(measured, key=lambda name: float(measured[name]))

    def build(*_: object) -> None:
        raise AssertionError("it was built again")

    monkeypatch.setattr("streamfx.backends.openvino._build", build)
    assert OpenVinoBackend().compile(engine, CompileOptions(store=store)).precision is compiled.precision


def test_a_stored_model_that_openvino_cannot_read_is_built_again(
    engine: Engine, store: CompiledStore, caplog: pytest.LogCaptureFixture
) -> None:
    compile_f32(engine, store)
    (entry,) = store.entries()
    assert entry.key is not None
    stored = store.load(entry.key)
    assert stored is not None
    store.save(entry.key, type(stored)({"model.blob": b"no model"}, stored.notes))
    compiled = compile_f32(engine, store)
    assert "the stored engine 'tiny' cannot be used, building it again" in caplog.text
    assert difference(compiled(*golden_input(), 4.0), engine.golden).largest < 1e-2
    stored_again = store.load(entry.key)
    assert stored_again is not None
    assert len(stored_again.payload["model.blob"]) > 1000


def test_an_engine_that_changed_is_built_again(
    engine: Engine, store: CompiledStore, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    compile_f32(engine, store)
    changed = read_engine(make_engine(tmp_path, seed=8))
    compiled = compile_f32(changed, store)
    assert f"engine_digest {engine.digest} is now {changed.digest}" in caplog.text
    assert difference(compiled(*golden_input(8), 4.0), changed.golden).largest < 1e-2


def wrong_golden(engine: Engine, folder: Path, heads: Array) -> Engine:
    golden = engine.golden
    other = Golden(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor, heads)
    weights = (engine.folder / "weights.safetensors").read_bytes()
    return write_engine(folder / "tiny", engine.spec, weights=weights, golden=other, card="# Wrong\n")


@pytest.mark.parametrize("precision", [Precision.AUTO, Precision.F32, Precision.BF16])
def test_an_engine_that_does_not_give_its_golden_heads_is_refused_and_not_stored(
    engine: Engine, store: CompiledStore, tmp_path: Path, precision: Precision
) -> None:
    wrong = wrong_golden(engine, tmp_path, engine.golden.heads[:, ::-1].copy())
    with pytest.raises(EngineMismatchError, match=r"engine 'tiny', compiled by openvino in .* golden heads"):
        OpenVinoBackend().compile(wrong, CompileOptions(precision, store=store))
    assert store.entries() == ()


def test_without_torch_the_error_names_what_needs_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import util

    monkeypatch.setattr(
        util, "find_spec", lambda name, find=util.find_spec: None if name == "torch" else find(name)
    )
    message = "engine 'tiny' once, as its folder has no graph, and that needs torch: pip install torch"
    with pytest.raises(BackendUnavailableError, match=message):
        compile_f32(engine, None)


def test_a_network_that_openvino_cannot_run_is_an_error_that_names_what_can(engine: Engine) -> None:
    import torch

    class Odd(torch.nn.Module):
        def forward(self, planes: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
            roots: torch.Tensor = torch.linalg.eigvals(planes[..., :32, :32]).real
            return roots

    @dataclass
    class OddEngine:
        name: str = "odd"
        digest: str = "0"
        stride: int = 4
        golden: Golden = engine.golden
        folder: Path = engine.folder

        def input_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
            return 3, *size

        def file(self, _: str) -> bytes | None:
            return None

        def network(self) -> torch.nn.Module:
            return Odd()

    message = "backend openvino cannot convert engine 'odd'; use backend eager: .*eigvals"
    with pytest.raises(BackendUnavailableError, match=rf"(?s){message}"):
        OpenVinoBackend().compile(OddEngine(), CompileOptions(Precision.F32))
