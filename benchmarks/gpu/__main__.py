"""Everything to be known of a GPU in one call of less than nine minutes: kernels, engines, frames that stay.

    python -m benchmarks.gpu [--out FOLDER] [--kit FOLDER]

Each part runs in a process of its own under a time limit, so that a crash costs no more than that part; what
one leaves of its time, those after it may take. What failed is listed last. The parts write their figures to
``gpu_*.json`` as they go. Without a GPU all parts run on tiny pictures, to see that they run.
``python -m benchmarks.gpu.full`` is for machines with TensorRT and NVIDIA's video engines.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.gpu.parts import Part, run_all

KIT = Path(__file__).parents[2] / ".gpu_kit"


def parts(kit: Path) -> tuple[Part, ...]:
    """Return what is measured, one after the other."""
    return (
        Part("facts", 15),
        Part("kernels", 90),
        Part("peers", 60),
        # Whether it runs on a given GPU at all is the question, so that it does not is no failure.
        Part("tensorrt_rtx", 80, ("--kit", str(kit)), vital=False),
        Part("engines", 160),
        Part("resident", 105),
        Part("sanitize", 30),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for the figures")
    parser.add_argument(
        "--kit", type=Path, default=KIT, help="kit of tensorrt_rtx, as benchmarks.gpu.pack packs it"
    )
    options = parser.parse_args()
    return run_all(parts(options.kit), options.out)


if __name__ == "__main__":
    raise SystemExit(main())
