"""Summary: what became of each file of a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, computed_field

from streamfx.config.values import FileName
from streamfx.errors import SinkError
from streamfx.media.paths import printable, write_whole
from streamfx.run.report import EXIT_ALL_THERE, EXIT_STOPPED, EXIT_WITH_LOSSES

BatchState = Literal["finished", "skipped", "failed", "stopped", "not begun"]


class Outcome(BaseModel):
    """What became of one file.

    Attributes:
        source: file to be read.
        output: file to be written.
        state: ``finished``: written, and read again; ``skipped``: an earlier batch did that; ``failed``;
            ``stopped``: by the user; ``not begun``: the batch was stopped before.
        report: the file's own report; None where there is none.
        problems: reasons for a failure, or what is missing or wrong; empty when everything is there.
        left_out: content of the source that is not in the output.
        frames: frames written; None where that is not known.
        seconds: time that it took.
    """

    model_config = ConfigDict(frozen=True)

    source: FileName
    output: FileName
    state: BatchState
    report: FileName | None = None
    problems: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    frames: int | None = None
    seconds: float | None = None

    @property
    def line(self) -> str:
        """What became of it, in a line."""
        what: str = "skipped, finished before" if self.state == "skipped" else self.state
        if self.state == "finished":
            what = "complete but for what is left out" if self.left_out else "complete"
            what = "finished, but not everything is there" if self.problems else what
            what += f", {self.frames} frames in {self.seconds or 0:.1f} s"
        return f"{printable(self.output)}: {what}" + "".join(f"; {problem}" for problem in self.problems)


class Summary(BaseModel):
    """What became of a batch.

    Attributes:
        outcomes: outcome of every file, in order.
        settings: settings of all files, as ``streamfx transcode`` takes them.
        jobs: files done at a time.
        started_at: UTC time of the start, ISO 8601.
        seconds: time that it took.
    """

    model_config = ConfigDict(frozen=True)

    outcomes: tuple[Outcome, ...]
    settings: dict[str, Any]
    jobs: int
    started_at: str
    seconds: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def counts(self) -> dict[str, int]:
        """How many files there are in each state."""
        states = [outcome.state for outcome in self.outcomes]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> int:
        """0: every file is there. 1: one failed, or something of it is missing. 130: stopped by the user."""
        if any(outcome.state in ("stopped", "not begun") for outcome in self.outcomes):
            return EXIT_STOPPED
        wrong = any(outcome.state == "failed" or outcome.problems for outcome in self.outcomes)
        return EXIT_WITH_LOSSES if wrong else EXIT_ALL_THERE

    def summary(self) -> str:
        """Return the batch in a few lines of text: how many files of each state, and what went wrong."""
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items())
        files = "1 file" if len(self.outcomes) == 1 else f"{len(self.outcomes)} files"
        lines = [f"{files}: {counts}; {self.seconds:.1f} s"]
        lines += [outcome.line for outcome in self.outcomes if outcome.state == "failed" or outcome.problems]
        if self.exit_code == EXIT_STOPPED:
            lines.append("stopped before the end; the same command goes on from there")
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all; into a device or a pipe, as it comes.

        Raises:
            SinkError: it cannot be written there.
        """
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
        try:
            write_whole(path, text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise SinkError(f"{path}: cannot write the summary: {error.strerror or error}") from error
