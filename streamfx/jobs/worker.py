"""The process that does the files of a batch, one after the other: what breaks it breaks no other file.

A line of JSON on standard input is the configuration of a run. Lines of JSON on standard output tell what
happens: ``{"progress": …}`` now and then, ``{"log": …}`` with what is to be said, and one ``{"ended": …}``.
When standard input ends, whoever asked is gone, and so is the run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from streamfx.config.transcode import TranscodeConfig
from streamfx.errors import StageFailedError, StreamfxError
from streamfx.media.notes import NOTE
from streamfx.pipeline.flow import Ending
from streamfx.pipeline.stats import Snapshot
from streamfx.run.report import Report

_INTERRUPTED = "stopped"


class JsonLogHandler(logging.Handler):
    """Tells in lines of JSON what happens; several threads may."""

    def __init__(self, out: IO[str]) -> None:
        super().__init__(NOTE)
        self._out, self._writing = out, threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        self.tell("log", [record.levelname.lower(), record.getMessage()])

    def tell(self, kind: str, what: object) -> None:
        with self._writing, contextlib.suppress(OSError, ValueError):  # nobody listens: the input has ended
            print(json.dumps({kind: what}), file=self._out, flush=True)

    def show(self, snapshot: Snapshot) -> None:
        self.tell("progress", asdict(snapshot))


def main() -> int:
    """Do what standard input asks for until it ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the lines
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    teller = JsonLogHandler(out)
    logging.getLogger("streamfx").addHandler(teller)
    logging.getLogger("streamfx").setLevel(NOTE)
    for line in _asked():
        config = TranscodeConfig.model_validate(json.loads(line))
        try:
            found = ended(config, teller.show)
        except KeyboardInterrupt:
            found = {"stopped": True, "error": _INTERRUPTED}
        teller.tell("ended", found)
    return 0


def _asked() -> Iterator[str]:
    """Yield lines of standard input; once that ends, end the run that goes on, too."""
    lines: SimpleQueue[str | None] = SimpleQueue()
    busy = threading.Event()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put(None)
        if busy.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=read, name="worker-input", daemon=True).start()
    while True:
        try:
            line = lines.get()
        except KeyboardInterrupt:  # between two runs
            continue
        if line is None:
            return
        busy.set()
        yield line
        busy.clear()


def ended(config: TranscodeConfig, show: Callable[[Snapshot], None]) -> dict[str, Any]:
    """Do a file and return how that ended, in a form that JSON holds."""
    from streamfx.transcoding import run_config

    report: Report | None
    try:
        report = run_config(config, show)
        error = None
    except StageFailedError as failure:
        report, error = failure.report, str(failure)
    except StreamfxError as refused:
        report, error = None, str(refused)
    except Exception as fault:
        report, error = None, f"unexpected {type(fault).__name__}: {fault}"
    stopped = report is not None and report.result.ending is Ending.STOPPED
    if stopped and not config.resume:
        Path(config.output).unlink(missing_ok=True)  # half a film would be in the way of the next batch
    return {
        "stopped": stopped,
        "error": error,
        "report": None if report is None else report.model_dump(mode="json"),
        "losses": [] if report is None else report.losses,
        "left_out": [] if report is None else list(report.left_out),
    }


if __name__ == "__main__":
    sys.exit(main())
