"""Ray as a pool of workers. The only place that knows it (extra ``cluster``)."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streamfx.cluster.pool import Machine, Task, TaskEnd
from streamfx.errors import ConfigError
from streamfx.hardware.cpu import usable_cores

_STORE_BYTES = 100_000_000  # nothing large is passed about: films lie in files
NOWHERE = {
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
    "no_proxy": "",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",
}
"""An environment in which nothing that asks for a proxy reaches anything: nobody listens there."""
_ANSWER_SECONDS = 10.0
_HOW_TO_JOIN = (
    "start it with 'ray start --head --disable-usage-stats', have this machine join it with 'ray start "
    "--address HOST:PORT', and give auto, or HOST:PORT (with RAY_AUTH_MODE=token in the environment where "
    "the cluster asks for a token)"
)
_CHECK_SECONDS = 120.0  # in which a machine must have started a worker and looked around


def check_there() -> None:
    """Check that Ray is installed.

    Raises:
        ConfigError: it is not; the message says how it is.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            "--cluster needs Ray: pip install 'streamfx[cluster]', on every machine; without --cluster all "
            "is done on this one"
        )


class RayPool:
    """The workers of a Ray cluster. Nothing is told to Ray's makers, and no dashboard is started.

    Args:
        address: ``auto`` joins the cluster that this machine belongs to (``ray start``), or starts one of
            this machine alone; else HOST:PORT of the cluster's head.
        retries: most times that a task is done again whose worker was lost.
        cpus: processors of a cluster of this machine alone, which is started; None: one is joined where there
            is one, else all are taken.

    Raises:
        ConfigError: Ray is not installed, or there is no such cluster.
    """

    def __init__(self, address: str, retries: int, *, cpus: int | None = None) -> None:
        check_there()
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when it is imported, and by all that it starts
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        self._ray: Any = ray
        self._retries = retries
        self._running: dict[Any, int] = {}
        self._count = 0
        with _handlers_kept():
            self._join(address, cpus)

    def machines(self) -> list[Machine]:
        """Return the machines that are there now."""
        return [
            Machine(
                node["NodeID"],
                node["NodeManagerHostname"] or node["NodeManagerAddress"],
                node["Resources"].get("CPU", 0.0),
                node["Resources"].get("GPU", 0.0),
            )
            for node in self._ray.nodes()
            if node["Alive"]
        ]

    def on_each(self, task: Task, asked: object) -> dict[Machine, TaskEnd]:
        """Have a task done on each machine, whatever else it does."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        begun = {
            self._ray.remote(task)
            .options(
                num_cpus=0,
                max_retries=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(machine.key, soft=False),
            )
            .remote(asked): machine
            for machine in self.machines()
        }
        done, late = self._ray.wait(list(begun), num_returns=len(begun), timeout=_CHECK_SECONDS)
        ends = {begun[each]: self._end(each, 0) for each in done}
        for each in late:
            self._ray.cancel(each, force=False)
            problem = f"no worker started there within {_CHECK_SECONDS:g} s"
            ends[begun[each]] = TaskEnd(0, None, problem)
        return ends

    def submit(self, task: Task, asked: object, *, cpus: float, gpus: float) -> int:
        """Have a task done where there is room for it; return its number."""
        self._count += 1
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": self._retries}
        reference = self._ray.remote(task).options(**options).remote(asked)
        self._running[reference] = self._count
        return self._count

    def ended(self, wait_seconds: float) -> list[TaskEnd]:
        """Return the tasks that have ended since the last call; wait so long for the first."""
        if not self._running:
            return []
        done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=wait_seconds)
        if done:
            done, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        return [self._end(each, self._running.pop(each)) for each in done]

    def cancel(self, number: int | None = None) -> None:
        """Give up a task, or all."""
        for reference, own in self._running.items():
            if number in (None, own):
                # Not by force: Ray 2.60 may abort the process that asks for it. What goes on gets a Ctrl-C.
                self._ray.cancel(reference, force=False)

    def close(self) -> None:
        """Give up what is not done, and leave the cluster. Safe to call twice."""
        if self._ray.is_initialized():
            self.cancel()
            with _handlers_kept():
                self._ray.shutdown()

    def _join(self, address: str, cpus: int | None) -> None:
        if address != "auto":
            _check_answers(address)
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "streamfx"}
        try:
            try:
                if cpus is not None:
                    raise ConnectionError
                self._ray.init(address=address, **quiet)
            except ConnectionError:
                if address != "auto":
                    raise
                with _nothing_reached():
                    self._ray.init(
                        address="local",
                        num_cpus=cpus or usable_cores(),
                        object_store_memory=_STORE_BYTES,
                        include_dashboard=False,
                        _node_ip_address="127.0.0.1",
                        **quiet,
                    )
        except (ConnectionError, RuntimeError, ValueError) as error:
            first = str(error).strip().partition("\n")[0]
            raise ConfigError(f"--cluster {address}: cannot be joined: {first}; {_HOW_TO_JOIN}") from error

    def _end(self, reference: Any, number: int) -> TaskEnd:
        import ray.exceptions

        try:
            return TaskEnd(number, self._ray.get(reference))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            return TaskEnd(
                number, None, f"{type(cause).__name__}: {str(cause).strip().rpartition(chr(10))[2]}"
            )
        except ray.exceptions.RayError as error:
            return TaskEnd(number, None, str(error).strip().partition("\n")[0])


def _check_answers(address: str) -> None:
    """Check that somebody listens at an address: Ray itself would go on trying for minutes.

    Raises:
        ConfigError: nobody does, or it is no address.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise ConfigError(f"--cluster {address}: must be auto, or HOST:PORT of the head of a cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--cluster {address}: cannot be joined: nobody answers there ({error}); {_HOW_TO_JOIN}"
        ) from error


@contextmanager
def _nothing_reached() -> Iterator[None]:
    """Within, what Ray starts reaches no address over HTTP.

    Even with its statistics off it asks every cloud that it knows whether it is there (Ray 2.60), which looks
    a name up in the network.
    """
    before = {name: os.environ.get(name) for name in NOWHERE}
    os.environ |= NOWHERE
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Within, Ray may put handlers of its own in place of ours; afterwards ours are there again."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
