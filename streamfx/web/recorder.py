"""Recorder: a recording that is started and stopped while the run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from streamfx.encode.sink import Sink
from streamfx.errors import SinkError
from streamfx.media.frame import Frame
from streamfx.media.tracks import OtherTracks
from streamfx.pipeline.fan_out import OutputAccount, OutputBranch
from streamfx.web.beside_tracks import BesideTracks

_CAPACITY = 8  # frames that may wait; the oldest goes where encoding is slower than the run
_FINISH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RecordingState:
    """How a recording stands.

    Attributes:
        on: whether one goes on.
        file: file that is written to, or the last one that was; None before the first.
        problem: reason why it could not be started, or ended early.
    """

    on: bool
    file: str | None
    problem: str | None


OpenFile: TypeAlias = Callable[[Path, OtherTracks | None], Sink]


class Recorder:
    """Writes the frames of some time to a Matroska file, in a thread of its own: it never holds the run.

    What travels beside the pictures, sound above all, is recorded from the time of the first frame on.

    `write` is for the thread that writes the output; `start` and `stop` wait for the file, and may be called
    from any other.

    Args:
        folder: place where recordings go.
        open_file: function that opens a file for the frames and what travels beside them.
        other_tracks: streams beside the pictures, not yet read; None: there are none.
        time_base: seconds that a tick of the frames' times lasts.

    Attributes:
        folder: place where recordings go.
        notes: recordings that were made, for the report.
        accounts: account of the frames of each recording that has ended.
        complete: files of the recordings that were completed.
    """

    def __init__(
        self,
        folder: Path,
        open_file: OpenFile,
        other_tracks: OtherTracks | None = None,
        time_base: Fraction = Fraction(1),
    ) -> None:
        self.notes: list[str] = []
        self.accounts: list[OutputAccount] = []
        self.complete: list[Path] = []
        self.folder, self._open_file = folder, open_file
        self._lock = threading.Lock()
        self._branch: OutputBranch | None = None
        self._taking: OutputBranch | None = None  # the branch, until it is to be completed
        self._first_pts: int | None = None
        self._sound = BesideTracks(other_tracks) if other_tracks is not None else None
        self._time_base = time_base
        self._file: Path | None = None
        self._problem: str | None = None

    @property
    def state(self) -> RecordingState:
        """How it stands."""
        branch = self._branch
        failure = branch.failure if branch else None
        on = branch is not None and failure is None
        return RecordingState(on, str(self._file) if self._file else None, failure or self._problem)

    def start(self) -> Path:
        """Start a recording, unless one goes on; return its file.

        Raises:
            SinkError: the file cannot be written.
        """
        with self._lock:
            if self._branch is not None and self._branch.failure is None and self._file is not None:
                return self._file
            self._complete()  # one that failed
            path = self._free_name()
            try:
                tracks = self._sound.begin() if self._sound is not None else None
                sink = self._open_file(path, tracks)
            except (SinkError, ValueError) as error:
                self._problem = str(error)
                raise SinkError(f"the recording cannot be started: {error}") from error
            self._file, self._problem, self._first_pts = path, None, None
            self._branch = self._taking = OutputBranch(sink, _CAPACITY, threading.Condition())
            return path

    def stop(self) -> None:
        """Complete the recording, if one goes on."""
        with self._lock:
            self._complete()

    def write(self, frame: Frame) -> None:
        """Record a frame, if a recording goes on; never waits."""
        branch = self._taking
        if self._sound is not None:
            first = branch is not None and self._first_pts is None
            self._sound.go_on(frame.pts * self._time_base, begins=first, recorded=branch is not None)
        if branch is None:
            return
        if self._first_pts is None:
            self._first_pts = frame.pts
        branch.put(replace(frame, pts=frame.pts - self._first_pts))

    def _complete(self) -> None:
        branch, self._taking = self._branch, None
        if branch is None:
            return
        branch.finish()
        ended = branch.join(_FINISH_SECONDS)
        self._branch = None
        self._problem = branch.failure or (None if ended else "the file could not be completed in time")
        account = replace(branch.account, failure=self._problem)
        self.accounts.append(account)
        if self._problem is None and self._file is not None:
            self.complete.append(self._file)
        lost = sum(account.dropped.values())
        self.notes.append(
            f"recorded {branch.frames_written} frames to {self._file}"
            + (f", {lost} were dropped" if lost else "")
            + (f"; it ended early: {self._problem}" if self._problem else "")
        )

    @property
    def sound(self) -> bool:
        """Whether there is sound to be recorded."""
        return self._sound is not None and self._sound.sound

    def find(self, name: str) -> Path | None:
        """Return a recording of this run that is complete, by its name; None where there is none."""
        return next((path for path in tuple(self.complete) if path.name == name), None)

    def _free_name(self) -> Path:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        path, number = self.folder / f"streamfx_{stamp}.mkv", 2
        while path.exists():
            path, number = self.folder / f"streamfx_{stamp}_{number}.mkv", number + 1
        return path
