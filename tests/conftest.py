"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from tests.asserts import assert_no_stage_thread_is_left

# A time limit per example would make tests fail on a busy machine; no test here asserts times.
hypothesis.settings.register_profile("streamfx", deadline=None)
hypothesis.settings.load_profile("streamfx")


@pytest.fixture(autouse=True)
def _no_stage_thread_outlives_a_test() -> Iterator[None]:
    yield
    assert_no_stage_thread_is_left()
