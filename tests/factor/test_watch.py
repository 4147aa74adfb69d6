"""A governor at work on real effects: prepared in the background, switched between frames, noted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import streamfx
from streamfx.backends.backend import Precision
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import Array
from streamfx.errors import BackendUnavailableError
from streamfx.factor.choice import FactorChoice
from streamfx.factor.watch import FactorWatch, watch_factor
from streamfx.generate.effect import Effect
from streamfx.generate.request import Controls
from streamfx.media.frame import Colour, Subsampling, VideoFormat
from streamfx.pipeline.stats import Snapshot, Times
from tests.engines import make_engine
from tests.factor.test_governor import prediction

VIDEO = VideoFormat((48, 64), Subsampling.YUV420, 8, Colour(), Fraction(1, 30), rate_fps=Fraction(30))
CHOICE = FactorChoice(4.0, "", 0.033, tuple(prediction(factor, 0.2) for factor in (2.0, 3.0, 4.0, 6.0, 8.0)))


@dataclass
class Prepared:
    """A compiled engine that notes what it was prepared for."""

    broken: tuple[float, ...] = ()
    factors: list[float] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    backend: str = "noting"
    precision: Precision = Precision.F32

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        return np.zeros((7, *reduced.shape[1:]), np.float32)

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        self.threads.add(threading.current_thread().name)
        if factor in self.broken:
            raise BackendUnavailableError("no memory for that")
        self.factors.append(factor)

    def close(self) -> None: ...


class Run:
    """A live run as its snapshots tell it: a look four times a second, eight frames each."""

    def __init__(self, watch: FactorWatch) -> None:
        self.watch, self.now, self._totals, self._count = watch, 0.0, {"generate": 0.0, "encode": 0.0}, 0

    def go(
        self,
        seconds: float,
        generate_ms: float,
        *,
        output_ms: float = 0.0,
        stopping: bool = False,
        network: bool = True,
    ) -> None:
        for _ in range(round(seconds * 4)):
            self.now, self._count = self.now + 0.25, self._count + 8
            self._totals["generate"] += 8 * generate_ms / 1e3
            self._totals["encode"] += 8 * 0.001
            if output_ms:
                self._totals["output slow"] = self._totals.get("output slow", 0.0) + 8 * output_ms / 1e3
            stages = {
                name: Times(self._count, total / self._count, None, None, None, None)
                for name, total in self._totals.items()
            }
            if network:
                stages["translate"] = Times(self._count, 0.001, None, None, None, None)
            self.watch.look(
                Snapshot(self._count, self._count, 0, 0, None, self.now, 30.0, None, {}, stages, stopping)
            )
            self.settle()

    def settle(self) -> None:
        """Wait until nothing is being prepared."""
        for thread in threading.enumerate():
            if thread.name == "streamfx-prepare":
                thread.join(30)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture
def compiled() -> Prepared:
    return Prepared()


@pytest.fixture
def effect(engine: Engine, compiled: Prepared) -> Effect:
    return Effect(engine, compiled, _controls=Controls(0.5, 4))


@pytest.fixture
def run(effect: Effect) -> Iterator[Run]:
    watch = watch_factor(CHOICE, [effect], VIDEO)
    assert watch is not None
    yield Run(watch)
    watch.close()


def test_neighbours_are_prepared_at_once_and_in_a_thread_of_their_own(run: Run, compiled: Prepared) -> None:
    run.go(0.25, 10)
    assert compiled.factors == [6, 3]
    assert compiled.threads == {"streamfx-prepare"}


def test_before_the_run_every_larger_factor_and_the_next_smaller_one_are_prepared(
    run: Run, compiled: Prepared
) -> None:
    run.watch.prepare()
    assert compiled.factors == [3, 6, 8]
    assert compiled.threads == {threading.current_thread().name}
    run.go(10, 20)
    assert compiled.factors == [3, 6, 8]


def test_a_change_sets_the_factor_and_nothing_else_and_is_noted(
    run: Run, effect: Effect, compiled: Prepared, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streamfx")
    run.go(1.5, 50)
    assert effect.controls == Controls(0.5, 6)
    (decision,) = run.watch.decisions
    assert (decision.before, decision.after) == (4, 6)
    assert decision.time_seconds == 1
    assert decision.why == "a stage takes 50 ms a frame of 33.3 for 1 s"
    assert f"factor 6 instead of 4: {decision.why}" in caplog.text
    assert compiled.factors == [6, 3, 8], "the next neighbour is prepared after the change"


def test_of_several_outputs_the_slowest_counts_though_frames_are_only_handed_over_to_it(
    run: Run, effect: Effect
) -> None:
    run.go(1.5, 20, output_ms=5)
    assert run.watch.decisions == []
    run.go(1.5, 20, output_ms=60)
    assert run.watch.decisions[0].why == "a stage takes 60 ms a frame of 33.3 for 1 s"
    assert effect.controls.factor > 4


def test_there_and_back_again(run: Run, effect: Effect) -> None:
    run.go(1.5, 50)
    run.go(20, 8)
    assert [decision.after for decision in run.watch.decisions][:2] == [6, 4]


def test_a_factor_that_cannot_be_prepared_is_left_out_with_a_warning(
    run: Run, effect: Effect, compiled: Prepared, caplog: pytest.LogCaptureFixture
) -> None:
    compiled.broken = (6.0,)
    run.go(10, 50)
    assert effect.controls.factor == 4
    assert caplog.text.count("factor 6 cannot be prepared and is left out: no memory for that") == 1


def test_nothing_is_decided_without_the_network_nor_when_stopping(run: Run, effect: Effect) -> None:
    run.go(10, 50, network=False)
    run.go(10, 50, stopping=True)
    assert effect.controls.factor == 4
    assert run.watch.decisions == []


def test_after_closing_nothing_is_changed_or_prepared(run: Run, effect: Effect, compiled: Prepared) -> None:
    run.watch.close()
    run.go(10, 50)
    assert effect.controls.factor == 4
    assert compiled.factors == []


def test_where_it_cannot_help_that_is_said_and_noted(
    run: Run, effect: Effect, caplog: pytest.LogCaptureFixture
) -> None:
    run.go(20, 200)
    assert effect.controls.factor == 8
    last = run.watch.decisions[-1]
    assert last.before == last.after == 8
    assert "factor stays 8: a stage takes 200 ms a frame of 33.3, and there is no larger" in caplog.text


def test_without_a_rate_or_a_choice_there_is_nothing_to_watch(effect: Effect) -> None:
    assert watch_factor(CHOICE, [effect], replace(VIDEO, rate_fps=None)) is None
    assert watch_factor(FactorChoice(4.0, ""), [effect], VIDEO) is None


def test_preparing_a_factor_changes_nothing_that_is_seen(engine: Engine) -> None:
    measured: list[str] = []
    effect = Effect(engine, Prepared(), measure=lambda stage, _: measured.append(stage))
    effect.warm_up(VIDEO, 2.0)
    assert effect.controls.factor == 4
    assert measured == []


def test_a_live_run_is_governed_and_its_report_says_so(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMFX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMFX_ENGINES", str(engine.folder.parent))
    looks: list[float] = []
    look = FactorWatch.look

    def noting(watch: FactorWatch, snapshot: Snapshot) -> None:
        looks.append(snapshot.elapsed_seconds)
        look(watch, snapshot)

    monkeypatch.setattr(FactorWatch, "look", noting)
    report = streamfx.transcode("test:bars?size=64x48&fps=30&frames=20&live=1", "null:", effects=["tiny"])
    assert report.factor is not None
    assert "live at 30 fps" in report.factor.reason
    assert looks
    before = len(looks)
    streamfx.transcode("test:bars?size=64x48&fps=30&frames=5", "null:", effects=["tiny"])
    assert len(looks) == before, "a file is not governed"
