"""The building process: an order in, lines that say what it is doing out, the plan in the store."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

from streamfx.backends.tensorrt_build import BuildRequest
from streamfx.errors import BackendUnavailableError
from streamfx.media.paths import import_path

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "streamfx.backends.tensorrt_build_process")
STEP, FAILED = "streamfx step: ", "streamfx failed: "
"""What the lines of the process begin with that are meant for this one."""


class BuildingProcess:
    """Builds plans, each in a process of its own, one after the other. Safe to stop from another thread.

    Attributes:
        stopped: whether it was told to stop.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._running: subprocess.Popen[str] | None = None
        self.stopped = False

    def build(self, order: BuildRequest) -> None:
        """Return when the plan that was ordered is in the store; says in the log how far it is.

        Raises:
            BackendUnavailableError: it could not be built; says why.
        """
        what = f"engine {order.key.engine!r}, TensorRT plan for {order.key.sizes}"
        started = time.monotonic()
        with tempfile.TemporaryFile("w+") as said:
            process = self._start(order, said.fileno())
            assert process.stdout is not None
            failure = None
            for line in process.stdout:
                if line.startswith(STEP):
                    log.info(
                        "%s: %s, after %.0f s", what, line[len(STEP) :].strip(), time.monotonic() - started
                    )
                elif line.startswith(FAILED):
                    failure = line[len(FAILED) :].strip()
            code = process.wait()
            process.stdout.close()
            if code:
                said.seek(0)
                last = said.read().strip().rpartition("\n")[2]
                raise BackendUnavailableError(
                    failure or f"{what}: the process that builds it ended: {last or code}"
                )
        log.info("%s: built in %.0f s", what, time.monotonic() - started)

    def stop(self) -> None:
        """End the process that runs; there will be no others."""
        with self._lock:
            self.stopped = True
            if self._running is not None:
                self._running.terminate()

    def _start(self, order: BuildRequest, errors: int) -> subprocess.Popen[str]:
        with self._lock:
            if self.stopped:
                raise BackendUnavailableError("the run is over, so no plan is built")
            process = self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": import_path()},
            )
        assert process.stdin is not None
        try:
            with process.stdin as orders:
                orders.write(order.to_json())
        except BrokenPipeError:
            pass  # it ended at once; what it said tells why
        return process
