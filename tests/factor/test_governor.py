"""The governor against simulated loads: it reacts, returns, and does not swing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfx.factor.estimate import Prediction, Term
from streamfx.factor.governor import FactorDecision, Governor, Rules
from streamfx.media.stage import Stage

FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
BUDGET_SECONDS = 1 / 30
LOOK_SECONDS = 0.25

Load = Callable[[float], float]


def prediction(factor: float, network_seconds: float, rest_seconds: float = 0.002) -> Prediction:
    """Return the prediction for a network that takes ``network_seconds`` at factor 1."""
    translate = network_seconds / factor**2
    return Prediction(
        factor,
        (
            Term(Stage.TRANSLATE, "cpu", translate, translate, ""),
            Term(Stage.FUSE, "cpu", rest_seconds, rest_seconds, ""),
        ),
    )


class Simulation:
    """A device whose network takes what is predicted, times a load, times what the prediction is wrong by.

    Args:
        factor: factor at the start.
        network_seconds: predicted for a frame at factor 1.
        wrong: growth of the true times from a factor to the next smaller one, against the predicted growth.
        encode_seconds: time to encode a frame.
        noise: largest relative error of one look.
        seed: seed of the noise.
    """

    def __init__(
        self,
        factor: float = 4.0,
        network_seconds: float = 0.2,
        wrong: float = 1.0,
        encode_seconds: float = 0.001,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.predictions = [prediction(each, network_seconds) for each in FACTORS]
        self._seconds = {each.factor: each.frame_seconds for each in self.predictions}
        self.governor = Governor(self.predictions, factor, Rules(BUDGET_SECONDS))
        self.now = 0.0
        self.decisions: list[FactorDecision] = []
        self.ready: Sequence[float] = FACTORS
        self._start, self._wrong, self._encode, self._noise = factor, wrong, encode_seconds, noise
        self._random = random.Random(seed)

    def true_seconds(self, factor: float) -> float:
        steps = FACTORS.index(self._start) - FACTORS.index(factor)
        return self._seconds[factor] * self._wrong**steps

    def run(self, seconds: float, load: float = 1.0) -> list[FactorDecision]:
        """Let time go by under a constant load; return what was decided."""
        begin = len(self.decisions)
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.now += LOOK_SECONDS
            noise = 1 + self._random.uniform(-self._noise, self._noise)
            generate = self.true_seconds(self.governor.factor) * load * noise
            stages = {Stage.GENERATE: generate, Stage.ENCODE: self._encode * load}
            decision = self.governor.observe(stages, self.now, self.ready)
            if decision is not None:
                self.decisions.append(decision)
        return self.decisions[begin:]


def turns(decisions: Sequence[FactorDecision]) -> int:
    """Return how often the direction of change was reversed."""
    up = [decision.after > decision.before for decision in decisions if decision.after != decision.before]
    return sum(a != b for a, b in pairwise(up))


# ---------------------------------------------------------------- steadiness


@settings(max_examples=40)
@given(
    load=st.floats(0.05, 20),
    wrong=st.floats(0.85, 1.15),
    noise=st.floats(0, 0.1),
    start=st.sampled_from(FACTORS),
    network_seconds=st.floats(0.01, 1),
    seed=st.integers(0, 9),
)
def test_under_a_constant_load_it_goes_one_way_and_stays(
    load: float, wrong: float, noise: float, start: float, network_seconds: float, seed: int
) -> None:
    simulation = Simulation(start, network_seconds, wrong, noise=noise, seed=seed)
    simulation.run(60, load)
    later = simulation.run(120, load)
    # Where the time is on the edge of the budget, noise decides when it counts as late: one step, not back.
    assert len(later) <= 1
    # A step that went too far, the prediction being wrong, is put right once.
    assert turns(simulation.decisions) <= 1


@settings(max_examples=10)
@given(load=st.floats(0.2, 5), wrong=st.floats(0.4, 2.5), seed=st.integers(0, 9))
def test_where_the_prediction_is_far_off_it_tries_ever_more_rarely(
    load: float, wrong: float, seed: int
) -> None:
    simulation = Simulation(4, 0.2, wrong, noise=0.05, seed=seed)
    simulation.run(60, load)
    # A quarter of an hour leaves room for trials after 1, 2, 4 and 8 minutes, each there, back
    # and a step more where back went too far.
    assert len(simulation.run(900, load)) <= 3 * 4 + 1


def test_one_slow_frame_or_a_short_burst_changes_nothing() -> None:
    simulation = Simulation()
    simulation.run(20)
    before = simulation.governor.factor
    for _ in range(10):
        simulation.run(0.25, load=50)
        simulation.run(3)
    assert simulation.governor.factor == before
    assert all(decision.after <= decision.before for decision in simulation.decisions)


# ---------------------------------------------------------------- reaction


@settings(max_examples=30)
@given(load=st.floats(2.5, 6), seed=st.integers(0, 9))
def test_a_load_that_comes_is_answered_within_seconds_and_undone_after_it_ends(
    load: float, seed: int
) -> None:
    simulation = Simulation(4, 0.15, noise=0.05, seed=seed)
    simulation.run(60)
    normal = simulation.governor.factor
    answered = simulation.run(2, load)
    assert answered
    assert answered[0].after > normal
    simulation.run(10, load)
    at_work = simulation.true_seconds(simulation.governor.factor) * load
    assert at_work <= BUDGET_SECONDS or simulation.governor.factor == FACTORS[-1]
    simulation.run(60)
    assert simulation.governor.factor == normal


def test_it_goes_as_far_as_needed_at_once_where_that_is_ready() -> None:
    simulation = Simulation(2, network_seconds=0.1)
    (decision,) = simulation.run(2, load=3)
    assert (decision.before, decision.after) == (2, 4)
    assert decision.why == "a stage takes 81 ms a frame of 33.3 for 1 s"


def test_it_waits_for_a_factor_that_is_not_ready_yet() -> None:
    simulation = Simulation(4)
    simulation.ready = (4.0,)
    assert simulation.run(20, load=5) == []
    assert simulation.run(20, load=0.1) == []
    simulation.ready = (4.0, 6.0)
    (decision,) = simulation.run(2, load=5)
    assert decision.after == 6
    assert simulation.governor.neighbours == (8, 4)


def test_a_trial_that_fails_is_not_repeated_for_a_minute_but_then_it_is() -> None:
    simulation = Simulation(3, network_seconds=0.1, wrong=2.0)  # at factor 2 the truth is 54 ms, not 27
    assert [each.after for each in simulation.run(10, load=0.8)] == [2, 3]
    assert simulation.run(55, load=0.8) == []
    assert [each.after for each in simulation.run(20, load=0.8)] == [2, 3]
    assert simulation.run(90, load=0.8) == []


def test_the_whole_frame_must_fit_before_it_goes_back_not_only_the_network() -> None:
    encode = Term(Stage.ENCODE, "cpu", 0.012, 0.012, "")
    predictions = [
        Prediction(factor, (*prediction(factor, 0.08).terms, encode)) for factor in (2.0, 3.0, 4.0)
    ]
    governor = Governor(predictions, 3.0, Rules(BUDGET_SECONDS))
    measured = {Stage.GENERATE: predictions[1].frame_seconds - 0.012, Stage.ENCODE: 0.012}
    found = [governor.observe(measured, step * LOOK_SECONDS, (2.0, 3.0, 4.0)) for step in range(100)]
    assert set(found) == {None}, "22 ms at factor 2 would do alone, but 34 with the encoder would not"


# ---------------------------------------------------------------- what a factor cannot help


def test_at_the_largest_factor_it_says_once_that_it_is_late() -> None:
    simulation = Simulation(8)
    (decision,) = simulation.run(60, load=20)
    assert decision.before == decision.after == 8
    assert decision.why.endswith("of 33.3, and there is no larger factor")
    simulation.run(1, load=0.5)
    assert len(simulation.run(1, load=20)) == 1


def test_where_the_encoder_is_what_is_late_the_picture_is_not_made_worse() -> None:
    simulation = Simulation(4, network_seconds=0.02, encode_seconds=0.05)
    (decision,) = simulation.run(60)
    assert decision.before == decision.after == 4
    assert "mostly not the network: the factor cannot help" in decision.why


@pytest.mark.parametrize(("factor", "expected"), [(1.0, (1.5,)), (2.0, (3.0, 1.5)), (8.0, (6.0,))])
def test_neighbours_are_the_next_factors_the_larger_one_first(
    factor: float, expected: tuple[float, ...]
) -> None:
    assert Simulation(factor).governor.neighbours == expected
