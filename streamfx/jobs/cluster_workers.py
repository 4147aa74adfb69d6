"""Files of a batch done by the machines of a cluster: to the batch, workers like those of this machine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from streamfx.cluster.agreement import check_machines, decisions_anywhere, problem_here
from streamfx.cluster.pool import Pool, TaskEnd
from streamfx.config.transcode import TranscodeConfig
from streamfx.jobs.worker import ended
from streamfx.jobs.workers import WorkerMessage
from streamfx.media.notes import NOTE
from streamfx.pipeline.stats import Snapshot

_LOOK_EVERY_SECONDS = 0.5


class ClusterWorkers:
    """Workers of a batch whose files are done by whichever machine of a cluster has room.

    A worker that is lost does its file again on another machine, and goes on from the segments that are
    finished. Where a file stands while it is done is not told.

    Args:
        pool: the cluster.
        count: files that are given to it at a time.
        told: queue for everything that happens.
    """

    def __init__(self, pool: Pool, count: int, told: SimpleQueue[WorkerMessage]) -> None:
        self._pool, self._told = pool, told
        self._numbers: dict[int, int] = {}  # of workers, by those of their tasks
        self._changing = threading.Lock()  # a task may end before its number is known
        self._closing = threading.Event()
        self.workers = [_ClusterWorker(number, self._submit, self._cancel) for number in range(count)]
        self._listener = threading.Thread(target=self._listen, name="streamfx-cluster-listener", daemon=True)
        self._listener.start()

    def check(self, config: TranscodeConfig) -> None:
        """Check with the settings of one file that all machines would do the same.

        Raises:
            ConfigError: one would not.
        """
        check_machines(self._pool, asked_of(config))

    def close(self) -> None:
        """Give up what is not done, and leave the cluster."""
        self._closing.set()
        self._listener.join()
        self._pool.close()

    def _submit(self, number: int, config: TranscodeConfig) -> None:
        gpus = config.cluster_gpus if config.device.startswith("cuda") else 0.0
        try:
            asked = asked_of(config)
        except OSError as error:
            self._told.put(WorkerMessage(number, "died", f"{error.filename}: {error.strerror or error}"))
            return
        with self._changing:
            task = self._pool.submit(do_file, asked, cpus=config.threads or 1, gpus=gpus)
            self._numbers[task] = number

    def _cancel(self, number: int) -> None:
        with self._changing:
            for task, own in self._numbers.items():
                if own == number:
                    self._pool.cancel(task)

    def _listen(self) -> None:
        while not self._closing.is_set():
            for end in self._pool.ended(_LOOK_EVERY_SECONDS):
                self._tell(end)
            if not self._numbers:
                self._closing.wait(_LOOK_EVERY_SECONDS / 10)

    def _tell(self, end: TaskEnd) -> None:
        with self._changing:
            number = self._numbers.pop(end.number)
        if end.problem is not None:
            self._told.put(WorkerMessage(number, "died", end.problem))
            return
        for said in end.returned["log"]:
            self._told.put(WorkerMessage(number, "log", said))
        self._told.put(WorkerMessage(number, "ended", end.returned["ended"]))


class _ClusterWorker:
    """One of so many files at a time."""

    def __init__(
        self,
        number: int,
        submit: Callable[[int, TranscodeConfig], None],
        cancel: Callable[[int], None],
    ) -> None:
        self._number, self._submit, self._cancel = number, submit, cancel

    def give(self, config: TranscodeConfig) -> None:
        """Give it a file; what becomes of it is told."""
        self._submit(self._number, config)

    def interrupt(self) -> None:
        """Ask for a proper end of what it does."""
        self._cancel(self._number)

    def kill(self) -> None:
        """Ask again: the machines of a cluster end what they do when the batch is gone."""
        self._cancel(self._number)

    def close(self) -> None:
        """Do nothing: the cluster is left when all is over."""


def asked_of(config: TranscodeConfig) -> dict[str, Any]:
    """Return what the task of a file is asked.

    Raises:
        OSError: the input cannot be read.
    """
    names = {
        name: str(Path(value).absolute())
        for name in ("input", "output", "report")
        if (value := getattr(config, name)) is not None
    }
    alone = config.model_copy(update={**names, "cluster": None})
    return {
        "config": alone.model_dump(),
        "decisions": decisions_anywhere(alone),
        "folder": str(Path(names["output"]).parent),
    }


def do_file(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Do a file; the task of a worker. Return how it ended, and what is to be said."""
    config, teller = TranscodeConfig.model_validate(asked["config"]), _Collected()
    logger = logging.getLogger("streamfx")
    before = logger.level
    logger.addHandler(teller)
    logger.setLevel(NOTE)
    try:
        if problem := problem_here(config, asked["decisions"], Path(asked["folder"])):
            refused = f"the machine that should do it {problem}"
            found = {"stopped": False, "error": refused, "report": None, "losses": [], "left_out": []}
        else:
            found = ended(config, _unseen)
    finally:
        logger.removeHandler(teller)
        logger.setLevel(before)
    return {"ended": found, "log": teller.said}


class _Collected(logging.Handler):
    """Keeps what is to be said."""

    def __init__(self) -> None:
        super().__init__(NOTE)
        self.said: list[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append([record.levelname.lower(), record.getMessage()])


def _unseen(_snapshot: Snapshot) -> None:
    """Show nothing."""
