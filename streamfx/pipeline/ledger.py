"""Ledger: the account of every source frame. Each one ends in exactly one state, and the sum must balance."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from streamfx.media.stage import Stage


@dataclass(frozen=True, slots=True)
class FailedFrame:
    """One frame that a stage (decode, generate, encode) could not do; ``index`` is None when unknown."""

    index: int | None
    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the frames of a source.

    Attributes:
        frames_in: frames that came out of the source, broken ones included.
        fillers: frames made in place of pictures that did not come, which nothing came in for.
        encoded: frames the sink accepted with their own picture.
        repeated: frames the sink was given the previous picture for.
        dropped: frames given up, by cause.
        failed: frames that broke, by stage (decode, generate, encode).
        failures: the first broken frames, each with its reason.
        in_flight: frames without a final state; 0 after a run.
    """

    frames_in: int = 0
    fillers: int = 0
    encoded: int = 0
    repeated: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    failures: tuple[FailedFrame, ...] = ()
    in_flight: int = 0

    @property
    def frames_dropped(self) -> int:
        """Frames dropped, all causes together."""
        return sum(self.dropped.values())

    @property
    def frames_failed(self) -> int:
        """Frames failed, all stages together."""
        return sum(self.failed.values())

    def differences(self, packets_written: int | None) -> list[str]:
        """Return what does not balance, one sentence each; empty when every frame is accounted for.

        Args:
            packets_written: video packets in the finished output, None when it was not finished.

        Example:
            >>> Account(frames_in=3, encoded=2, dropped={"queue full": 1}).differences(packets_written=2)
            []
            >>> for difference in Account(frames_in=3, encoded=2).differences(packets_written=1):
            ...     print(difference)
            3 frames came in, but the states add up to 2
            2 frames were encoded, but 1 packets were written
        """
        found = []
        settled = self.encoded + self.repeated + self.frames_dropped + self.frames_failed
        if settled != self.frames_in + self.fillers:
            made = f" and {self.fillers} were made in their place" if self.fillers else ""
            found.append(f"{self.frames_in} frames came in{made}, but the states add up to {settled}")
        given = self.encoded + self.repeated
        if packets_written is not None and packets_written != given:
            found.append(f"{given} frames were encoded, but {packets_written} packets were written")
        return found


class Ledger:
    """Keeps the account while frames flow; every method may be called from any thread.

    Memory is bounded: it remembers the frames in flight, counts, and the first ``failures_kept`` failures.
    """

    def __init__(self, failures_kept: int = 20) -> None:
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._frames_in = self._fillers = 0
        self._encoded = 0
        self._repeated = 0
        self._dropped: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._failures: list[FailedFrame] = []
        self._failures_kept = failures_kept

    @property
    def frames_taken(self) -> int:
        """Frames taken up so far: those that came in, and those made in place of others."""
        return self._frames_in + self._fillers

    @property
    def frames_in(self) -> int:
        """Frames that came in so far, broken ones included."""
        return self._frames_in

    @property
    def frames_failed(self) -> int:
        """Frames that failed so far, whatever the stage."""
        with self._lock:
            return sum(self._failed.values())

    def enter(self, index: int, *, filler: bool = False) -> None:
        """Take up a frame that capture delivered.

        Args:
            index: number of the frame.
            filler: whether it was made in place of a picture that did not come.

        Raises:
            ValueError: a frame of that number is in flight already: the source numbers its frames wrongly.
        """
        with self._lock:
            if index in self._open:
                raise ValueError(f"the source delivered frame {index} twice")
            self._open.add(index)
            self._fillers += filler
            self._frames_in += not filler

    def encoded(self, index: int) -> None:
        """Settle a frame: the sink accepted it."""
        with self._lock:
            self._settle(index)
            self._encoded += 1

    def repeated(self, index: int) -> None:
        """Settle a frame: the sink was given the previous picture in its place."""
        with self._lock:
            self._settle(index)
            self._repeated += 1

    def dropped(self, index: int, cause: str) -> None:
        """Settle a frame: it was given up."""
        with self._lock:
            self._settle(index)
            self._dropped[cause] = self._dropped.get(cause, 0) + 1

    def failed(self, index: int, stage: Stage, reason: str) -> None:
        """Settle a frame: ``stage`` could not do its work on it."""
        with self._lock:
            self._settle(index)
            self._count_failure(FailedFrame(index, stage, reason))

    def decode_failed(self, reason: str) -> None:
        """Count a frame that came in broken; it never had a number, so it enters and ends at once."""
        with self._lock:
            self._frames_in += 1
            self._count_failure(FailedFrame(None, Stage.DECODE, reason))

    def account(self) -> Account:
        """Return the account as it stands now."""
        with self._lock:
            return Account(
                frames_in=self._frames_in,
                fillers=self._fillers,
                encoded=self._encoded,
                repeated=self._repeated,
                dropped=dict(self._dropped),
                failed=dict(self._failed),
                failures=tuple(self._failures),
                in_flight=len(self._open),
            )

    def _settle(self, index: int) -> None:
        if index not in self._open:
            raise ValueError(f"frame {index} has its final state already, or never came in")
        self._open.remove(index)

    def _count_failure(self, failure: FailedFrame) -> None:
        self._failed[failure.stage] = self._failed.get(failure.stage, 0) + 1
        if len(self._failures) < self._failures_kept:
            self._failures.append(failure)
