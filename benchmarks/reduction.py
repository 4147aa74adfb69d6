"""The reduction of a frame to what a network sees, beside the same with OpenCV and with torch, in one run.

    python -m benchmarks.reduction [--quick] [--rounds 50] [--threads 2]

8-bit 4:2:0 planes become three small planes of the same size. In favour of the others: OpenCV gives 8-bit
planes (streamfx float32), and neither it nor torch minds where chroma lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.options import kernel_options
from benchmarks.record import record
from benchmarks.turns import take_turns
from streamfx.generate.ops.reduce.definition import small_size
from streamfx.generate.ops.reduce.operation import reduce_planes
from streamfx.media.frame import Colour, Planes, Subsampling

SIZES = ((720, 1280), (1080, 1920), (2160, 3840))
FACTORS = (4, 2, 3, 8)
STRIDE = 4


def opencv(planes: Planes, small: tuple[int, int]) -> list[NDArray[Any]]:
    """Return the reduced planes as one would write it with OpenCV."""
    return [np.asarray(cv2.resize(plane, small[::-1], interpolation=cv2.INTER_AREA)) for plane in planes]


def eager(planes: list[Tensor], small: tuple[int, int]) -> list[Tensor]:
    """Return the reduced planes as one would write it with torch."""
    return [functional.interpolate(plane.float(), size=small, mode="area") for plane in planes]


def candidates(size: tuple[int, int], factor: float, threads: int) -> dict[str, Callable[[], Any]]:
    """Return all ways to reduce the same random planes, by name."""
    random = np.random.default_rng(0)
    chroma = Subsampling.YUV420.chroma_size(size)
    y, u, v = (random.integers(0, 256, shape).astype(np.uint8) for shape in (size, chroma, chroma))
    planes: Planes = (y, u, v)
    tensors = [torch.from_numpy(plane)[None, None] for plane in planes]
    small = small_size(size, factor, STRIDE)
    out = np.empty((3, *small), np.float32)
    ours = partial(reduce_planes, planes, Subsampling.YUV420, Colour(), small, out)
    return {
        "streamfx": partial(ours, threads=threads),
        "streamfx, 1 thread": partial(ours, threads=1),
        "OpenCV": partial(opencv, planes, small),
        "torch eager": partial(eager, tensors, small),
        "copy of the planes": lambda: [plane.copy() for plane in planes],
    }


def main() -> None:
    """Measure, print and record."""
    options = kernel_options(__doc__, quick="720p and factor 4 only", rounds=50)
    rows: list[dict[str, Any]] = []
    for size in SIZES[:1] if options.quick else SIZES:
        for factor in FACTORS[:1] if options.quick else FACTORS:
            print(f"{size[1]}x{size[0]}, factor {factor}, {options.threads} threads")
            for name, timing in take_turns(candidates(size, factor, options.threads), options.rounds).items():
                rows.append({"candidate": name, "size": list(size), "factor": factor, **asdict(timing)})
                print(
                    f"  {name:20} {timing.median_ms:8.3f} ms median {timing.fastest_ms:8.3f} fastest "
                    f"{timing.cpu_median_ms:8.3f} processor"
                )
    config = {
        "rounds": options.rounds,
        "threads": options.threads,
        "stride": STRIDE,
        "quick": options.quick,
    }
    print(f"written to {record('reduction', rows, config).name}")


if __name__ == "__main__":
    main()
