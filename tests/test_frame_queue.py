"""The queue between two stages: bounded, ended from both sides, and nothing vanishes in it."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamfx.media.frame_queue import DropCause, FrameQueue, Policy

SOON_SECONDS = 30.0  # long enough for any machine; a test that gets there fails


class QueueAgainstModel(RuleBasedStateMachine):
    """Drives a queue from one thread and compares it with a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: list[tuple[int, DropCause]] = []
        self.expected_drops: list[tuple[int, DropCause]] = []
        self.model: deque[int] = deque()
        self.number = 0
        self.closed = self.cancelled = False

    @initialize(capacity=st.integers(1, 4), policy=st.sampled_from(Policy))
    def make(self, capacity: int, policy: Policy) -> None:
        self.queue = FrameQueue[int](capacity, policy, lambda item, cause: self.dropped.append((item, cause)))

    @rule()
    def put(self) -> None:
        self.number += 1
        queue, item = self.queue, self.number
        if self.closed or self.cancelled:
            assert queue.put(item, timeout_seconds=0) is False
            self.expected_drops.append((item, DropCause.CANCELLED))
        elif len(self.model) < queue.capacity:
            assert queue.put(item, timeout_seconds=0) is True
            self.model.append(item)
        elif queue.policy is Policy.WAIT:
            with pytest.raises(
                TimeoutError, match=rf"the queue \({queue.capacity}\) was still full after 0 s"
            ):
                queue.put(item, timeout_seconds=0)
        elif queue.policy is Policy.DROP_OLDEST:
            assert queue.put(item) is True
            self.expected_drops.append((self.model.popleft(), DropCause.FULL_OLDEST))
            self.model.append(item)
        else:
            assert queue.put(item) is True
            self.expected_drops.append((item, DropCause.FULL_NEWEST))

    @rule()
    def get(self) -> None:
        if self.model:
            assert self.queue.get(timeout_seconds=0) == self.model.popleft()
        elif self.closed or self.cancelled:
            assert self.queue.get(timeout_seconds=0) is None
        else:
            with pytest.raises(TimeoutError, match="nothing came out of the queue within 0 s"):
                self.queue.get(timeout_seconds=0)

    @precondition(lambda self: self.number > 3)
    @rule()
    def close(self) -> None:
        self.queue.close()
        self.closed = True

    @precondition(lambda self: self.number > 3)
    @rule()
    def cancel(self) -> None:
        self.queue.cancel()
        self.cancelled = True
        self.expected_drops += [(item, DropCause.CANCELLED) for item in self.model]
        self.model.clear()

    @invariant()
    def fill_and_drops_are_what_the_model_says(self) -> None:
        if hasattr(self, "queue"):
            assert self.queue.fill == len(self.model) <= self.queue.capacity
            assert self.dropped == self.expected_drops
            assert self.queue.drops == Counter(cause for _, cause in self.expected_drops)


TestQueueAgainstModel = QueueAgainstModel.TestCase
TestQueueAgainstModel.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("ending", ["close", "cancel"])
def test_with_many_threads_every_item_comes_out_or_is_dropped_exactly_once(
    policy: Policy, ending: str
) -> None:
    seen: list[int] = []
    queue = FrameQueue[int](3, policy, lambda item, _: seen.append(item))
    producers_done = threading.Barrier(4)

    def produce(first: int) -> None:
        for number in range(first, first + 300):
            queue.put(number)
        producers_done.wait(SOON_SECONDS)

    def consume() -> None:
        while (number := queue.get()) is not None:
            seen.append(number)

    threads = [threading.Thread(target=produce, args=(first,)) for first in (0, 1000, 2000)]
    threads += [threading.Thread(target=consume) for _ in range(2)]
    for thread in threads:
        thread.start()
    if ending == "close":
        producers_done.wait(SOON_SECONDS)
        queue.close()
    else:
        queue.cancel()
        producers_done.wait(SOON_SECONDS)
    for thread in threads:
        thread.join(SOON_SECONDS)
        assert not thread.is_alive()
    assert sorted(seen) == [*range(300), *range(1000, 1300), *range(2000, 2300)]


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_a_producer_that_waits_is_unblocked_by(end: str) -> None:
    dropped: list[int] = []
    queue = FrameQueue[int](1, Policy.WAIT, lambda item, _: dropped.append(item))
    queue.put(1)
    answers: list[bool] = []
    producer = threading.Thread(target=lambda: answers.append(queue.put(2)))
    producer.start()
    getattr(queue, end)()
    producer.join(SOON_SECONDS)
    assert answers == [False]
    assert dropped == ([1, 2] if end == "cancel" else [2])


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_a_consumer_that_waits_is_unblocked_by(end: str) -> None:
    queue = FrameQueue[int](1)
    answers: list[int | None] = []
    consumer = threading.Thread(target=lambda: answers.append(queue.get()))
    consumer.start()
    getattr(queue, end)()
    consumer.join(SOON_SECONDS)
    assert answers == [None]


def test_a_producer_that_waits_goes_on_when_there_is_room() -> None:
    queue = FrameQueue[int](1)
    queue.put(1)
    producer = threading.Thread(target=lambda: queue.put(2))
    producer.start()
    assert [queue.get(SOON_SECONDS), queue.get(SOON_SECONDS)] == [1, 2]
    producer.join(SOON_SECONDS)


def test_a_put_with_a_time_limit_waits_that_long_for_room() -> None:
    queue = FrameQueue[int](1)
    queue.put(1)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        queue.put(2, timeout_seconds=0.02)
    assert time.monotonic() - started >= 0.02
    assert queue.drops == {}


def test_a_dropping_queue_never_blocks_its_producer() -> None:
    for policy in (Policy.DROP_OLDEST, Policy.DROP_NEWEST):
        queue = FrameQueue[int](2, policy)
        assert all(queue.put(number) for number in range(1000))
        assert sum(queue.drops.values()) == 998
        assert queue.get() == (998 if policy is Policy.DROP_OLDEST else 0)


def test_a_queue_without_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="queue capacity must be 1 or more, found 0"):
        FrameQueue[int](0)
