"""The workers of a batch: processes of this machine, or a cluster's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from streamfx.cluster.film import OpenPool, device_on, settled
from streamfx.cluster.ray_pool import RayPool
from streamfx.hardware.cpu import usable_cores
from streamfx.jobs.cluster_workers import ClusterWorkers
from streamfx.jobs.inputs import Item
from streamfx.jobs.settings import Batch
from streamfx.jobs.workers import FileWorker, Worker, WorkerMessage

_CORES_PER_JOB = (
    4  # with fewer, files beside one another take as long as one after the other, and more memory
)


@contextmanager
def open_workers(
    asked: Batch,
    items: Sequence[Item],
    told: SimpleQueue[WorkerMessage],
    command: Sequence[str],
    opened: OpenPool | None,
) -> Iterator[tuple[Sequence[FileWorker], Mapping[str, Any]]]:
    """Give the workers, and the settings that each of them would else choose for itself."""
    address = asked.settings["cluster"]
    if address is None:
        jobs = min(asked.jobs or max(1, usable_cores() // _CORES_PER_JOB), len(items))
        threads = asked.settings["threads"] or max(1, usable_cores() // jobs)
        yield [Worker(number, told, command) for number in range(jobs)], {"threads": threads}
        return
    pool = (opened or RayPool)(address, asked.settings["cluster_retries"])
    try:
        first = settled(asked.config_of(items[0].source, items[0].output), pool)
        first = first.model_copy(update={"device": device_on(pool, first)})
        room = sum(machine.cpus // (first.threads or 1) for machine in pool.machines())
        jobs = min(asked.jobs or max(1, int(room)), len(items))
        cluster = ClusterWorkers(pool, jobs, told)
        try:
            cluster.check(first)
            yield cluster.workers, {"threads": first.threads, "device": first.device}
        finally:
            cluster.close()
    finally:
        pool.close()
