"""The GPU's kernels compiled for real GPUs, on a machine without one; prints what they take up as JSON.

    python -m tests.generate.compiled_kernels 90 nv12_factor_2 reduce_nv12_factor_2

Run by `test_gpu_kernels.py` in a process of its own. Launches go as far as the binary, with the arguments
they would have on a GPU: a stand-in tells Triton which GPU there is.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget

from streamfx.frame import ChromaLocation, CodeRange
from streamfx.generate import fuse_gpu, reduce_triton
from streamfx.generate.surface import Surface, fuse_surface, reduce_surface

SIZE = (64, 128)
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


class Target:
    """What Triton asks the driver of a GPU, answered for one that is not here."""

    def __init__(self, compute_capability: int) -> None:
        self._target = GPUTarget("cuda", compute_capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self._target

    def get_current_device(self) -> int:
        return int(self._target.arch)

    def get_current_stream(self, device: int) -> int:
        return 0


class Compiled:
    """A kernel that is compiled where it would be launched."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self.binaries: list[Any] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*arguments: Any, **options: Any) -> None:
            self.binaries.append(self._kernel.warmup(*arguments, grid=grid, **options))

        return launch


def surface(kind: str) -> Surface:
    """Return a surface: nv12, i420 or p010."""
    dtype = torch.uint16 if kind == "p010" else torch.uint8
    height, width = SIZE
    luma = torch.zeros(1, height, width, dtype=dtype)
    if kind == "i420":
        u, v = (torch.zeros(1, height // 2, width // 2, dtype=dtype) for _ in range(2))
        return Surface((luma, u, v))
    uv = torch.zeros(1, height // 2, width // 2, 2, dtype=dtype)
    return Surface((luma, uv), depth=10, high=True) if kind == "p010" else Surface((luma, uv))


def fuse(kind: str, small_width: int, channels: int = 6) -> Any:
    """Return the binary of the fused step for heads in half precision."""
    kernel = Compiled(fuse_gpu.fuse_kernel)
    fuse_gpu.fuse_kernel = kernel
    heads = torch.zeros(1, channels, SIZE[0] // 4, small_width, dtype=torch.float16)
    fuse_surface(
        surface(kind),
        heads,
        heads[:, :3].contiguous() if channels > 6 else None,
        code_range=CodeRange.LIMITED,
        chroma_location=ChromaLocation.LEFT,
        strength=torch.ones(1),
        max_displacement_pixels=4.0,
        not_finite=torch.zeros(1, dtype=torch.int32),
    )
    return kernel.binaries[0]


def reduce(kind: str, factor: int) -> Any:
    """Return the binary of the reduction."""
    kernel = Compiled(reduce_triton.reduce_kernel)
    reduce_triton.reduce_kernel = kernel
    reduce_surface(surface(kind), (SIZE[0] // factor, SIZE[1] // factor), chroma_location=ChromaLocation.LEFT)
    return kernel.binaries[0]


BUILDS: dict[str, Callable[[], Any]] = {
    "nv12_factor_1": lambda: fuse("nv12", SIZE[1]),
    "nv12_factor_2": lambda: fuse("nv12", SIZE[1] // 2),
    "nv12_factor_4": lambda: fuse("nv12", SIZE[1] // 4),
    "nv12_factor_8": lambda: fuse("nv12", SIZE[1] // 8),
    "nv12_no_whole_factor": lambda: fuse("nv12", SIZE[1] // 3),
    "nv12_detailed_factor_4": lambda: fuse("nv12", SIZE[1] // 4, channels=7),
    "i420_factor_4": lambda: fuse("i420", SIZE[1] // 4),
    "p010_factor_4": lambda: fuse("p010", SIZE[1] // 4),
    "reduce_nv12_factor_2": lambda: reduce("nv12", 2),
    "reduce_nv12_factor_4": lambda: reduce("nv12", 4),
    "reduce_p010_factor_8": lambda: reduce("p010", 8),
}


def describe(binary: Any) -> dict[str, Any]:
    """Return registers, bytes of local and of shared memory, and how many loads there are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(binary.asm["cubin"])
        listed = subprocess.run(
            [TOOLS / "cuobjdump", "-res-usage", path], capture_output=True, text=True, check=True
        )
    used = dict(re.findall(r"(REG|STACK|SHARED|LOCAL):(\d+)", listed.stdout))
    return {
        "registers": int(used["REG"]),
        "stack_bytes": int(used["STACK"]),
        "local_bytes": int(used["LOCAL"]),
        "shared_bytes": int(used["SHARED"]),
        "loads": len(re.findall(r"\bld\.global", binary.asm["ptx"])),
        "stores": len(re.findall(r"\bst\.global", binary.asm["ptx"])),
        "architecture": binary.metadata.target.arch,
    }


def main() -> None:
    """Print a line of JSON for each build; ``python -m … compute_capability build…``."""
    triton.runtime.driver.set_active(Target(int(sys.argv[1])))
    for name in sys.argv[2:] or BUILDS:
        fuse_gpu.fuse_kernel = FUSE
        reduce_triton.reduce_kernel = REDUCE
        sys.stdout.write(json.dumps({"build": name, **describe(BUILDS[name]())}) + "\n")
        sys.stdout.flush()


FUSE, REDUCE = fuse_gpu.fuse_kernel, reduce_triton.reduce_kernel

if __name__ == "__main__":
    main()
