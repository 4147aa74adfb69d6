"""Every fault of a live source, one after the other: what the report says, and what is left behind.

    python -m benchmarks.faults [--seconds 8] [--scenario NAME] [--effect wave]

Each scenario runs over the test picture through ``streamfx.live``, into a file that is checked afterwards.
What must hold: every run ends in about the time it was given, every frame is accounted for, and neither
threads nor open files are left behind.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import streamfx
from benchmarks.options import option_parser
from benchmarks.record import record
from streamfx.capture.live.faults import SCENARIOS
from streamfx.errors import StageFailedError
from streamfx.run.report import Report

SOURCE = "test:bars?size=640x360&fps=30"
OPTIONS = {
    "loss": "share=0.1",
    "corrupt": "share=0.1",
    "slow": "opening=1&every=2&for=1",
    "storm": "every=0.5",
}
SETTLE_SECONDS = 10.0


def main() -> None:
    """Run, print and record; exit code 1 where something is left behind or not accounted for."""
    parser = option_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="time of each scenario")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="name of the only scenario to run")
    parser.add_argument("--effect", default="wave")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        # Once without a fault: libraries start threads of theirs, and keep files open, when first used.
        run(SOURCE + "&live=1&frames=30", options.effect, Path(folder) / "first.mp4", 5.0)
        for name in [options.scenario] if options.scenario else SCENARIOS:
            source = f"fault:{name}?{OPTIONS.get(name, '')}:{SOURCE}"
            rows.append({"scenario": name, **measured(source, options, Path(folder) / f"{name}.mp4")})
            print("\n  ".join(told(rows[-1])), flush=True)
    record("faults", rows, {"source": SOURCE, "seconds": options.seconds, "effect": options.effect})
    bad = [row["scenario"] for row in rows if row["left_behind"] or row["differences"]]
    if bad:
        raise SystemExit(f"something is left behind or not accounted for: {', '.join(bad)}")


def measured(source: str, options: Any, path: Path) -> dict[str, Any]:
    """Run one scenario; return what came of it and what it left behind."""
    threads, files = thread_names(), open_files()
    started = time.monotonic()
    report = run(source, options.effect, path, options.seconds)
    seconds = time.monotonic() - started
    settled = settle(threads)
    account = report.result.account
    return {
        "exit_code": report.exit_code,
        "seconds": round(seconds, 2),
        "frames_in": account.frames_in,
        "encoded": account.encoded,
        "repeated": account.repeated,
        "dropped": dict(account.dropped),
        "failed": dict(account.failed),
        "interruptions": [f"{each.seconds:.2f} s: {each.reason}" for each in report.interruptions],
        "differences": list(report.differences),
        "settle_seconds": round(settled, 2),
        "left_behind": sorted(thread_names() - threads) + sorted(open_files() - files),
        "threads": os_threads(),
        "open_files": len(open_files()),
    }


def run(source: str, effect: str, path: Path, seconds: float) -> Report:
    """Return the report of a live run, also of one that failed."""
    try:
        return streamfx.live(source, str(path), effects=[effect], seconds=seconds, preset="ultrafast")
    except StageFailedError as error:
        if not isinstance(error.report, Report):
            raise
        return error.report


def settle(before: set[str]) -> float:
    """Wait until no thread is left that was not there before; return how long that took, in seconds."""
    started = time.monotonic()
    while thread_names() - before and time.monotonic() - started < SETTLE_SECONDS:
        time.sleep(0.01)
    return time.monotonic() - started


def thread_names() -> set[str]:
    """Return the threads of Python, each with a number, since names are not unique."""
    return {f"thread {thread.name} {thread.ident}" for thread in threading.enumerate()}


def os_threads() -> int | None:
    """Return how many threads the process has, those of libraries included; None where it is not shown."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else None


def open_files() -> set[str]:
    """Return what this process has open, by descriptor and name."""
    found = set()
    for link in Path("/proc/self/fd").glob("*"):
        try:
            found.add(f"file {link.name} {os.readlink(link)}")
        except OSError:
            continue  # the one that lists the folder
    return found


def told(row: dict[str, Any]) -> list[str]:
    """Return a run in words, one line for each kind of fact."""
    frames = [f"{row['frames_in']} in", f"{row['encoded']} encoded", f"{row['repeated']} repeated"]
    frames += [f"{count} dropped ({cause})" for cause, count in row["dropped"].items()]
    frames += [f"{count} failed ({stage})" for stage, count in row["failed"].items()]
    left = ", ".join(row["left_behind"]) or "nothing"
    return [
        f"{row['scenario']}: exit code {row['exit_code']}, {row['seconds']:.1f} s, {', '.join(frames)}",
        f"away: {'; '.join(row['interruptions']) or 'never'}",
        *(f"not accounted for: {difference}" for difference in row["differences"]),
        f"left behind after {row['settle_seconds']:.1f} s: {left}; "
        f"{row['threads']} threads, {row['open_files']} open files",
    ]


if __name__ == "__main__":
    main()
