"""FrameQueue: the bounded queue between two stages; its fill level is the only signal for dropping."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Policy(StrEnum):
    """What a full queue does with one more item."""

    WAIT = "wait"
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"


class DropCause(StrEnum):
    """Why an item that was put never came out."""

    FULL_OLDEST = "queue full, oldest dropped"
    FULL_NEWEST = "queue full, newest dropped"
    CANCELLED = "consumer ended"


class FrameQueue(Generic[T]):
    """A queue that is always bounded, and that both of its ends can end.

    ``close`` is the producer's "no more": consumers drain what is left, then see the end. ``cancel`` is
    the consumer's "no more": producers are unblocked at once and waiting items are dropped. Every item that
    was handed to ``put`` comes out of ``get`` exactly once or is handed to ``on_drop`` exactly once, never
    both and never neither. All methods may be called from any thread; ``on_drop`` runs in the thread that
    caused the drop, without a lock.

    Args:
        capacity: most items waiting at a time, at least 1.
        policy: behaviour of a full queue.
        on_drop: callback that is called with every item that will not come out, and why.

    Raises:
        ValueError: capacity below 1.

    Example:
        >>> queue = FrameQueue[int](2, Policy.DROP_OLDEST)
        >>> [queue.put(number) for number in (1, 2, 3)]
        [True, True, True]
        >>> queue.close()
        >>> queue.get(), queue.get(), queue.get()
        (2, 3, None)
        >>> queue.drops
        {<DropCause.FULL_OLDEST: 'queue full, oldest dropped'>: 1}
    """

    def __init__(
        self,
        capacity: int,
        policy: Policy = Policy.WAIT,
        on_drop: Callable[[T, DropCause], None] | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"queue capacity must be 1 or more, found {capacity}")
        self.capacity = capacity
        self.policy = policy
        self._on_drop = on_drop
        self._items: deque[T] = deque()
        self._drops: dict[DropCause, int] = {}
        self._closed = False
        self._cancelled = False
        lock = threading.Lock()
        self._not_empty = threading.Condition(lock)
        self._not_full = threading.Condition(lock)

    @property
    def fill(self) -> int:
        """Items waiting now, 0 to ``capacity``."""
        return len(self._items)

    @property
    def drops(self) -> dict[DropCause, int]:
        """How many items were dropped, by cause."""
        with self._not_empty:
            return dict(self._drops)

    def put(self, item: T, timeout_seconds: float | None = None) -> bool:
        """Hand an item over; True unless the queue has ended and further items are pointless.

        With a dropping policy this never waits. The queue owns the item from here on, whatever is returned.

        Raises:
            TimeoutError: still full after ``timeout_seconds``; the item was not taken.
        """
        with self._not_empty:
            ended = self._wait_for_room(timeout_seconds)
            dropped: tuple[T, DropCause] | None = None
            if ended:
                dropped = (item, DropCause.CANCELLED)
            elif len(self._items) < self.capacity:
                self._items.append(item)
            elif self.policy is Policy.DROP_OLDEST:
                dropped = (self._items.popleft(), DropCause.FULL_OLDEST)
                self._items.append(item)
            else:
                dropped = (item, DropCause.FULL_NEWEST)
            if dropped is not None:
                self._drops[dropped[1]] = self._drops.get(dropped[1], 0) + 1
            self._not_empty.notify()
        if dropped is not None and self._on_drop is not None:
            self._on_drop(*dropped)
        return not ended

    def get(self, timeout_seconds: float | None = None) -> T | None:
        """Return the oldest item, or None at the end: closed and drained, or cancelled.

        Raises:
            TimeoutError: still empty after ``timeout_seconds``.
        """
        with self._not_empty:
            if not self._not_empty.wait_for(lambda: self._items or self._ended, timeout_seconds):
                raise TimeoutError(f"nothing came out of the queue within {timeout_seconds} s")
            if not self._items:
                return None
            item = self._items.popleft()
            self._not_full.notify()
            return item

    def close(self) -> None:
        """End it from the producer's side: what waits can still be taken. Safe to call again."""
        with self._not_empty:
            self._closed = True
            self._wake_all()

    def cancel(self) -> None:
        """End it from the consumer's side: what waits is dropped, nobody blocks. Safe to call again."""
        with self._not_empty:
            self._cancelled = True
            dropped = list(self._items)
            self._items.clear()
            if dropped:
                self._drops[DropCause.CANCELLED] = self._drops.get(DropCause.CANCELLED, 0) + len(dropped)
            self._wake_all()
        if self._on_drop is not None:
            for item in dropped:
                self._on_drop(item, DropCause.CANCELLED)

    @property
    def _ended(self) -> bool:
        return self._closed or self._cancelled

    def _wait_for_room(self, timeout_seconds: float | None) -> bool:
        """Wait, if the policy says so, until there is room; True when the queue has ended instead."""
        if self.policy is Policy.WAIT:
            deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
            while len(self._items) >= self.capacity and not self._ended:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(
                        f"the queue ({self.capacity}) was still full after {timeout_seconds} s"
                    )
                self._not_full.wait(left)
        return self._ended

    def _wake_all(self) -> None:
        self._not_empty.notify_all()
        self._not_full.notify_all()
