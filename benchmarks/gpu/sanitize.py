"""NVIDIA's memcheck over the kernels, on odd sizes: nothing may be read or written beside the planes.

    python -m benchmarks.gpu.sanitize [--out FOLDER]

The kernels run twice: by themselves, which compiles them, then under ``compute-sanitizer``, with memory that
torch takes from the driver for each tensor alone, so that one byte beside it is seen.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.cases import Cases, NotHereError
from benchmarks.gpu.kernels import check
from benchmarks.gpu.material import KINDS

ODD = ((35, 67), (9, 17))  # of the picture and of the small one
FOLDERS = ("/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer", "/opt/nvidia/compute-sanitizer")
NO_REUSE = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
FOUND = 9  # exit code for errors


def kernels() -> None:
    """Check reduce and fuse on odd sizes, with ink and fine luma and without."""
    for kind, inked in product(KINDS, (False, True)):
        print(check(kind, *ODD, "cuda", inked=inked)[0], flush=True)


def memcheck(tool: str | None, command: list[str], limit_seconds: float) -> dict[str, Any]:
    """Return what memcheck says of a program, which is that there are no errors.

    Raises:
        NotHereError: the tool is not installed, or cannot work on this machine.
        AssertionError: it found errors; says which.
    """
    if tool is None:
        raise NotHereError("compute-sanitizer, which comes with CUDA's toolkit, is not installed")
    environment = {**os.environ, **NO_REUSE}
    options = ["--tool", "memcheck", "--report-api-errors", "no", "--error-exitcode", str(FOUND)]
    plain = subprocess.run(command, env=environment, timeout=limit_seconds, check=False)
    if plain.returncode:
        raise RuntimeError(f"the kernels fail without memcheck already, with code {plain.returncode}")
    ran = subprocess.run(
        [tool, *options, *command],
        env=environment,
        timeout=limit_seconds,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = [line for line in ran.stdout.splitlines() if line.startswith("=========")]
    if ran.returncode == FOUND:
        raise AssertionError("memcheck found errors:\n" + "\n".join(said[:40]))
    if ran.returncode or not any("ERROR SUMMARY: 0 errors" in line for line in said):
        raise NotHereError(f"compute-sanitizer cannot work here: {ran.stdout[-600:]}")
    return {"errors": 0, "said": said[-1]}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for gpu_sanitize.json; without a GPU none")
    parser.add_argument("--kernels", action="store_true", help="run the kernels alone")
    options = parser.parse_args()
    if options.kernels:
        kernels()
        return 0
    gpu = torch.cuda.is_available()
    cases = Cases("gpu_sanitize", options.out, {"sizes": ODD}, gpu=gpu)
    tool = shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS]))
    command = [sys.executable, "-m", "benchmarks.gpu.sanitize", "--kernels"]

    def checked() -> dict[str, Any]:
        if not gpu:
            raise NotHereError("there is no GPU")
        return memcheck(tool, command, limit_seconds=240)

    cases.attempt("memcheck", checked)
    return cases.end()


if __name__ == "__main__":
    raise SystemExit(main())
