"""Choosing a backend, and the golden check."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from streamfx.backends.backend import Backend, CompilableEngine, CompiledEngine, CompileOptions, Precision
from streamfx.backends.eager import EagerBackend
from streamfx.backends.golden_check import check_golden
from streamfx.backends.registry import NAMES, backends, choose, libraries
from streamfx.config.loading import load_config
from streamfx.engine.folder import Engine, read_engine, write_engine
from streamfx.engine.golden import Array, Golden, Tolerance, difference, roundoff_of, spread
from streamfx.errors import BackendUnavailableError, ConfigError, EngineMismatchError
from streamfx.hardware.cuda import Device
from tests.engines import make_engine


@dataclass(frozen=True)
class Ready:
    """A backend that can run, for choosing only."""

    name: str
    but: str | None = None
    chosen_on: frozenset[Device] = frozenset(Device)
    library: str = "torch"
    keeps_compiled: bool = False
    compiles_each_size: bool = False

    def availability(self) -> str | None:
        return None

    def held_back(self) -> str | None:
        return self.but

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> CompiledEngine:
        raise NotImplementedError


@dataclass(frozen=True)
class Missing:
    """A backend that cannot run here."""

    name: str
    reason: str
    chosen_on: frozenset[Device] = frozenset(Device)
    library: str = "torch"
    keeps_compiled: bool = False
    compiles_each_size: bool = False

    def availability(self) -> str | None:
        return self.reason

    def held_back(self) -> str | None:
        return None

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> CompiledEngine:
        raise NotImplementedError


@dataclass
class Recorded:
    """A compiled engine that gives what it was told to."""

    heads: Array
    backend: str = "recorded"
    precision: Precision = Precision.BF16

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        return self.heads

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None: ...

    def close(self) -> None: ...


AMONG: tuple[Backend, ...] = (Missing("warp drive", "no dilithium"), Ready("sail"), Ready("oars"))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return read_engine(make_engine(tmp_path))


def test_auto_takes_the_fastest_that_can_run_and_logs_why_faster_ones_cannot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    assert choose("auto", AMONG).name == "sail"
    assert "backend warp drive, which goes before, is not used: no dilithium" in caplog.text


def test_a_backend_that_was_asked_for_is_taken_even_if_a_faster_one_can_run() -> None:
    assert choose("oars", AMONG).name == "oars"


def test_asking_for_a_backend_that_cannot_run_is_an_error_with_reason_and_choice() -> None:
    message = "backend warp drive cannot run here: no dilithium; can run here: sail, oars"
    with pytest.raises(BackendUnavailableError, match=message):
        choose("warp drive", AMONG)


def test_asking_for_a_backend_there_is_none_of_lists_those_there_are() -> None:
    message = "there is no backend 'ores'; did you mean 'oars'\\? known: auto, warp drive, sail, oars"
    with pytest.raises(ConfigError, match=message):
        choose("ores", AMONG)


def test_when_no_backend_can_run_each_reason_is_listed() -> None:
    among = (Missing("warp drive", "no dilithium"), Missing("sail", "no wind"))
    message = "no backend can run here: warp drive: no dilithium; sail: no wind"
    with pytest.raises(BackendUnavailableError, match=message):
        choose("auto", among)


def test_openvino_and_eager_can_run_wherever_streamfx_is_installed() -> None:
    reasons = {backend.name: backend.availability() for backend in backends()}
    assert list(reasons) == ["tensorrt", "inductor", "openvino", "eager"]
    assert reasons["openvino"] is None
    assert reasons["eager"] is None


def test_auto_passes_over_a_backend_that_can_run_but_is_slower_here(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    among = (Ready("rocket", but="it is a short way"), Ready("sail"), Ready("oars"))
    assert choose("auto", among).name == "sail"
    assert "backend rocket, which goes before, is not used: it is a short way" in caplog.text
    assert choose("rocket", among).name == "rocket"


def test_where_all_that_can_run_are_held_back_the_last_is_taken() -> None:
    assert choose("auto", (Missing("sail", "no wind"), Ready("oars", but="tiring"))).name == "oars"


@pytest.mark.parametrize("options", [{"threads": 0}, {"requests": 0}])
def test_threads_and_lanes_must_be_at_least_one(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="threads and requests must be at least 1"):
        CompileOptions(**options)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------ golden frame


def golden_of(heads: Array) -> Golden:
    rows = np.eye(3, 4, dtype=np.float32)
    return Golden(np.zeros((3, *heads.shape[1:]), np.float32), rows, rows, 2.0, heads)


def test_the_difference_is_counted_in_each_channels_own_spread() -> None:
    heads = np.zeros((2, 2, 2), np.float32)
    heads[0] = [[0, 200], [0, 200]]  # spread 100
    heads[1] = [[0, 2], [0, 2]]  # spread 1
    wrong = heads + np.array([10, 0.5], np.float32)[:, None, None]
    found = difference(wrong, golden_of(heads))
    assert (found.rms, found.rms_channel) == pytest.approx((0.5, 1))
    assert (found.largest, found.largest_channel) == pytest.approx((0.5, 1))


def test_a_channel_that_does_not_vary_has_a_spread_all_the_same() -> None:
    heads = np.stack([np.full((4, 4), value, np.float32) for value in (0, 1, -50)])
    assert spread(heads).tolist() == pytest.approx([0.01, 0.01, 0.5])


def test_two_roundings_of_the_largest_value_of_a_channel_are_no_error() -> None:
    heads = np.full((2, 2, 2), 128, np.float32)
    heads[1] = [[0, 1], [0, 1]]
    wrong = heads + np.array([2 / 16 + 0.128, 0.25], np.float32)[:, None, None]
    whole, but_rounding = (difference(wrong, golden_of(heads), roundoff) for roundoff in (0, roundoff_of(11)))
    assert (whole.rms, whole.rms_channel) == pytest.approx((0.5, 1))
    assert (but_rounding.rms, but_rounding.rms_channel) == pytest.approx((0.5 - 2**-9, 1), rel=1e-6)
    assert difference(wrong[:1], golden_of(heads[:1]), roundoff_of(11)).rms == pytest.approx(0.1, rel=1e-4)
    assert difference(wrong[:1], golden_of(heads[:1])).rms == pytest.approx(0.198, rel=1e-2)


def test_not_a_number_is_infinitely_far() -> None:
    heads = np.ones((1, 2, 2), np.float32)
    wrong = heads.copy()
    wrong[0, 0, 0] = np.nan
    assert difference(wrong, golden_of(heads)).largest == np.inf


def test_heads_beyond_the_tolerance_are_an_error_that_says_by_how_much_and_where(engine: Engine) -> None:
    heads = engine.golden.heads.copy()
    heads[3] += 0.5 * float(spread(heads)[3])
    allowed = check_golden(engine, Recorded(heads), Tolerance(rms=0.6, largest=0.6))
    assert allowed.rms_channel == 3
    with pytest.raises(EngineMismatchError) as caught:
        check_golden(engine, Recorded(heads), Tolerance(rms=0.1, largest=0.6))
    message = str(caught.value)
    assert "engine 'tiny', compiled by recorded in bf16, does not give its golden heads" in message
    assert "0.5 root mean square (channel 3; allowed 0.1)" in message


def test_heads_of_another_shape_are_an_error_with_both_shapes(engine: Engine) -> None:
    message = r"gives heads of shape \(6, 32, 48\) for its golden frame; expected \(7, 32, 48\)"
    with pytest.raises(EngineMismatchError, match=message):
        check_golden(engine, Recorded(engine.golden.heads[:6]), Tolerance(1, 1))


def test_a_golden_frame_whose_arrays_do_not_fit_together_is_refused() -> None:
    rows = np.eye(3, 4, dtype=np.float32)
    heads = np.zeros((7, 8, 8), np.float32)
    with pytest.raises(ValueError, match=r"found \(7, 8, 8\) for \(3, 8, 12\)"):
        Golden(np.zeros((3, 8, 12), np.float32), rows, rows, 1.0, heads)


# ------------------------------------------------------------------------------------------------- eager


def test_eager_gives_the_golden_heads_and_says_what_it_is(engine: Engine) -> None:
    compiled = EagerBackend().compile(engine, CompileOptions(threads=2))
    golden = engine.golden
    heads = compiled(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor)
    assert difference(heads, golden).largest < 1e-3
    assert (compiled.backend, compiled.precision) == ("eager", Precision.F32)
    compiled.warm_up((3, 8, 12), golden.to_rgb, golden.from_rgb, 2.0)
    compiled.close()
    compiled.close()
    with pytest.raises(RuntimeError, match="closed"):
        compiled(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor)


def test_eager_is_the_reference_and_refuses_bf16(engine: Engine) -> None:
    with pytest.raises(
        BackendUnavailableError, match="computes in f32 only; bf16 was asked for: use openvino"
    ):
        EagerBackend().compile(engine, CompileOptions(Precision.BF16))


def test_an_engine_whose_golden_frame_is_not_its_own_is_refused(engine: Engine) -> None:
    golden = engine.golden
    other = Golden(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor, golden.heads[:, ::-1].copy())
    weights = (engine.folder / "weights.safetensors").read_bytes()
    wrong = write_engine(engine.folder, engine.spec, weights=weights, golden=other, card="# Wrong\n")
    with pytest.raises(EngineMismatchError, match="compiled by eager in f32, does not give its golden heads"):
        EagerBackend().compile(wrong, CompileOptions())


def test_each_backend_is_listed_by_the_name_it_gives_itself() -> None:
    assert tuple(backend.name for backend in backends()) == NAMES
    assert "torch-tensorrt" in libraries()


def test_the_configuration_takes_every_backend_there_is() -> None:
    for name in ("auto", *NAMES):
        assert load_config(options={"input": "a", "output": "b", "backend": name}).backend == name
    with pytest.raises(ConfigError, match=r"did you mean .openvino.\?.*found .opnvino."):
        load_config(options={"input": "a", "output": "b", "backend": "opnvino"})
