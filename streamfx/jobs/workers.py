"""Workers of a batch as seen from the batch: processes that are given files and tell what becomes of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import IO, Any, NamedTuple, Protocol

from streamfx.config.transcode import TranscodeConfig
from streamfx.media.paths import import_path

COMMAND = (sys.executable, "-m", "streamfx.jobs.worker")
_END_SECONDS = 20.0


class WorkerMessage(NamedTuple):
    """What a worker told: its number, the kind (progress, log, ended, died), and the rest."""

    worker: int
    kind: str
    what: Any


class FileWorker(Protocol):
    """Who does one file of a batch after the other; what becomes of them is told in a queue."""

    def give(self, config: TranscodeConfig) -> None:
        """Give it a file."""

    def interrupt(self) -> None:
        """Ask for a proper end of what it does."""

    def kill(self) -> None:
        """End it at once."""

    def close(self) -> None:
        """Let it end, and wait for that."""


class Worker:
    """A process that does one file after the other. It is started when it is given the first.

    Ctrl-C at the terminal does not reach it: the batch decides what that means. If it dies, that is told as
    ``died`` with the reason, and the next file gets a new process.

    Args:
        number: number of the worker.
        told: queue for everything that it tells.
        command: program and arguments to start.
    """

    def __init__(
        self, number: int, told: SimpleQueue[WorkerMessage], command: Sequence[str] = COMMAND
    ) -> None:
        self._number, self._told, self._command = number, told, command
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None
        self._listener: threading.Thread | None = None

    def give(self, config: TranscodeConfig) -> None:
        """Give it a file; what becomes of it is told."""
        line = json.dumps(config.model_dump())
        for _ in range(2):  # a process that died since the last file is replaced
            if self._process is None or self._process.poll() is not None:
                self._start()
            assert self._process is not None
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()
                return
            except BrokenPipeError:
                self._forget()
        self._told.put(WorkerMessage(self._number, "died", "the process that should do it does not start"))

    def interrupt(self) -> None:
        """Ask for a proper end of what it does."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Let it end, and wait for that."""
        if self._process is not None:
            if self._process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._forget()

    def _start(self) -> None:
        self._forget()
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # closed by _forget
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "PYTHONPATH": import_path()},
            start_new_session=True,
        )
        self._listener = threading.Thread(
            target=self._listen,
            args=(self._process, self._errors),
            name="streamfx-worker-listener",
            daemon=True,
        )
        self._listener.start()

    def _listen(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        assert process.stdout is not None
        busy = True
        for line in process.stdout:
            with contextlib.suppress(ValueError):  # cut off when it died
                for kind, what in json.loads(line).items():
                    busy = kind != "ended"
                    self._told.put(WorkerMessage(self._number, kind, what))
        code = process.wait()
        if busy:
            self._told.put(WorkerMessage(self._number, "died", _how_it_died(code, errors)))

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
        if self._listener is not None:
            self._listener.join()
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if self._errors is not None:
            self._errors.close()
        self._process = self._errors = self._listener = None


def _how_it_died(code: int, errors: IO[str]) -> str:
    errors.seek(0)
    last = errors.read().strip().rpartition("\n")[2]
    try:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        how = f"signal {-code}"
    return f"the process that did it ended with {how}{f': {last}' if last else ''}"
