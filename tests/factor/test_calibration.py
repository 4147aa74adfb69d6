"""Calibration: fitted to what was measured, measured once, kept, and not trusted blindly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from streamfx.backends.backend import CompiledEngine, CompileOptions, Precision
from streamfx.backends.eager import EagerBackend
from streamfx.backends.store import CompiledStore
from streamfx.config.loading import load_config
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import Array
from streamfx.factor import calibration as calibrate
from streamfx.factor.calibration import (
    calibration,
    fit,
    measure_bandwidth,
    memory_bandwidth,
    stored_calibration,
)
from streamfx.factor.choice import fit_factor
from streamfx.generate.chain import Chain
from streamfx.generate.effect import Effect, EffectSettings
from streamfx.hardware.nvidia import Gpu
from streamfx.media.frame import Colour, Subsampling, VideoFormat
from tests.engines import make_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture
def store(tmp_path: Path) -> CompiledStore:
    return CompiledStore(tmp_path)


@dataclass
class Clock:
    """A clock that a fake engine moves."""

    now: float = 100.0

    def read(self) -> float:
        return self.now


@dataclass
class Timed:
    """An engine that takes as long as told, by a fake clock."""

    clock: Clock
    fixed_seconds: float
    seconds_per_pixel: float
    backend: str = "told"
    precision: Precision = Precision.F32
    sizes: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        self.sizes.append(reduced.shape[1:])
        self.clock.now += self.fixed_seconds + self.seconds_per_pixel * reduced[0].size
        return np.zeros((7, *reduced.shape[1:]), np.float32)

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("streamfx.factor.calibration.time.perf_counter", clock.read)
    monkeypatch.setattr(
        "streamfx.factor.calibration.time.process_time", lambda: 99 * clock.read()
    )  # busy all the time
    return clock


# ---------------------------------------------------------------- the fit


@given(
    fixed=st.floats(0, 0.002),
    slope=st.floats(1e-8, 1e-6),
    noise=st.lists(st.floats(-0.02, 0.02), min_size=3, max_size=3),
)
def test_the_fit_predicts_what_it_was_made_from(fixed: float, slope: float, noise: list[float]) -> None:
    points = [
        (pixels, (fixed + slope * pixels) * (1 + error))
        for pixels, error in zip((14_400, 57_600, 129_600), noise, strict=True)
    ]
    fitted = fit(points)
    assert fitted.fixed_seconds >= 0
    assert fitted.seconds_per_pixel >= 0
    for pixels, seconds in points:
        assert fitted.seconds(pixels) == pytest.approx(seconds, rel=0.15)


def test_one_point_gives_a_cost_in_proportion_to_the_pixels() -> None:
    assert fit([(1000, 0.002)]).seconds(3000) == pytest.approx(0.006)


def test_a_small_picture_that_took_longer_than_a_large_one_is_a_mistake_of_the_moment() -> None:
    fitted = fit([(1000, 0.020), (4000, 0.008)])
    assert fitted.fixed_seconds == 0
    assert fitted.seconds(4000) == pytest.approx(0.008)


# ---------------------------------------------------------------- measuring and keeping


@dataclass
class OnGpu:
    """The same on a GPU, by the name of a backend that runs anywhere."""

    timed: Timed
    backend: str = "eager"
    precision: Precision = Precision.F32
    device: torch.device = field(default_factory=lambda: torch.device("cuda", 0))
    dtype: torch.dtype = torch.float32
    version: int = 0

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        return self.timed(reduced, to_rgb, from_rgb, factor)

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None: ...

    def heads_shape(self, seen: tuple[int, ...]) -> tuple[int, ...]:
        return seen

    def run(self, *given: Any) -> None: ...

    def close(self) -> None: ...


def test_a_gpu_is_timed_by_the_clock_whatever_the_backend_and_kept_apart_from_the_processor(
    engine: Engine, store: CompiledStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "streamfx.factor.calibration.time.process_time", lambda: 0.0
    )  # the processor waits for it
    gpu = Gpu("NVIDIA Imaginary 1", (9, 0), driver="580.65")
    monkeypatch.setattr(calibrate, "gpus", lambda: (gpu,))
    found = calibration(engine, OnGpu(Timed(clock, 0.001, 2e-8)), 2, store)
    assert found.fixed_seconds == pytest.approx(0.001)
    assert found.seconds_per_pixel == pytest.approx(2e-8)
    (entry,) = store.entries()
    assert entry.key is not None
    assert entry.key.device == "NVIDIA Imaginary 1"
    assert entry.key.device_features == ("compute capability 9.0", "driver 580.65")
    assert stored_calibration(engine, "eager", "f32", 2, store) is None, "that is the processor's"
    monkeypatch.setattr(calibrate, "gpus", lambda: (replace(gpu, name="NVIDIA Imaginary 2"),))
    slower = calibration(engine, OnGpu(Timed(clock, 0.002, 2e-8)), 2, store)
    assert slower.fixed_seconds == pytest.approx(0.002), "another GPU"


def test_the_factor_of_an_engine_on_a_gpu_follows_from_the_gpu(
    engine: Engine, store: CompiledStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "gpus", lambda: (Gpu("NVIDIA Imaginary 1"),))
    video = VideoFormat((72, 128), Subsampling.YUV420, 8, Colour(), Fraction(1, 25), rate_fps=Fraction(25))
    config = load_config(options={"input": "in.mp4", "output": "out.mp4", "effects": ("tiny",)})
    on_gpu, on_processor = OnGpu(Timed(clock, 0.001, 2e-8)), Timed(clock, 0.5, 0)
    cases: tuple[tuple[CompiledEngine, str], ...] = ((on_gpu, "gpu"), (on_processor, "cpu"))
    for compiled, resource in cases:
        effect = Effect(engine, compiled)
        settings = EffectSettings(store=store, threads=1)
        choice = fit_factor(Chain((effect,)), [effect], video, config, settings, live=False)
        (term,) = [each for each in choice.predictions[0].terms if each.stage == "translate"]
        assert term.resource == resource
        assert (term.seconds < 0.01) == (resource == "gpu")


def test_what_an_engine_takes_is_found_out(engine: Engine, store: CompiledStore, clock: Clock) -> None:
    found = calibration(engine, Timed(clock, 0.001, 2e-8), 2, store)
    assert found.fixed_seconds == pytest.approx(0.001)
    assert found.seconds_per_pixel == pytest.approx(2e-8)


def test_it_is_measured_once_for_a_device_and_kept(
    engine: Engine, store: CompiledStore, clock: Clock
) -> None:
    first, second = Timed(clock, 0.001, 2e-8), Timed(clock, 0.5, 1e-6)
    found = calibration(engine, first, 2, store)
    assert first.sizes
    assert calibration(engine, second, 2, store) == found
    assert second.sizes == []
    assert calibration(engine, second, 1, store) != found, "other threads, other times"
    assert stored_calibration(engine, "told", "bf16", 2, store) is None
    store.clear()
    assert stored_calibration(engine, "told", "f32", 2, store) is None


def test_a_slow_engine_is_measured_at_fewer_sizes_so_that_nobody_waits_long(
    engine: Engine, store: CompiledStore, clock: Clock
) -> None:
    slow = Timed(clock, 0.0, 0.4 / 14_720)  # 0.4 s for the smallest picture
    began = clock.now
    found = calibration(engine, slow, 2, store)
    assert clock.now - began < 2
    assert len(set(slow.sizes)) == 1
    assert found.seconds(14_720) == pytest.approx(0.4)


def test_sizes_are_multiples_of_the_stride(engine: Engine, store: CompiledStore, clock: Clock) -> None:
    timed = Timed(clock, 0.001, 1e-9)
    calibration(engine, timed, 2, store)
    assert len(set(timed.sizes)) == 3
    assert all(side % engine.stride == 0 for size in timed.sizes for side in size)


def test_a_calibration_that_cannot_be_read_is_made_again(
    engine: Engine, store: CompiledStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    calibration(engine, Timed(clock, 0.001, 2e-8), 2, store)
    (entry,) = store.entries()
    entry.path.write_bytes(entry.path.read_bytes().replace(b'"fixed_seconds": ', b'"fixed_minutes": '))
    again = calibration(engine, Timed(clock, 0.003, 2e-8), 2, store)
    assert again.fixed_seconds == pytest.approx(0.003)
    assert "the calibration of engine 'tiny' cannot be used, measuring again" in caplog.text


def test_a_real_engine_takes_more_time_for_more_pixels(engine: Engine, store: CompiledStore) -> None:
    compiled = EagerBackend().compile(engine, CompileOptions(threads=1))
    found = calibration(engine, compiled, 1, store)
    assert 0 < found.seconds(10_000) < found.seconds(1_000_000)


def test_the_bandwidth_of_the_memory_is_measured_once_and_kept(
    store: CompiledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "measure_bandwidth", lambda cores: 12e9 + cores)
    first = memory_bandwidth(store)
    assert first > 12e9
    monkeypatch.setattr(calibrate, "measure_bandwidth", lambda cores: 1.0)
    assert memory_bandwidth(store) == first


def test_memory_moves_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "_BUFFER_BYTES", 1 << 20)
    assert measure_bandwidth(2) > 1e6
