"""Parts: programs that run one after the other, each under a limit, so that a crash costs one alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """A program, the module ``benchmarks.gpu.<name>``.

    Attributes:
        name: name of the module.
        limit_seconds: the most it may take; what it leaves, those after it may take.
        arguments: arguments besides ``--out``.
        vital: whether its failure is one of the whole; else it is only told.
    """

    name: str
    limit_seconds: float
    arguments: tuple[str, ...] = ()
    vital: bool = True

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", f"benchmarks.gpu.{self.name}", *self.arguments]


def run_all(parts: Sequence[Part], out: Path | None) -> int:
    """Run the parts, then say which failed; return the exit code."""
    failures, due = [], time.monotonic()
    for part in parts:
        started = time.monotonic()
        due += part.limit_seconds
        name = " ".join([part.name, *part.arguments])
        print(f"-- {name}", flush=True)
        if wrong := run(part, due - started, out):
            failures.append(f"{'FAILED' if part.vital else 'not available:'} {name}: {wrong}")
        print(f"-- {name}: {time.monotonic() - started:.0f} s", flush=True)
    print("\n".join(failures), end="\n" if failures else "", flush=True)
    return 1 if any(failure.startswith("FAILED") for failure in failures) else 0


def run(part: Part, limit_seconds: float, out: Path | None) -> str | None:
    """Run one part; return None, or what was wrong. Nothing that it started goes on after it."""
    command = [*part.command, *(["--out", str(out)] if out else [])]
    with subprocess.Popen(command, process_group=0) as process:
        try:
            code = process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            return f"took longer than {limit_seconds:.3g} s; the figures until then are written"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return f"ended with code {code}; see above" if code else None
