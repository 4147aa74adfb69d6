"""Work in progress: the folder beside an output with its finished segments, and the journal of them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamfx.errors import SinkError, SourceLostError
from streamfx.media.notes import NOTE
from streamfx.media.paths import followed
from streamfx.resume.identity import identity_of_file, stamp_of
from streamfx.resume.journal import Journal, changes, sync_folder
from streamfx.resume.packets import read_packets
from streamfx.resume.segments import Segment, segment_path

log = logging.getLogger(__name__)

_FORMAT = 2


def otherwise(decided: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what a run has decided otherwise than an earlier one, one phrase each; empty: nothing."""
    others = list(changes(decided["engines"], now["engines"]))
    return others + list(changes({"coded": decided["coded"]}, {"coded": now["coded"]}))


def work_folder(output: Path) -> Path:
    """Return the folder of the work on an output.

    Example:
        >>> work_folder(Path("films/out.mp4"))
        PosixPath('films/.out.mp4.streamfx')
    """
    target = followed(output)
    return target.with_name(f".{target.name}.streamfx")


class Work:
    """What was done of a film so far. One process at a time has it.

    Args:
        output: film to be written in the end.
        decisions: everything known before that decides what comes out.

    Attributes:
        folder: folder of the work.
        anew: decisions in which an earlier run, whose work is gone, differed; None where there were none.

    Raises:
        ConfigError: another run is at work on the output.
        SinkError: the folder cannot be made.
    """

    def __init__(self, output: Path, decisions: Mapping[str, Any]) -> None:
        self.folder, self._output, self._decisions = work_folder(output), output, dict(decisions)
        self.anew: str | None = None
        try:
            self.folder.mkdir(exist_ok=True)
            self._journal = Journal(self.folder / "journal.jsonl")
            sync_folder(self.folder.parent)
        except OSError as error:
            raise SinkError(
                f"{self.folder}: cannot be used for resuming: {error.strerror or error}"
            ) from error
        if entries := self._journal.entries:
            known = {"format": entries[0].get("format"), **entries[0].get("decisions", {})}
            if others := list(changes(known, {"format": _FORMAT, **self._decisions})):
                self._begin_anew(others)

    @property
    def decided(self) -> dict[str, Any]:
        """What an earlier run decided by itself: engines, codec, factor; empty where there was none."""
        entries = self._journal.entries
        return dict(entries[0]["decided"]) if entries else {}

    def settle(self, decided: Mapping[str, Any]) -> None:
        """Note what this run decided by itself; begin anew where an earlier one decided otherwise."""
        if self._journal.entries and (others := otherwise(self.decided, decided)):
            self._begin_anew(others)
        if not self._journal.entries:
            self._journal.add({"format": _FORMAT, "decisions": self._decisions, "decided": dict(decided)})

    def segments(self) -> list[Segment]:
        """Return the finished segments, up to the first that is missing or whose file has changed."""
        noted, found = self._noted(), list[Segment]()
        while (segment := noted.get(len(found))) is not None:
            if problem := self.problem(segment):
                log.log(NOTE, "%s: segment %d is done again: %s", self._output, segment.number, problem)
                break
            found.append(segment)
        return found

    def finished(self) -> dict[int, Segment]:
        """Return all finished segments whose files are what was noted, by number; some may be missing."""
        noted = self._noted().items()
        return {number: segment for number, segment in noted if self.problem(segment) is None}

    def add(self, segment: Segment) -> None:
        """Note a finished segment."""
        self._journal.add({"segment": segment.model_dump(mode="json")})

    def problem(self, segment: Segment) -> str | None:
        """Read the file of a segment again; return what is wrong with it, None if nothing is."""
        path = segment_path(self.folder, segment.number)
        try:
            if path.stat().st_size != segment.size_bytes:
                return f"{path} has another size"
            count = sum(1 for _ in read_packets(path))
        except OSError as error:
            return str(error)
        return None if count == segment.frames else f"{path} holds {count} packets, not {segment.frames}"

    @property
    def completed(self) -> dict[str, Any] | None:
        """What was noted of the end of the source; None while that was not reached."""
        found = [entry["completed"] for entry in self._journal.entries if "completed" in entry]
        return dict(found[-1]) if found and found[-1] is not None else None

    def complete(self, told: Mapping[str, Any]) -> None:
        """Note that the source came to its end, and what there is to say of that."""
        self._journal.add({"completed": dict(told)})

    def reopen(self) -> None:
        """Take back that the end was reached: segments must be done again."""
        self._journal.add({"completed": None})

    def may_replace(self, asked: bool) -> bool:
        """Return whether the output may be replaced: as asked, or because this work has put it there itself.

        The file that was there when joining began is noted, so that a crash just after it was replaced is
        told from one before.
        """
        begun = [entry["joining"] for entry in self._journal.entries if "joining" in entry]
        if not begun:
            self._journal.add({"joining": {"replaces": stamp_of(self._output)}})
            return asked
        return asked or stamp_of(self._output) not in (None, begun[0]["replaces"])

    def check_input(self, path: Path) -> None:
        """Check that the input is still the file that was read.

        Raises:
            SourceLostError: it is not.
        """
        if identity_of_file(path) != self._decisions["input"]:
            raise SourceLostError(f"{path}: has changed since it was read; run the same command again")

    def done(self) -> None:
        """Remove the folder: the output is there."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Let go of the journal, and remove a folder in which nothing was finished. Safe to call twice."""
        empty = not any("segment" in entry for entry in self._journal.entries)
        self._journal.close()
        if empty:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _begin_anew(self, others: list[str]) -> None:
        self.anew = ", ".join(others)
        log.log(NOTE, "%s: begins anew, for what decides the result has changed: %s", self._output, self.anew)
        self._journal.clear()
        for path in self.folder.glob("*.packets"):
            path.unlink(missing_ok=True)

    def _noted(self) -> dict[int, Segment]:
        """Return what was noted of each segment last. Those done anew hold the same as before."""
        noted = (entry["segment"] for entry in self._journal.entries if "segment" in entry)
        segments = map(Segment.model_validate, noted)
        return {segment.number: segment for segment in segments}
