"""Every benchmark one after the other, then the tables:  python -m benchmarks [--quick]."""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks import report

QUICK = {
    "fused_step": ("--quick",),
    "generator": ("--rounds", "5"),
    "pipeline": ("--quick",),
    "effects": ("--quick",),
    "scaling": ("--quick",),
    "live": ("--quick",),
    "choice": ("--rounds", "3"),
}  # outages is not among them: it needs servers that are to be installed, and half an hour


def main() -> None:
    """Run each benchmark in a process of its own, so that none meets what another has loaded or started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smallest sizes, fewest rounds")
    quick = parser.parse_args().quick
    for name, arguments in QUICK.items():
        print(f"\n{name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *(arguments if quick else ())]
        subprocess.run(command, check=True)
    report.main()


if __name__ == "__main__":
    main()
