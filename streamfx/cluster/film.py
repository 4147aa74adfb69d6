"""A film on a cluster: planned here, its segments done by whichever machine has room, put together here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from streamfx.cluster.agreement import check_machines, decisions_anywhere, problem_here
from streamfx.cluster.pool import Pool
from streamfx.cluster.ray_pool import RayPool, check_there
from streamfx.config.transcode import TranscodeConfig
from streamfx.errors import ConfigError, StreamfxError
from streamfx.media.notes import NOTE
from streamfx.media.paths import followed
from streamfx.resume.alone import SegmentRange, run_segment
from streamfx.resume.resuming import resume_problem, run_resumable
from streamfx.resume.spread import Ended
from streamfx.resume.work import work_folder
from streamfx.run.assembly import Progress
from streamfx.run.report import Report

log = logging.getLogger(__name__)

_MOST_THREADS = 4  # of a segment: with more, encoders wait for one another
OpenPool = Callable[[str, int], Pool]
"""Opens the cluster of an address, where a lost task is begun anew so many times."""


def run_on_cluster(
    config: TranscodeConfig, progress: Progress | None = None, opened: OpenPool = RayPool
) -> Report:
    """Run a film's segments on the machines of a cluster; returns and raises as ``run_config``.

    Raises:
        ConfigError: it cannot be done so; the message says why.
    """
    check_spreadable(config)
    if opened is RayPool:
        check_there()
    pool = opened(str(config.cluster), config.cluster_retries)
    try:
        config = settled(config, pool)
        return run_resumable(config, progress, _ClusterHands(config, pool))
    finally:
        pool.close()


def check_spreadable(config: TranscodeConfig) -> None:
    """Refuse a run whose segments cannot be done by themselves.

    Raises:
        ConfigError: they cannot; the message says why.
    """
    if problem := resume_problem(config):
        raise ConfigError(f"--cluster: {problem}; run without --cluster")
    from streamfx.capture.files.file import FileSource

    source = FileSource(config.input, threads=1)
    source.close()
    if not source.can_seek:
        raise ConfigError(
            f"--cluster: {config.input}: no place in it can be found by its time, so that each segment would "
            "be read from the beginning of the film; write it anew first (ffmpeg -i IN -c copy OUT.mkv), or "
            "run without --cluster"
        )


def settled(config: TranscodeConfig, pool: Pool) -> TranscodeConfig:
    """Return the settings with those that each machine would else choose for itself.

    Raises:
        ConfigError: no machine of the cluster has the processors that were asked for.
    """
    machines = [machine for machine in pool.machines() if machine.cpus >= 1]
    if not machines:
        raise ConfigError("--cluster: no machine of it gives a processor")
    most = max(machine.cpus for machine in machines)
    threads = config.threads or int(min(_MOST_THREADS, *(machine.cpus for machine in machines)))
    if threads > most:
        raise ConfigError(
            f"--cluster: each task is to have {threads} processors, and no machine gives more than {most:g}; "
            f"give --threads {most:g} or fewer"
        )
    return config.model_copy(update={"threads": threads, "resume": True})


def device_on(pool: Pool, config: TranscodeConfig) -> str:
    """Return the device of tasks: a GPU where none was named and there are some."""
    if config.device != "auto":
        return config.device
    return "cuda" if any(machine.gpus for machine in pool.machines()) else "cpu"


class _ClusterHands:
    """Has segments done by the workers of a cluster."""

    def __init__(self, config: TranscodeConfig, pool: Pool) -> None:
        self._config, self._pool, self._device = config, pool, device_on(pool, config)
        self._places: dict[int, SegmentRange] = {}
        self._asked: dict[str, Any] = {}

    def begin(self, decided: Mapping[str, Any]) -> None:
        """Hear what the run has decided, and see whether all machines would do the same.

        Raises:
            ConfigError: one would not.
        """
        config = self._config
        factor = {} if decided["factor"] is None else {"factor": decided["factor"]}
        named = {name: str(followed(Path(getattr(config, name))).absolute()) for name in ("input", "output")}
        alone = config.model_copy(
            update={
                **named,
                **factor,
                "device": self._device,
                "report": None,
                "verify": False,
                "strict": False,
                "overwrite": True,
                "resume": False,
                "cluster": None,
            }
        )
        self._asked = {
            "config": alone.model_dump(),
            "decisions": decisions_anywhere(alone),
            "decided": dict(decided),
            "folder": str(work_folder(Path(named["output"]))),
        }
        count = check_machines(self._pool, self._asked)
        machines = "1 machine" if count == 1 else f"{count} machines"
        log.log(NOTE, "%s: done in segments by %s", config.output, machines)

    def give(self, place: SegmentRange) -> None:
        """Have a segment done, when its turn comes."""
        config = self._config
        gpus = config.cluster_gpus if self._device.startswith("cuda") else 0.0
        asked = {**self._asked, "place": place.model_dump(mode="json")}
        number = self._pool.submit(do_segment, asked, cpus=config.threads or 1, gpus=gpus)
        self._places[number] = place

    def ended(self, wait_seconds: float) -> list[Ended]:
        """Return the segments that have ended since the last call."""
        found = []
        for end in self._pool.ended(wait_seconds):
            place = self._places.pop(end.number)
            done, problem = (None, end.problem) if end.problem is not None else end.returned
            found.append(Ended(place, done, problem or ""))
        return found

    def stop(self) -> None:
        """Give up what is not done."""
        self._places.clear()
        self._pool.cancel()


def do_segment(asked: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Do a segment; the task of a worker. Return what was done, or why nothing was."""
    config = TranscodeConfig.model_validate(asked["config"])
    folder = Path(asked["folder"])
    if problem := problem_here(config, asked["decisions"], folder):
        return None, f"the machine that should do it {problem}"
    try:
        return run_segment(
            config, SegmentRange.model_validate(asked["place"]), asked["decided"], folder
        ), None
    except StreamfxError as error:
        return None, str(error)
