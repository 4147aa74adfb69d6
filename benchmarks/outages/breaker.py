"""What kills the server and starts it again, and notes how long it takes until pictures come through."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outages.servers import Server

UP_SECONDS, DOWN_SECONDS = (1.0, 9.0), (0.1, 4.0)  # between recovery and the next kill; from kill to start
AGAIN_SHARE, AGAIN_SECONDS = 0.25, (0.0, 1.5)  # killed once more so soon after the start
NEW_PICTURES = 10  # that have come through: recovered
LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outage:
    """One time the server was killed.

    Attributes:
        up_seconds: pictures had come through for so long.
        down_seconds: time from the kill to the start that it then survived.
        kills: 1, or more where it was killed again while everybody was connecting.
        recovered_seconds: time from that start until ten new pictures had come through; None: never.
        memory_mib: memory of this process, then.
    """

    up_seconds: float
    down_seconds: float
    kills: int
    recovered_seconds: float | None
    memory_mib: float


def memory_mib() -> float:
    """Return what this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Breaker:
    """Breaks a server so many times, then ends the run as Ctrl-C does; a thread of its own.

    Args:
        server: running.
        passed: function that returns how many pictures have come through so far.
        kills: number of outages.
        luck: random numbers for the moments.

    Attributes:
        outages: outages that are over.
    """

    def __init__(self, server: Server, passed: Callable[[], int], kills: int, luck: random.Random) -> None:
        self.outages: list[Outage] = []
        self._server, self._passed, self._kills, self._luck = server, passed, kills, luck
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="breaker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop breaking, if it goes on."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            if self._wait_for_pictures() is None:
                return
            while len(self.outages) < self._kills and not self._ended.is_set():
                self.outages.append(self._outage())
                print(f"{len(self.outages):3} {self.outages[-1]}", flush=True)
                if self.outages[-1].recovered_seconds is None:
                    return
            self._ended.wait(3)
        finally:
            if not self._ended.is_set():
                os.kill(os.getpid(), signal.SIGINT)

    def _outage(self) -> Outage:
        up = self._pause(UP_SECONDS)
        killed_at, kills = time.monotonic(), 0
        while True:
            self._server.kill()
            kills += 1
            self._pause(DOWN_SECONDS)
            down_seconds = time.monotonic() - killed_at
            self._server.start()
            if self._luck.random() >= AGAIN_SHARE:
                break
            self._pause(AGAIN_SECONDS)
        recovered_seconds = self._wait_for_pictures()
        return Outage(round(up, 2), round(down_seconds, 2), kills, recovered_seconds, round(memory_mib(), 1))

    def _pause(self, span_seconds: tuple[float, float]) -> float:
        seconds = self._luck.uniform(*span_seconds)
        self._ended.wait(seconds)
        return seconds

    def _wait_for_pictures(self) -> float | None:
        """Wait until pictures come through; return how long that took, None where they do not."""
        started, before = time.monotonic(), self._passed()
        while self._passed() < before + NEW_PICTURES:
            if time.monotonic() - started > LIMIT_SECONDS or self._ended.wait(0.02):
                return None
        return round(time.monotonic() - started, 2)
