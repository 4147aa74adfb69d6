"""The GPU's kernels compiled for real GPUs, on a machine without one; prints what they take up as JSON.

    python -m tests.generate.ops.compiled_kernels 80 nv12_factor_2 reduce_nv12_factor_2 --later 86 89

Run by `test_gpu_kernels.py` in a process of its own. Launches go as far as the binary, with the arguments
they would have on a GPU: a stand-in tells Triton which GPU there is.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget

from streamfx.generate.ops import dispatch
from streamfx.generate.ops.fuse import triton as fuse_gpu
from streamfx.generate.ops.place import triton as place_triton
from streamfx.generate.ops.reduce import triton as reduce_triton
from streamfx.generate.ops.steady import triton as steady_triton
from streamfx.generate.ops.steady.operation import PastOnDevice
from streamfx.generate.ops.surfaces import fuse_surface, place_surface, reduce_surface
from streamfx.media.frame import ChromaLocation, CodeRange, Subsampling
from streamfx.media.surface import Surface

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
        self.kernel = kernel
        self.binaries: list[Any] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*arguments: Any, **options: Any) -> None:
            self.binaries.append(self.kernel.warmup(*arguments, grid=grid, **options))

        return launch


def stand_in(module: ModuleType, name: str) -> Compiled:
    """Return what takes the place of a module's kernel from now on."""
    kernel = getattr(module, name)
    compiled = Compiled(kernel.kernel if isinstance(kernel, Compiled) else kernel)
    setattr(module, name, compiled)
    return compiled


def surface(kind: str, size: tuple[int, int] = SIZE) -> Surface:
    """Return a surface: nv12, i420 or p010."""
    dtype = torch.uint16 if kind == "p010" else torch.uint8
    luma, chroma_size = torch.zeros(1, *size, dtype=dtype), Subsampling.YUV420.chroma_size(size)
    if kind == "i420":
        u, v = (torch.zeros(1, *chroma_size, dtype=dtype) for _ in range(2))
        return Surface((luma, u, v))
    uv = torch.zeros(1, *chroma_size, 2, dtype=dtype)
    return Surface((luma, uv), depth=10, high=True) if kind == "p010" else Surface((luma, uv))


