"""Heads averaged with those of the frames before, where the source has not changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfx.engine.golden import Array
from streamfx.errors import FrameError
from streamfx.generate.ops.steady.definition import Past, agreement_reference, steady_reference
from streamfx.generate.ops.steady.operation import steady


def level(value: float, channels: int = 3, size: tuple[int, int] = (4, 5)) -> Array:
    return np.full((channels, *size), value, np.float32)


def test_heads_count_by_how_little_the_source_changed() -> None:
    past = [Past(level(104), level(20, 6)), Past(level(102), level(40, 6))]
    # Changes of 4 and 2 codes of 8: the frames before count half and three quarters.
    expected = (10 + 0.5 * 20 + 0.75 * 40) / (1 + 0.5 + 0.75)
    assert steady(level(10, 6), level(100), past, 8.0) == pytest.approx(level(expected, 6))


def test_the_plane_that_changed_most_decides_over_three_by_three_pixels() -> None:
    before = level(100)
    before[2, 1, 1] = 109  # one pixel of V
    agreement = agreement_reference(level(100), before, 4.0)
    expected = np.ones((4, 5))
    expected[0:3, 0:3] = 1 - 1 / 4  # 9 codes over 9 pixels
    assert agreement == pytest.approx(expected)
    edge = level(100)
    edge[0, 0, 0] = 109  # repeated beyond the corner, it is four of nine
    assert agreement_reference(level(100), edge, 8.0)[0, 0] == pytest.approx(1 - 4 / 8)


def test_a_frame_before_of_which_less_than_a_quarter_agrees_is_of_another_shot() -> None:
    reduced, heads, before = level(100, size=(8, 8)), level(10, 6, (8, 8)), level(200, size=(8, 8))
    before[:, :4, :5] = 100  # as a change of one pixel reaches its neighbours, 3 x 4 pixels agree: 12 of 64
    past = [Past(before, level(99, 6, (8, 8)))]
    assert steady(heads, reduced, past, 8.0) is heads
    before[:, :5, :5] = 100  # 16 of 64
    averaged = steady(heads, reduced, past, 8.0)
    assert averaged[:, :4, :4] == pytest.approx(level(54.5, 6, (4, 4)))
    assert (averaged[:, 5:] == 10).all()


def test_the_first_frame_is_as_the_network_gives_it() -> None:
    heads = level(10, 6)
    assert steady(heads, level(100), [], 8.0) is heads


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 40)),
    channels=st.sampled_from([6, 7, 11]),
    frames=st.integers(1, 2),
    change=st.sampled_from([0.0, 3.0, 20.0]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_the_kernel_gives_what_the_definition_says(
    size: tuple[int, int], channels: int, frames: int, change: float, threads: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    reduced = random.uniform(0, 255, (3, *size)).astype(np.float32)
    heads = random.normal(0, 50, (channels, *size)).astype(np.float32)
    past = [
        Past(
            (reduced + random.normal(0, change, reduced.shape)).astype(np.float32),
            random.normal(0, 50, heads.shape).astype(np.float32),
        )
        for _ in range(frames)
    ]
    found = steady(heads, reduced, past, 9.0, threads)
    assert found == pytest.approx(steady_reference(heads, reduced, past, 9.0), abs=1e-3)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(FrameError, match="need a reduced picture"):
        steady(level(1, 6), level(1, size=(4, 4)), [], 8.0)
    with pytest.raises(FrameError, match="tolerance must be above 0"):
        steady(level(1, 6), level(1), [], 0.0)
    with pytest.raises(FrameError, match="cannot be averaged with"):
        steady(level(1, 6), level(1), [Past(level(1), level(1, 7))], 8.0)
