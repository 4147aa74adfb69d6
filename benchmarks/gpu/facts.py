"""What a machine with a GPU is: chip, driver, clocks, libraries and tools. Takes seconds.

    python -m benchmarks.gpu.facts [--out FOLDER]

Without a GPU the same is asked, and the answers are shorter.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import platform
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.cases import Cases, NotHereError
from streamfx.hardware.nvidia import gpus

SMI_FIELDS = (
    "name", "driver_version", "compute_cap", "pstate", "persistence_mode", "mig.mode.current",
    "ecc.mode.current", "clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem", "power.draw",
    "power.limit", "temperature.gpu", "memory.total", "memory.used", "utilization.gpu",
)  # fmt: skip
LIBRARIES = (
    "libcuda.so.1", "libnvidia-ml.so.1", "libnvcuvid.so.1", "libnvidia-encode.so.1", "libnvcuvid.so",
    "libnvidia-encode.so", "libnvinfer.so.10", "libnvinfer.so.11", "libtensorrt_rtx.so.1",
)  # fmt: skip
VIDEO_FILES = tuple(
    f"{folder}/lib{name}.so*"
    for folder in ("usr/local/nvidia/lib64", "usr/local/nvidia/lib", "usr/lib/x86_64-linux-gnu", "usr/lib64")
    for name in ("nvcuvid", "nvidia-encode")
)
TOOLS = ("nvidia-smi", "compute-sanitizer", "ncu", "nsys", "nvcc", "ffmpeg")
PACKAGES = (
    "torch", "triton", "torch-tensorrt", "torch-tensorrt-rtx", "tensorrt", "cupy-cuda12x", "cupy-cuda13x",
    "av", "PyNvVideoCodec", "opencv-python-headless", "opencv-contrib-python", "numpy", "numba", "pydantic",
    "safetensors",
)  # fmt: skip


def smi() -> dict[str, Any]:
    """Return what nvidia-smi says of each GPU; of fields it does not know, what it says about that."""
    if shutil.which("nvidia-smi") is None:
        raise NotHereError("nvidia-smi is not installed")
    every = _asked(",".join(SMI_FIELDS))
    if every.returncode == 0:
        lines = [[value.strip() for value in line.split(",")] for line in every.stdout.splitlines()]
        return {"gpus": [dict(zip(SMI_FIELDS, line, strict=True)) for line in lines]}
    single = {field: _asked(field) for field in SMI_FIELDS}  # one that is not known spoils them all
    return {"gpus": [{name: (one.stdout or one.stderr).strip() for name, one in single.items()}]}


def _asked(fields: str) -> subprocess.CompletedProcess[str]:
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)


def torch_sees() -> dict[str, Any]:
    """Return the versions torch was built with, and what it sees of the first GPU."""
    import torch

    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    said = {"torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": cudnn}
    if not torch.cuda.is_available():
        return said | {"gpu": None}
    facts = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info()
    return said | {
        "gpu": facts.name,
        "compute_capability": f"{facts.major}.{facts.minor}",
        "multiprocessors": facts.multi_processor_count,
        "l2_bytes": getattr(facts, "L2_cache_size", None),
        "memory_bytes": total,
        "free_bytes": free,
        "arch_list": torch.cuda.get_arch_list(),
    }


def libraries() -> dict[str, Any]:
    """Return which libraries load: True, or why not; and where the driver's video part lies."""
    files = sorted(str(path) for each in VIDEO_FILES for path in Path("/").glob(each))
    found: dict[str, Any] = {"video_files": files}
    for name in LIBRARIES:
        try:
            ctypes.CDLL(name)
            found[name] = True
        except OSError as error:
            found[name] = str(error)
    return found


def packages() -> dict[str, Any]:
    """Return the versions of those that are installed."""
    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for gpu_facts.json; without a GPU none")
    options = parser.parse_args()
    driver = [asdict(gpu) for gpu in gpus()]
    cases = Cases("gpu_facts", options.out, {}, gpu=bool(driver))
    cases.attempt("driver", lambda: {"gpus": driver})
    cases.attempt("libraries", libraries)
    cases.attempt("tools", lambda: {name: shutil.which(name) for name in TOOLS})
    cases.attempt("packages", packages)
    cases.attempt("torch", torch_sees)
    cases.attempt("nvidia-smi", smi)
    return cases.end()


if __name__ == "__main__":
    raise SystemExit(main())
