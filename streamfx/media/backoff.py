"""How long to wait before trying again: longer each time, and not everybody at once."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with jitter.

    Attributes:
        attempts: give up after this many in a row that failed; None for never.
        first_seconds: wait before the second attempt; the first comes at once.
        longest_seconds: no wait is longer, jitter apart.
        jitter: share by which a wait is made longer or shorter at random, 0 to 1, so that many clients of one
            server do not come back in the same moment.
        steady_seconds: a connection that lasted this long was good: the next wait is the first one again.
    """

    attempts: int | None = 20
    first_seconds: float = 0.5
    longest_seconds: float = 15.0
    jitter: float = 0.3
    steady_seconds: float = 10.0

    def delay_seconds(self, attempt: int) -> float:
        """Return how long to wait before attempt number ``attempt``, counted from 0.

        Example:
            >>> [Backoff(jitter=0).delay_seconds(attempt) for attempt in (0, 1, 2, 3, 9)]
            [0.0, 0.5, 1.0, 2.0, 15.0]
        """
        if attempt <= 0:
            return 0.0
        usual = min(self.first_seconds * 2.0 ** min(attempt - 1, 30), self.longest_seconds)
        return usual * (1 + self.jitter * random.uniform(-1, 1))

    def exhausted(self, attempt: int) -> bool:
        """Return whether attempt number ``attempt``, counted from 0, is one too many."""
        return self.attempts is not None and attempt >= self.attempts
