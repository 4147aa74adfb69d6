"""All that a machine with TensorRT and NVIDIA's video engines can show, in one call of about an hour.

    python -m benchmarks.gpu.full [--out FOLDER]

TensorRT through streamfx itself, every engine by every backend, frames that stay on the GPU and nothing in
CUDA's default stream, NVDEC against the processor, NVENC, whole runs and their memory, and memcheck over the
kernels. Parts, limits and files are as in ``python -m benchmarks.gpu``. What the machine lacks is named in
the rows as ``skipped``, with the reason; that is no failure. Without a GPU all parts run on tiny pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.gpu.parts import Part, run_all
from streamfx.backends.eager import EagerBackend
from streamfx.backends.inductor import InductorBackend
from streamfx.backends.tensorrt import TensorRtBackend
from streamfx.hardware.nvidia import gpus

PARTS = (
    Part("facts", 20),
    Part("plans", 300),
    Part("video", 120),
    Part("whole", 2400),
    Part("sanitize", 120),
)


def on_gpu() -> tuple[Part, ...]:
    """Return the parts that measure engines and frames by every backend that can run here."""
    known = (InductorBackend(), EagerBackend(), TensorRtBackend())
    names = [backend.name for backend in known if backend.availability() is None]
    backends = tuple(word for name in names for word in ("--backend", name))
    return Part("engines", 480, backends), Part("resident", 300, backends)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for the figures")
    out = parser.parse_args().out
    return run_all([*PARTS, *(on_gpu() if gpus() else ())], out)


if __name__ == "__main__":
    raise SystemExit(main())
