"""Everything to be known of a GPU in one call of less than nine minutes: kernels, engines, frames that stay.

    python -m benchmarks.gpu [--out FOLDER]

Each part runs in a process of its own under a time limit, so that a crash costs no more than that part; what
failed is listed last. The parts write their figures to ``gpu_*.json`` as they go. Without a GPU all parts run
on tiny pictures, to see that they run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

# Module below benchmarks.gpu, and the most seconds it may take.
PARTS = {"kernels": 130, "engines": 240, "resident": 160}


def run(part: str, limit_seconds: float, out: Path | None) -> str | None:
    """Run one part; return None, or what was wrong."""
    command = [sys.executable, "-m", f"benchmarks.gpu.{part}", *(["--out", str(out)] if out else [])]
    try:
        code = subprocess.run(command, timeout=limit_seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"took longer than {limit_seconds} s; the figures until then are written"
    return f"ended with code {code}; see above" if code else None


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for the figures")
    options = parser.parse_args()
    failures = []
    for part, limit_seconds in PARTS.items():
        started = time.monotonic()
        print(f"-- {part}", flush=True)
        if wrong := run(part, limit_seconds, options.out):
            failures.append(f"{part}: {wrong}")
        print(f"-- {part}: {time.monotonic() - started:.0f} s", flush=True)
    for failure in failures:
        print(f"FAILED {failure}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