def fuse(kind: str, small_width: int, channels: int = 6, size: tuple[int, int] = SIZE) -> Any:
    """Return the binary of the fused step for heads in half precision."""
    kernel = stand_in(fuse_gpu, "fuse_kernel")
    heads = torch.zeros(1, channels, -(-size[0] // 4), small_width, dtype=torch.float16)
    fuse_surface(
        surface(kind, size),
        heads,
        heads[:, :3].contiguous() if channels > 6 else None,
        code_range=CodeRange.LIMITED,
        chroma_location=ChromaLocation.LEFT,
        strength=torch.ones(1),
        max_displacement_pixels=4.0,
        not_finite=torch.zeros(1, dtype=torch.int32),
    )
    return kernel.binaries[0]


def reduce(kind: str, factor: int, fine: int = 0) -> Any:
    """Return the binary of the reduction, to half precision with fine luma."""
    kernel = stand_in(reduce_triton, "reduce_kernel")
    small = (SIZE[0] // factor, SIZE[1] // factor)
    out = torch.empty(1, 3 + fine**2, *small, dtype=torch.float16 if fine else torch.float32)
    reduce_surface(surface(kind), small, chroma_location=ChromaLocation.LEFT, fine=fine, out=out)
    return kernel.binaries[0]


def place(kind: str) -> Any:
    """Return the binary that puts a picture of half precision in the place of the frame's."""
    kernel = stand_in(place_triton, "place_kernel")
    small = torch.zeros(3, 1, SIZE[0] // 2, SIZE[1] // 2, dtype=torch.float16)
    place_surface(
        surface(kind),
        (small[0], small[1], small[2]),
        code_range=CodeRange.LIMITED,
        shift=(0.0, -0.25),
        strength=torch.ones(1),
        not_finite=torch.zeros(1, dtype=torch.int32),
    )
    return kernel.binaries[0]


def steady(kernel: str) -> Any:
    """Return the binary of one of the two kernels that average heads of half precision."""
    kernels = {name: stand_in(steady_triton, name) for name in ("agree_kernel", "average_kernel")}
    heads = torch.zeros(1, 11, SIZE[0] // 4, SIZE[1] // 4, dtype=torch.float16)
    past = PastOnDevice(heads)
    by_processor, dispatch.by_processor = dispatch.by_processor, lambda pixels: False
    try:
        past.steady(heads, heads[:, :3], 9.0)
    finally:
        dispatch.by_processor = by_processor
    return kernels[kernel].binaries[0]


BUILDS: dict[str, Callable[[], Any]] = {
    "nv12_factor_1": lambda: fuse("nv12", SIZE[1]),
    "nv12_factor_2": lambda: fuse("nv12", SIZE[1] // 2),
    "nv12_factor_4": lambda: fuse("nv12", SIZE[1] // 4),
    "nv12_factor_8": lambda: fuse("nv12", SIZE[1] // 8),
    "nv12_no_whole_factor": lambda: fuse("nv12", SIZE[1] // 3),
    "nv12_one_pixel": lambda: fuse("nv12", 1, size=(1, 1)),
    "nv12_detailed_factor_4": lambda: fuse("nv12", SIZE[1] // 4, channels=7),
    "nv12_inked_factor_1": lambda: fuse("nv12", SIZE[1], channels=11),
    "nv12_inked_factor_2": lambda: fuse("nv12", SIZE[1] // 2, channels=11),
    "nv12_inked_factor_4": lambda: fuse("nv12", SIZE[1] // 4, channels=11),
    "nv12_inked_factor_8": lambda: fuse("nv12", SIZE[1] // 8, channels=11),
    "nv12_inked_no_whole_factor": lambda: fuse("nv12", SIZE[1] // 3, channels=11),
    "i420_inked_factor_4": lambda: fuse("i420", SIZE[1] // 4, channels=11),
    "p010_inked_factor_4": lambda: fuse("p010", SIZE[1] // 4, channels=11),
    "i420_factor_4": lambda: fuse("i420", SIZE[1] // 4),
    "p010_factor_4": lambda: fuse("p010", SIZE[1] // 4),
    "place_nv12": lambda: place("nv12"),
    "place_i420": lambda: place("i420"),
    "reduce_nv12_factor_2": lambda: reduce("nv12", 2),
    "reduce_nv12_factor_4": lambda: reduce("nv12", 4),
    "reduce_p010_factor_8": lambda: reduce("p010", 8),
    "fine_nv12_factor_1": lambda: reduce("nv12", 1, 4),
    "fine_nv12_factor_2": lambda: reduce("nv12", 2, 4),
    "fine_nv12_factor_4": lambda: reduce("nv12", 4, 4),
    "fine_p010_factor_8": lambda: reduce("p010", 8, 4),
    "agree": lambda: steady("agree_kernel"),
    "average": lambda: steady("average_kernel"),
}


def describe(cubin: Path) -> dict[str, int]:
    """Return registers, and bytes of local and of shared memory."""
    command = [str(TOOLS / "cuobjdump"), "-res-usage", str(cubin)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = dict(re.findall(r"(REG|STACK|SHARED|LOCAL):(\d+)", listed))
    return {
        "registers": int(used["REG"]),
        "stack_bytes": int(used["STACK"]),
        "local_bytes": int(used["LOCAL"]),
        "shared_bytes": int(used["SHARED"]),
    }


def assembled(ptx: str, architecture: int, folder: Path) -> Path:
    """Return the binary that the code for one architecture becomes for a later one."""
    source, cubin = folder / "kernel.ptx", folder / f"{architecture}.cubin"
    source.write_text(ptx, encoding="utf-8")
    ptxas = TOOLS / ("ptxas-blackwell" if architecture >= 100 else "ptxas")
    subprocess.run([ptxas, f"-arch=sm_{architecture}", source, "-o", cubin], check=True)
    return cubin


def results(name: str, architecture: int, later: list[int]) -> list[dict[str, Any]]:
    """Return what a build takes up on an architecture, and what its code takes up on later ones."""
    binary = BUILDS[name]()
    assert binary.metadata.target.arch == architecture
    ptx = binary.asm["ptx"]
    loads, stores = (len(re.findall(rf"\b{word}\.global", ptx)) for word in ("ld", "st"))
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        own = folder / f"{architecture}.cubin"
        own.write_bytes(binary.asm["cubin"])
        cubins = [own, *(assembled(ptx, number, folder) for number in later)]
        return [
            {"build": name, "architecture": int(cubin.stem), "loads": loads, "stores": stores}
            | describe(cubin)
            for cubin in cubins
        ]


def main() -> None:
    """Print a line of JSON for each build and architecture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architecture", type=int, help="compute capability times ten")
    parser.add_argument("builds", nargs="*", help="all if none is named")
    parser.add_argument("--later", type=int, nargs="*", default=[], help="assemble the code for these too")
    options = parser.parse_args()
    triton.runtime.driver.set_active(Target(options.architecture))
    for name in options.builds or BUILDS:
        for result in results(name, options.architecture, options.later):
            sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
