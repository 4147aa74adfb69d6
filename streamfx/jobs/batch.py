"""Batch: many files, one after the other or a few at a time; one that fails holds up no other."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import PathLike, fspath
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from streamfx.cluster.film import OpenPool
from streamfx.errors import ConfigError, SinkError
from streamfx.jobs.inputs import Item, find_items
from streamfx.jobs.opening import open_workers
from streamfx.jobs.settings import Batch, load_batch
from streamfx.jobs.summary import Outcome, Summary
from streamfx.jobs.workers import COMMAND, FileWorker, WorkerMessage
from streamfx.pipeline.flow import Ending
from streamfx.pipeline.interrupts import interrupts_call
from streamfx.resume.identity import asked_for, engine_digests, stamp_of
from streamfx.resume.journal import Journal
from streamfx.resume.resuming import resume_problem
from streamfx.resume.work import work_folder
from streamfx.run.report import Report

_INTERRUPT = -1  # in place of the number of a worker


@dataclass(frozen=True, slots=True)
class BatchState:
    """Where a batch stands, for a progress display.

    Attributes:
        done: files with an outcome.
        files: all of them.
        running: frames written, and how many there are (None where unknown), of each file that is being done.
    """

    done: int
    files: int
    running: Mapping[str, tuple[int, int | None]]


@dataclass(slots=True)
class BatchObserver:
    """Who is told what happens; each may be called at any time, in the thread of the batch."""

    ended: Callable[[Outcome], None] = lambda _outcome: None
    state: Callable[[BatchState], None] = lambda _state: None
    log: Callable[[str, str, str], None] = lambda _output, _level, _text: None


def batch(
    inputs: Sequence[str | PathLike[str]],
    output_dir: str | PathLike[str],
    *,
    show: BatchObserver | None = None,
    **settings: object,
) -> Summary:
    """Change many videos; return what became of each.

    What an earlier batch finished, read again and found whole is skipped, unless the file or the settings
    have changed since. A file that fails is told in the summary, and the others are done.

    Args:
        inputs: files, folders (every video below them), globs.
        output_dir: folder for the outputs; the tree below folders and globs is kept.
        show: receiver of everything that happens.
        settings: ``list``, ``ending``, ``jobs``, ``summary`` and everything that ``streamfx.transcode`` takes
            beside input, output and report.

    Raises:
        ConfigError: a setting is wrong, an input is not there, or there is nothing to do.
        EngineNotFoundError: there is no such effect.
        SinkError: nothing can be written there.

    Example:
        >>> summary = batch(["in.mp4"], "styled")
        >>> summary.exit_code, summary.counts
        (0, {'finished': 1})
    """
    named = {"inputs": tuple(fspath(each) for each in inputs), "output_dir": fspath(output_dir)}
    return run_batch(load_batch(options={**settings, **named}), show)


def run_batch(
    asked: Batch,
    show: BatchObserver | None = None,
    command: Sequence[str] = COMMAND,
    opened: OpenPool | None = None,
) -> Summary:
    """Do a batch; returns and raises as ``batch``.

    A Ctrl-C ends it properly: what is finished stays, and the same batch goes on later. A second one stops at
    once.

    Args:
        asked: batch to do.
        show: receiver of everything that happens.
        command: command of the processes that do it.
        opened: function that opens the cluster that was asked for; None: the usual one.
    """
    engine_digests(asked.settings["effects"])  # an effect that is not there is no matter of the files
    items = find_items(asked.inputs, asked.output_folder, list_file=asked.list_file, ending=asked.ending)
    try:
        asked.output_folder.mkdir(parents=True, exist_ok=True)
        (asked.output_folder / ".streamfx").mkdir(exist_ok=True)
        journal = Journal(asked.output_folder / ".streamfx" / "finished.jsonl")
    except OSError as error:
        raise SinkError(f"{asked.output_folder}: cannot write there: {error.strerror or error}") from error
    started_at, started = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    told: SimpleQueue[WorkerMessage] = SimpleQueue()
    try:
        with open_workers(asked, items, told, command, opened) as (workers, chosen):
            jobs = len(workers)
            course = _Course(asked, items, workers, told, chosen, journal, show or BatchObserver())
            course.run()
    finally:
        journal.close()
    summary = Summary(
        outcomes=tuple(course.outcomes[item] for item in items),
        settings={**asked.settings},
        jobs=jobs,
        started_at=started_at,
        seconds=time.monotonic() - started,
    )
    summary.write(asked.summary)
    return summary


@dataclass(slots=True)
class _Job:
    """A file that a worker does."""

    item: Item
    asked: Mapping[str, Any]
    begun: float = field(default_factory=time.monotonic)


class _Course:
    """A batch while it goes on."""

    def __init__(
        self,
        asked: Batch,
        items: Sequence[Item],
        workers: Sequence[FileWorker],
        told: SimpleQueue[WorkerMessage],
        chosen: Mapping[str, Any],
        journal: Journal,
        show: BatchObserver,
    ) -> None:
        self.outcomes: dict[Item, Outcome] = {}
        self._asked, self._items, self._journal, self._show = asked, items, journal, show
        self._workers, self._told, self._chosen = workers, told, chosen
        self._jobs: dict[int, _Job] = {}
        self._running: dict[str, tuple[int, int | None]] = {}
        self._finished = {entry["output"]: entry for entry in journal.entries if "stamp" in entry}
        self._begun = {entry["output"]: entry for entry in journal.entries if "begun" in entry}
        self._interrupts = 0

    def run(self) -> None:
        """Give every file an outcome."""
        left = deque(item for item in self._items if not self._is_done(item))
        try:
            with interrupts_call(self._interrupt):
                while left or self._jobs:
                    for number, worker in enumerate(self._workers):
                        while number not in self._jobs and left and not self._interrupts:
                            self._begin(number, worker, left.popleft())
                    if not self._jobs:
                        break
                    self._hear(self._told.get())
        finally:
            for worker in self._workers:
                worker.close()
        for item in left:
            self._end(item, Outcome(source=str(item.source), output=str(item.output), state="not begun"))

    def _is_done(self, item: Item) -> bool:
        """Give the file its outcome if an earlier batch finished it and nothing has changed since."""
        entry = self._finished.get(self._name(item))
        if entry is None or entry["stamp"] != stamp_of(item.output):
            entry = self._left_behind(item)
        if entry is None:
            return False
        try:
            same = bool(entry["asked"] == asked_for(self._asked.config_of(item.source, item.output)))
        except OSError:
            return False
        if same:
            self._end(
                item,
                Outcome(
                    source=str(item.source),
                    output=str(item.output),
                    state="skipped",
                    report=str(report_of(item)),
                    problems=tuple(entry["problems"]),
                    left_out=tuple(entry["left_out"]),
                ),
            )
        return same

    def _left_behind(self, item: Item) -> dict[str, Any] | None:
        """Note that a file is finished whose worker has outlived a batch that was killed; None: it is not.

        It is what that worker made if it was not there when the worker began, and its report, which is
        written last, tells of it.
        """
        begun, found = self._begun.get(self._name(item)), stamp_of(item.output)
        if begun is None or found is None or found == begun["begun"] or not self._asked.settings["verify"]:
            return None
        try:
            report = Report.model_validate_json(report_of(item).read_bytes())
        except (OSError, ValueError):
            return None
        whole = report.result.ending is Ending.COMPLETE and not report.differences
        if not whole or report.output.size_bytes != found["size_bytes"]:
            return None
        shutil.rmtree(work_folder(item.output), ignore_errors=True)
        return self._note(item, begun["asked"], report.losses, report.left_out)

    def _note(
        self, item: Item, asked: Mapping[str, Any], problems: Sequence[str], left_out: Sequence[str]
    ) -> dict[str, Any]:
        """Note in the journal that a file is finished, and return the entry."""
        entry = {
            "output": self._name(item),
            "stamp": stamp_of(item.output),
            "asked": asked,
            "problems": list(problems),
            "left_out": list(left_out),
        }
        self._journal.add(entry)
        self._finished[entry["output"]] = entry
        return entry

    def _begin(self, number: int, worker: FileWorker, item: Item) -> None:
        # An output of an earlier batch that nobody has touched may be replaced: settings have changed.
        entry = self._finished.get(self._name(item))
        own = entry is not None and entry["stamp"] == stamp_of(item.output)
        try:
            item.output.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                report_of(item).unlink()  # of an earlier try
            config = self._asked.config_of(
                item.source,
                item.output,
                report=str(report_of(item)),
                **self._chosen,
                overwrite=self._asked.settings["overwrite"] or own,
            )
            if config.resume and resume_problem(config) is not None:
                config = config.model_copy(update={"resume": False})
            asked = asked_for(config)
            begun = stamp_of(item.output)
            self._journal.add({"output": self._name(item), "begun": begun, "asked": asked})
        except (OSError, ConfigError) as error:
            self._end(item, _failed(item, str(error)))
            return
        self._jobs[number] = _Job(item, asked)
        worker.give(config)

    def _hear(self, told: WorkerMessage) -> None:
        job = self._jobs.get(told.worker)
        if told.worker == _INTERRUPT:
            for number in self._jobs:
                worker = self._workers[number]
                worker.interrupt() if self._interrupts == 1 else worker.kill()
        elif job is None:
            return
        elif told.kind == "progress":
            counts = told.what["frames_out"], told.what["frame_count"]
            self._running[str(job.item.output)] = counts
            self._tell_state()
        elif told.kind == "log":
            self._show.log(str(job.item.output), *told.what)
        else:
            del self._jobs[told.worker]
            self._running.pop(str(job.item.output), None)
            self._end(job.item, self._outcome(job, told))

    def _outcome(self, job: _Job, told: WorkerMessage) -> Outcome:
        if told.kind == "died":
            stopped = self._interrupts > 0
            return _failed(job.item, told.what, state="stopped" if stopped else "failed")
        ended, report = told.what, told.what.get("report")
        if ended["stopped"]:
            return _failed(job.item, "", state="stopped")
        if ended["error"] is not None or report is None:
            return _failed(job.item, ended["error"], report=report is not None)
        outcome = Outcome(
            source=str(job.item.source),
            output=str(job.item.output),
            state="finished",
            report=str(report_of(job.item)),
            problems=tuple(ended["losses"]),
            left_out=tuple(ended["left_out"]),
            frames=report["result"]["account"]["encoded"] + report["result"]["account"]["repeated"],
            seconds=time.monotonic() - job.begun,
        )
        if not report["differences"] and self._asked.settings["verify"]:
            self._note(job.item, job.asked, ended["losses"], ended["left_out"])
        return outcome

    def _end(self, item: Item, outcome: Outcome) -> None:
        self.outcomes[item] = outcome
        self._show.ended(outcome)
        self._tell_state()

    def _tell_state(self) -> None:
        self._show.state(BatchState(len(self.outcomes), len(self._items), dict(self._running)))

    def _interrupt(self) -> None:
        self._interrupts += 1
        self._told.put(WorkerMessage(_INTERRUPT, "interrupt", None))

    def _name(self, item: Item) -> str:
        return os.path.relpath(item.output, self._asked.output_folder)


def report_of(item: Item) -> Path:
    """Return where the report of a file goes: beside its output.

    Example:
        >>> report_of(Item(Path("in/a.avi"), Path("out/a.mkv")))
        PosixPath('out/a.mkv.json')
    """
    return item.output.with_name(f"{item.output.name}.json")


def _failed(item: Item, problem: str, *, report: bool = False, state: Any = "failed") -> Outcome:
    return Outcome(
        source=str(item.source),
        output=str(item.output),
        state=state,
        report=str(report_of(item)) if report else None,
        problems=(problem.removeprefix(f"{item.output}: "),) if problem else (),
    )
