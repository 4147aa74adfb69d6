"""Outages: the account of when a source was away, for how long and why."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outage:
    """One time that a source was away; ``seconds`` and ``repeated`` grow until it is back.

    Attributes:
        at_seconds: time of the output at which it began.
        seconds: time for which it has lasted.
        reason: cause, in words.
        repeated: pictures that stood in meanwhile.
    """

    at_seconds: float
    seconds: float
    reason: str
    repeated: int = 0


class Outages:
    """Notes when a source is away and when it is back. Used by one thread.

    Args:
        name: name of the source, for the log.

    Attributes:
        all: outages so far, the one that goes on included.
    """

    def __init__(self, name: str) -> None:
        self.all: list[Outage] = []
        self._name = name
        self._now: Outage | None = None
        self._began_at = 0.0  # monotonic clock, seconds

    def gone(self, at_seconds: float, reason: str) -> Outage:
        """Return the outage that goes on, brought up to date; it begins now if there is none.

        Args:
            at_seconds: time of the output.
            reason: reason for one that begins.
        """
        if self._now is None:
            self._now, self._began_at = Outage(round(at_seconds, 3), 0.0, reason), time.monotonic()
            self.all.append(self._now)
        self._now.seconds = round(time.monotonic() - self._began_at, 3)
        return self._now

    def back(self) -> None:
        """End the outage, if there is one: the source is back."""
        if self._now is not None:
            self.end()
            log.info("%s: back after %.1f s", self._name, self.all[-1].seconds)

    def end(self) -> None:
        """Close the account of an outage that went on to the end of the run."""
        if self._now is not None:
            self._now.seconds = round(time.monotonic() - self._began_at, 3)
        self._now = None
