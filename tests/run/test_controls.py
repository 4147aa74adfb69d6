"""The controls: changes act between two frames, effects are exchanged in the background, and all is noted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from streamfx.backends.backend import CompiledEngine
from streamfx.capture.pattern import PatternSource, read_stamp
from streamfx.engine.golden import Array
from streamfx.errors import ConfigError
from streamfx.generate.effect import Effect
from streamfx.media.frame import Frame
from streamfx.pipeline.stats import Snapshot, Times
from streamfx.run.control_state import WantedEffect
from streamfx.run.effects import check_sizes
from tests import engines
from tests.run_controls import Bench, Gate, bench
from tests.servers import wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("controls")
    engines.make_engine(folder, "tiny")
    engines.make_engine(folder, "other", seed=11)
    engines.make_engine(folder, "narrow", factors=[2.0, 3.0])
    broken = engines.make_engine(folder, "broken")
    (broken / "weights.safetensors").write_bytes(b"damaged")
    return folder


@pytest.fixture(autouse=True)
def _engines(folder: Path, compiled: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STREAMFX_CACHE", compiled)
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder))
    yield
    assert [thread.name for thread in threading.enumerate() if "switch" in thread.name] == []


@dataclass
class Failing:
    """A compiled engine that cannot run any more."""

    inner: CompiledEngine

    def __post_init__(self) -> None:
        self.backend, self.precision = self.inner.backend, self.inner.precision

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        raise RuntimeError("device lost")

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None: ...

    def close(self) -> None:
        self.inner.close()


def same(first: Frame, second: Frame) -> bool:
    """Return whether two frames have the same pixels."""
    return all(np.array_equal(one, other) for one, other in zip(first.planes, second.planes, strict=True))


def switched(table: Bench, name: str) -> None:
    """Put another effect in the first place, and wait until it is there."""
    table.controls.switch(0, name)
    wait_until(lambda: table.controls.state().opening is None)


def test_bypass_lets_the_very_next_frame_pass_and_off_changes_the_one_after() -> None:
    with bench("tiny") as table:
        first, second, third = table.frame(), table.frame(), table.frame()
        assert not same(table.controls.process(first), first)
        table.controls.set_bypass(True)
        assert table.controls.process(second) is second
        table.controls.set_bypass(False)
        assert not same(table.controls.process(third), third)


def test_a_frame_that_is_being_done_is_finished_the_old_way_and_the_next_is_done_the_new_way() -> None:
    with bench("tiny") as table:
        effect = table.controls.effects.chain.effects[0]
        assert isinstance(effect, Effect)
        gate = Gate(effect.compiled)
        effect.compiled = gate
        old, new = table.frame(), table.frame()
        done: list[Frame] = []
        thread = threading.Thread(target=lambda: done.append(table.controls.process(old)))
        thread.start()
        assert gate.entered.wait(60)
        table.controls.set_bypass(True)
        gate.opened.set()
        thread.join()
        assert not same(done[0], old)
        assert table.controls.process(new) is new


def test_a_control_acts_with_the_next_frame_and_others_see_it() -> None:
    with bench("tiny") as table:
        told: list[float] = []
        stop = table.controls.listen(lambda: told.append(table.controls.state().effects[0].controls[0].value))
        first, second = table.frame(), table.frame()
        assert not same(table.controls.process(first), first)
        table.controls.set_control(0, "strength", 0.0)
        assert table.controls.process(second) is second
        stop()
        table.controls.set_control(0, "strength", 1.0)
        assert told == [0.0]


def test_the_controls_shown_are_those_that_the_engine_declares() -> None:
    with bench("tiny") as table:
        controls = table.controls.state().effects[0].controls
        assert [(each.name, each.low, each.high, each.value) for each in controls] == [("strength", 0, 1, 1)]


def test_another_effect_takes_the_place_with_factor_and_strength_and_the_old_one_is_closed() -> None:
    with bench("tiny", "tiny:strength=0.5") as table:
        controls = table.controls
        effect, kept = controls.effects.chain.effects
        assert isinstance(effect, Effect)
        gate = Gate(effect.compiled)
        gate.opened.set()
        effect.compiled = gate
        controls.set_control(0, "strength", 0.75)
        frame = table.frame()
        before = controls.process(frame)
        switched(table, "other")
        wait_until(lambda: gate.closes == 1)
        after = controls.process(frame)
        state = controls.state()
        assert [each.name for each in state.effects] == ["other", "tiny"]
        assert state.effects[0].controls[0].value == 0.75
        assert state.effects[0].factor == 2
        assert controls.effects.chain.effects[1] is kept
        assert not same(before, after)
        assert controls.changes[-1].what == "effect tiny → other"
        assert controls.changes[-1].after_frame == frame.index


def test_frames_go_on_through_the_old_effect_until_the_new_one_is_in_its_place() -> None:
    with bench("tiny") as table:
        controls = table.controls
        frame = table.frame()
        before = controls.process(frame)
        seen: list[bool] = []
        controls.switch(0, "other")
        while controls.state().opening is not None:
            seen.append(same(controls.process(frame), before))
        changed = [index for index, old in enumerate(seen) if not old]
        assert seen[0]
        assert all(index == len(seen) - 1 for index in changed), "old and new frames are mixed"
        assert not same(controls.process(frame), before)


def test_an_effect_that_cannot_be_opened_leaves_the_old_one_and_says_why() -> None:
    with bench("tiny") as table:
        controls, frame = table.controls, table.frame()
        before = controls.process(frame)
        switched(table, "broken")
        state = controls.state()
        assert [each.name for each in state.effects] == ["tiny"]
        assert state.problem is not None
        assert "is not the file that was recorded" in state.problem
        assert same(controls.process(frame), before)
        assert controls.changes[-1].what.startswith("effect broken asked for, and not to be had: ")
        switched(table, "other")
        assert controls.state().problem is None


def test_an_effect_can_be_put_where_there_was_none() -> None:
    with bench() as table:
        frame = table.frame()
        assert table.controls.process(frame) is frame
        switched(table, "tiny")
        assert not same(table.controls.process(frame), frame)
        assert table.controls.changes[-1].what == "effect none → tiny"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda controls: controls.switch(0, "nope"), "there is no effect 'nope'; there are: .*tiny"),
        (lambda controls: controls.switch(0, "../engines/wave"), "there is no effect '../engines/wave'"),
        (lambda controls: controls.switch(5, "other"), "there is no effect number 5"),
        (
            lambda controls: controls.set_control(3, "strength", 1.0),
            "there is no effect number 3; there are 1",
        ),
        (lambda controls: controls.set_control(0, "noise", 1.0), "effect 'tiny' has no control 'noise'"),
        (lambda controls: controls.set_control(0, "factor", 4.0), "effect 'tiny' has no control 'factor'"),
        (lambda controls: controls.set_control(0, "strength", 1.5), "strength must be 0 to 1, found 1.5"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(ask: object, message: str) -> None:
    with bench("tiny") as table:
        assert callable(ask)
        with pytest.raises(ConfigError, match=message):
            ask(table.controls)
        assert table.controls.changes == []


def test_a_second_effect_waits_until_the_first_is_open_and_none_is_opened_after_the_end() -> None:
    with bench("tiny") as table:
        table.controls.switch(0, "other")
        with pytest.raises(ConfigError, match="other is being opened; tiny can be taken after that"):
            table.controls.switch(0, "tiny")
        table.controls.close()
        with pytest.raises(ConfigError, match="the run has ended"):
            table.controls.switch(0, "tiny")


def test_frames_keep_the_size_that_outputs_were_opened_for_whatever_is_changed() -> None:
    with bench("upscale", factor="1", backend="eager") as table:
        controls, size = table.controls, (192, 320)
        assert controls.video.size == size == controls.process(table.frame()).size
        controls.set_bypass(True)
        frame = table.frame()
        passed = controls.process(frame)
        assert passed.size == size
        assert read_stamp(passed.planes[0]) == frame.index
        controls.set_bypass(False)
        switched(table, "other")
        assert controls.state().problem is None
        assert controls.process(table.frame()).size == size
        controls.switch(1, "upscale")
        wait_until(lambda: controls.state().opening is None)
        assert controls.process(table.frame()).size == size


def test_frames_in_a_run_of_small_ones_stay_small_when_an_effect_enlarges() -> None:
    with bench("tiny", backend="eager") as table:
        switched(table, "upscale")
        assert [each.name for each in table.controls.state().effects] == ["upscale"]
        assert table.controls.process(table.frame()).size == table.controls.video.size == (96, 160)


def test_a_frame_of_another_shape_and_depth_is_fitted_with_its_sound_time() -> None:
    with bench("tiny") as table:
        other = PatternSource("test:bars?size=96x96&depth=10&subsampling=444&fps=30")
        frame = other.read()
        assert frame is not None
        fitted = table.controls.fit(frame)
        assert (fitted.size, fitted.depth, fitted.pts, fitted.index) == ((96, 160), 8, frame.pts, frame.index)
        assert set(fitted.planes[0][:, 0]) == {16}, "black beside the picture"
        assert read_stamp(fitted.planes[0][:, 32:128]) == 0


def test_an_effect_that_fails_after_a_change_is_bypassed_and_the_run_goes_on() -> None:
    with bench("tiny") as table:
        controls = table.controls
        effect = controls.effects.chain.effects[0]
        assert isinstance(effect, Effect)
        good, effect.compiled = effect.compiled, Failing(effect.compiled)
        with pytest.raises(RuntimeError, match="device lost"):
            controls.process(table.frame())
        controls.set_control(0, "strength", 0.5)
        frame = table.frame()
        assert controls.process(frame) is frame
        state = controls.state()
        assert state.bypass
        assert state.problem == controls.failures[0] == "tiny failed on frame 1, and is bypassed: device lost"
        effect.compiled = good
        controls.set_bypass(False)
        assert not same(controls.process(frame), frame)


def test_a_chain_does_not_grow_without_end_nor_do_its_frames() -> None:
    with bench("upscale", factor="1", backend="eager") as table:
        chain, video = table.controls.effects.chain, table.controls.effects.video
        check_sizes(replace(chain, effects=chain.effects * 5), video)
        with pytest.raises(ConfigError, match=r"'upscale' would make frames 10240x6144.*33 million pixels"):
            check_sizes(replace(chain, effects=chain.effects * 6), video)
    with bench("tiny") as table:
        chain = table.controls.effects.chain
        several = replace(chain, effects=chain.effects * 8)
        table.controls._effects = replace(table.controls._effects, chain=several)
        with pytest.raises(ConfigError, match="a chain has at most 8 effects"):
            table.controls.switch(8, "tiny")


def test_a_chain_is_changed_as_a_whole_and_what_runs_already_is_kept() -> None:
    with bench("tiny", "other", factor="auto") as table:
        controls = table.controls
        tiny, other = controls.effects.chain.effects
        frame = table.frame()
        both = controls.process(frame)
        wanted = [WantedEffect("other", {"strength": 0.25}), WantedEffect("tiny"), WantedEffect("tiny")]
        rearranged(table, wanted)
        assert controls.effects.chain.effects[:2] == (other, tiny)
        new = controls.effects.chain.effects[2]
        assert new.name == "tiny"
        assert new.controls.factor == tiny.controls.factor == other.controls.factor
        assert controls.effects.automatic == (other, tiny, new), "all are governed"
        assert (other.controls.strength, new.controls.strength) == (0.25, 1.0)
        assert not same(controls.process(frame), both)
        rearranged(table, [])
        assert same(controls.process(frame), frame)
        assert controls.state().effects == ()
        rearranged(table, [WantedEffect("tiny", {"strength": 9, "unknown": 1})])
        (effect,) = controls.effects.chain.effects
        assert effect.controls.strength == 1, "as far as the engine allows"
        assert list(controls.effects.automatic) == [effect]
        assert [change.what for change in controls.changes] == [
            "effects tiny + other → other + tiny + tiny",
            "effects other + tiny + tiny → none",
            "effects none → tiny",
        ]


def test_effects_whose_factor_nobody_gave_share_one_that_all_engines_know() -> None:
    with bench("tiny", factor="auto") as table:
        controls = table.controls
        (tiny,) = controls.effects.chain.effects
        tiny.controls = replace(tiny.controls, factor=4)
        rearranged(table, [WantedEffect("tiny"), WantedEffect("narrow")])
        assert controls.state().problem is None
        assert [each.factor for each in controls.state().effects] == [2, 2]
        controls.process(table.frame())
    with bench("tiny:factor=4", factor="auto") as table:
        rearranged(table, [WantedEffect("narrow"), WantedEffect("tiny")])
        assert [each.factor for each in table.controls.state().effects] == [3, 4], "what was asked for stays"


def test_effects_that_are_taken_out_of_a_chain_are_closed_and_a_chain_that_cannot_be_changes_nothing() -> (
    None
):
    with bench("tiny") as table:
        controls = table.controls
        first = controls.effects.chain.effects
        for wanted, message in (
            ([WantedEffect("nope")], "there is no effect 'nope'"),
            ([WantedEffect("tiny")] * 9, "a chain has at most 8 effects, not 9"),
        ):
            with pytest.raises(ConfigError, match=message):
                controls.set_chain(wanted)
        rearranged(table, [WantedEffect("tiny"), WantedEffect("broken")])
        assert "weights.safetensors" in str(controls.state().problem)
        assert controls.effects.chain.effects == first
        rearranged(table, [WantedEffect("tiny"), WantedEffect("other")])
        added = controls.effects.chain.effects[1]
        assert isinstance(added, Effect)
        gate = added.compiled = Gate(added.compiled)
        rearranged(table, [WantedEffect("tiny")])
        wait_until(lambda: gate.closes == 1)
        assert controls.effects.chain.effects == first


def rearranged(table: Bench, wanted: Sequence[WantedEffect]) -> None:
    """Have the chain be another, and wait until it is, or cannot be."""
    table.controls.set_chain(wanted)
    wait_until(lambda: table.controls.state().opening is None)


def test_sources_are_kept_only_while_somebody_watches() -> None:
    with bench("tiny") as table:
        controls = table.controls
        unseen, seen = table.frame(), table.frame()
        controls.process(unseen)
        controls.sources.watch(on=True)
        controls.process(seen)
        assert controls.sources.find(unseen.index) is None
        assert controls.sources.find(seen.index) is seen
        controls.sources.watch(on=False)
        assert controls.sources.find(seen.index) is None


def test_a_slider_that_is_dragged_is_one_change_in_the_account() -> None:
    with bench("tiny") as table:
        controls = table.controls
        controls.process(table.frame())
        for step in range(1, 6):
            table.seconds[0] = 10 + step / 10
            controls.set_control(0, "strength", 1 - step / 10)
        table.seconds[0] = 20.0
        controls.set_control(0, "strength", 0.25)
        assert [(each.at_seconds, each.after_frame, each.what) for each in controls.changes] == [
            (10.1, 0, "tiny: strength 0.5"),
            (20.0, 0, "tiny: strength 0.25"),
        ]


def test_the_governor_goes_on_with_the_effect_that_was_put_in() -> None:
    with bench("tiny", factor="auto", source="test:bars?size=160x96&fps=30&frames=0&live=1") as table:
        controls = table.controls
        first_watch, first_factor = controls.effects.watch, controls.effects.chain.effects[0].controls.factor
        assert first_watch is not None
        switched(table, "other")
        effect, watch = controls.effects.chain.effects[0], controls.effects.watch
        assert watch is not None
        assert watch is not first_watch
        assert effect.name == "other"
        assert effect.controls.factor == first_factor
        late(table, first_factor)
        assert effect.controls.factor > first_factor
        assert [made.before for made in controls.decisions] == [first_factor]
        assert controls.decisions[0].after == effect.controls.factor


def late(table: Bench, factor: float) -> None:
    """Let the stages be late until the factor is another, as a run would tell it."""
    count = 0
    while table.controls.effects.chain.effects[0].controls.factor == factor:
        count += 8
        assert count < 8000, "nothing was decided"
        times = Times(count, 0.1, 0.1, 0.1, 0.1, 0.1)
        stages = dict.fromkeys(("generate", "encode", "translate"), times)
        elapsed = count / 8 * 0.25
        table.controls.look(Snapshot(count, count, 0, 0, None, elapsed, 10.0, None, {}, stages))
        threading.Event().wait(0.01)  # engines for other factors are prepared meanwhile
