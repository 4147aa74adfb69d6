"""Jitter: pictures that come in bursts are handed out at their times: a burst is not taken for load."""

from __future__ import annotations

from collections import deque

_WINDOW_SECONDS = 4.0  # of the stream: what came that long ago says how late pictures come
_DECAY = 0.1  # seconds a second by which waiting becomes shorter: a tenth faster, which nobody sees
_LEAST_SECONDS = 0.003  # less is no waiting


class JitterBuffer:
    """Says for how long each picture of a live stream is to be held back.

    A sender that puts several small pictures into one packet sends the first of them late and the last in
    time. Handed out as they come, most would be dropped by the queue that is there for a slow generator. Here
    each waits until the latest of them would have come too. Where every picture comes in time none waits.

    Args:
        most_seconds: no picture waits longer; those that come later than this are handed out at once.

    Example:
        >>> buffer = JitterBuffer(0.5)
        >>> [round(buffer.wait_seconds(time, 10.0), 2) for time in (0.0, 0.1, 0.2)]  # three at once
        [0.0, 0.1, 0.2]
        >>> [round(buffer.wait_seconds(time, 10.3), 2) for time in (0.3, 0.4, 0.5)]
        [0.0, 0.1, 0.2]
    """

    def __init__(self, most_seconds: float) -> None:
        self._most_seconds = most_seconds
        self._late: deque[tuple[float, float]] = deque()  # time in the stream, and how late it came
        self._held_seconds = float("-inf")  # the lateness that all are held back to

    def reset(self) -> None:
        """Begin anew: what comes now is of another connection."""
        self._late.clear()
        self._held_seconds = float("-inf")

    def wait_seconds(self, seconds: float, arrived_at: float) -> float:
        """Return how long after its arrival a picture is to be handed out.

        Args:
            seconds: time in the stream.
            arrived_at: time when it came, by the wall clock.
        """
        late = arrived_at - seconds  # its size says nothing, the differences do
        last_seconds = self._late[-1][0] if self._late else seconds
        self._late.append((seconds, late))
        while self._late[0][0] < seconds - _WINDOW_SECONDS:
            self._late.popleft()
        least = min(each for _, each in self._late)
        latest = max(each for _, each in self._late if each <= least + self._most_seconds)
        passed = self._held_seconds - _DECAY * max(seconds - last_seconds, 0.0)
        self._held_seconds = min(max(latest, passed), least + self._most_seconds)
        wait = self._held_seconds - late
        return wait if wait >= _LEAST_SECONDS else 0.0
