"""Cases: one is measured after the other, and what fails or is lacking does not keep the rest from it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.record import RESULTS, record

Measure: TypeAlias = Callable[[], Mapping[str, Any]]


class NotHereError(Exception):
    """A machine lacks what a case needs: no failure, but it is told."""


class Cases:
    """Measures case after case, and has all that is known on disk after each.

    Args:
        name: name of the file, ``<name>.json``.
        out: folder of it; None: that of published figures where there is a GPU, else nothing is written.
        config: settings with which they are measured.
        gpu: whether there is a GPU.
        around: measures a case, with more to say about it.

    Attributes:
        rows: measurements; a row with ``skipped`` says what was lacking.
        failures: name, error and place of each case that failed.
    """

    def __init__(
        self,
        name: str,
        out: Path | None,
        config: Mapping[str, Any],
        *,
        gpu: bool,
        around: Callable[[Measure], Mapping[str, Any]] = lambda measure: measure(),
    ) -> None:
        self._name, self._out, self._config = name, out or (RESULTS if gpu else None), dict(config)
        self._around = around
        self.rows: list[dict[str, Any]] = []
        self.failures: list[str] = []

    def attempt(self, case: str, measure: Measure) -> bool:
        """Measure one case; return whether there are figures of it."""
        print(f"{case} …", flush=True)  # a process that dies leaves at least this
        try:
            row = {"case": case, **self._around(measure)}
        except NotHereError as error:
            row = {"case": case, "skipped": str(error)}
        except Exception as error:
            self.failures.append(f"{case}: {type(error).__name__}: {error}\n{traceback.format_exc()}")
            print(f"{case}: failed: {error}", flush=True)
            self._write()
            return False
        self.rows.append(row)
        print(", ".join(f"{name}={value}" for name, value in row.items()), flush=True)
        self._write()
        return "skipped" not in row

    def end(self) -> int:
        """List what failed; return the exit code."""
        self._write()
        for failure in self.failures:
            print(f"FAILED {failure}", flush=True)
        return 1 if self.failures else 0

    def _write(self) -> None:
        if self._out is not None:
            record(self._name, self.rows, {**self._config, "failures": self.failures}, self._out)
