"""Reduce and fuse on a GPU: checked against their definitions, then timed, for several shapes of the kernels.

    python -m benchmarks.gpu.kernels [--out folder] [--rounds 30]

Needs no more than torch, Triton and NumPy. A launch from Python takes longer than the kernel, so launches
are captured in a CUDA graph, which is also how a pipeline would run them; they take turns on enough pictures
that the cache holds none from the turn before. ``share`` is the part of the time that the memory would need
for ``bytes`` alone: planes, heads, and the reduced planes where they are read or written. ``inked`` is for
networks that draw with ink and see fine luma: 11 heads, and 16 channels more that the reduction writes. What
fails is listed at the end and does not keep the rest from being measured.

Without a GPU the same is done on tiny pictures in Triton's interpreter, to keep it working; times mean
nothing then.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.material import KINDS, Material, material, planes_of, varied
from benchmarks.record import RESULTS, record
from streamfx.generate.ops.fuse.definition import fuse_reference
from streamfx.generate.ops.reduce.definition import fine_luma_reference, reduce_reference
from streamfx.generate.ops.surfaces import fuse_surface, reduce_surface
from streamfx.gpu.graph import recorded
from streamfx.hardware.nvidia import gpus
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Planes, Subsampling
from streamfx.media.surface import Surface

SIZES = {"720p": (720, 1280), "1080p": (1080, 1920), "4k": (2160, 3840)}
FACTORS = (2, 4)
Rows = list[dict[str, Any]]
LIMIT_PIXELS = 4.0
ROTATED_BYTES = 200 << 20  # of all pictures that take turns; more than any cache holds
LAUNCHES = 40  # in one graph
FUSE_TILES = (
    (4, 32, 4, 8), (4, 32, 4, 4), (4, 32, 4, 16), (2, 32, 2, 8), (8, 32, 8, 8), (2, 64, 4, 8), (1, 128, 4, 8),
    (4, 64, 4, 8),
)  # fmt: skip
REDUCE_TILES = ((4, 32, 4), (8, 32, 8), (2, 64, 4), (4, 64, 4), (8, 32, 4))


def fuse(one: Material, strength: Tensor, flag: Tensor, tile: Any = None) -> Surface:
    """Return the fused picture."""
    return fuse_surface(
        one.surface,
        one.heads,
        one.seen,
        code_range=CodeRange.LIMITED,
        chroma_location=ChromaLocation.LEFT,
        strength=strength,
        max_displacement_pixels=LIMIT_PIXELS,
        not_finite=flag,
        out=one.out,
        tile=tile,
    )


def defined(one: Material, depth: int, strength: float) -> Planes:
    """Return what the definition gives for the first picture, with the settings of `fuse`."""
    return fuse_reference(
        one.planes,
        one.heads[0].cpu().numpy(),
        None if one.seen is None else one.seen[0].float().cpu().numpy(),
        subsampling=Subsampling.YUV420,
        depth=depth,
        code_range=CodeRange.LIMITED,
        chroma_location=ChromaLocation.LEFT,
        strength=strength,
        max_displacement_pixels=LIMIT_PIXELS,
    )


def check(
    kind: str, size: tuple[int, int], small: tuple[int, int], device: str, *, inked: bool = False
) -> Rows:
    """Return how far fuse (codes) and reduce (parts of the highest code) are off; with ink, fuse is that of
    its heads, and reduce gives fine luma, too."""
    one = material(kind, size, small, 1, device, inked=inked)
    flag = torch.zeros(1, dtype=torch.int32, device=device)
    found = planes_of(fuse(one, torch.full((1,), 0.8, device=device), flag))
    expected = defined(one, KINDS[kind], 0.8)
    off = [np.abs(a.astype(int) - b.astype(int)) for a, b in zip(found, expected, strict=True)]
    left = ChromaLocation.LEFT
    reduced = reduce_surface(one.surface, small, chroma_location=left, fine=one.fine).cpu().numpy()[0]
    reference = reduce_reference(one.planes, Subsampling.YUV420, Colour(), small)
    if one.fine:
        fine = fine_luma_reference(one.planes[0], reference[0], one.fine)
        reference = np.concatenate([reference, fine])
    result: dict[str, Any] = {
        "check": kind,
        "size": size,
        "small": small,
        "inked": inked,
        "fuse_off_codes": max(int(plane.max()) for plane in off),
        "fuse_pixels_off": sum(int((plane > 0).sum()) for plane in off),
        "reduce_off": float(np.abs(reduced - reference).max()) / (1 << KINDS[kind]),
        "flag": int(flag),
    }
    if result["fuse_off_codes"] > 1 or result["reduce_off"] > 1e-5 or result["flag"]:
        raise AssertionError(f"not as defined: {result}")
    return [result]


def check_control(device: str, size: tuple[int, int]) -> Rows:
    """Return that strength can be changed within a captured graph, and that bad heads raise the flag."""
    one = material("nv12", size, (size[0] // 2, size[1] // 2), 1, device)
    strength, flag = torch.ones(1, device=device), torch.zeros(1, dtype=torch.int32, device=device)
    replay = captured([lambda: fuse(one, strength, flag)])
    strength.fill_(0)
    replay()
    pairs = zip(one.surface.planes, one.out.planes, strict=True)
    identity = all(torch.equal(source, target) for source, target in pairs)
    one.heads[0, 4, 1, 1] = torch.nan
    replay()
    if not identity or int(flag) != 1:
        raise AssertionError(f"strength 0 is the identity: {identity}; flag for a bad head: {int(flag)}")
    return [{"check": "strength and flag in a graph", "identity": identity, "flag": int(flag)}]


def captured(work: list[Callable[[], Any]]) -> Callable[[], None]:
    """Return what does the work again: a CUDA graph, or without a GPU the work itself."""

    def again() -> None:
        for one in work:
            one()

    if not torch.cuda.is_available():
        return again
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    return recorded(again, stream).replay


def microseconds(work: list[Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return how long one of the works takes, when they run one after the other."""
    replay = captured(work)
    replay()
    times = []
    for _ in range(rounds):
        if torch.cuda.is_available():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            begin.record()
            replay()
            end.record()
            end.synchronize()
            times.append(1e3 * begin.elapsed_time(end) / len(work))
        else:
            begin_seconds = time.perf_counter()
            replay()
            times.append(1e6 * (time.perf_counter() - begin_seconds) / len(work))
    return {"median_us": round(statistics.median(times), 2), "fastest_us": round(min(times), 2)}


def measure(
    kind: str,
    size: tuple[int, int],
    factor: int,
    tiles: tuple[Any, Any],
    rounds: int,
    device: str,
    *,
    inked: bool = False,
) -> Rows:
    """Return the times of fuse and reduce, with tiles as given; with ink as for `check`."""
    small = (size[0] // factor, size[1] // factor)
    first = material(kind, size, small, 0, device, inked=inked)
    pictures = max(2, ROTATED_BYTES // first.fused_bytes) if torch.cuda.is_available() else 1
    many = varied(first, min(pictures, LAUNCHES))
    launches = [many[at % len(many)] for at in range(LAUNCHES if torch.cuda.is_available() else 1)]
    strength, flag = torch.ones(1, device=device), torch.zeros(1, dtype=torch.int32, device=device)
    fuse_tile, reduce_tile = tiles
    bandwidth = next((gpu.bandwidth_bytes_per_second for gpu in gpus()), None)
    common = {"kind": kind, "size": size, "factor": factor, "inked": inked, "pictures": len(many)}

    def fuse_one(one: Material) -> None:
        fuse(one, strength, flag, fuse_tile)

    def reduce_one(one: Material) -> None:
        reduce_surface(
            one.surface,
            small,
            chroma_location=ChromaLocation.LEFT,
            fine=one.fine,
            out=one.reduced,
            tile=reduce_tile,
        )

    rows = []
    for step, do, tile, moved_bytes in (
        ("fuse", fuse_one, fuse_tile, first.fused_bytes),
        ("reduce", reduce_one, reduce_tile, first.reduced_bytes),
    ):
        taken = microseconds([partial(do, one) for one in launches], rounds)
        bound_us = 1e6 * moved_bytes / bandwidth if bandwidth else None
        share = round(bound_us / taken["median_us"], 3) if bound_us else None
        rows.append(
            {**common, "step": step, "tile": asdict(tile), **taken, "bytes": moved_bytes, "share": share}
        )
    return rows


def plan(rounds: int) -> list[Callable[[], Rows]]:
    """Return what is to be done, most important first."""
    from streamfx.generate.ops.fuse.triton import FuseTile
    from streamfx.generate.ops.reduce.triton import ReduceTile

    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    shipped = (FuseTile(), ReduceTile()) if on_gpu else (FuseTile(32, 64), ReduceTile(32, 64))
    small = (360, 640) if on_gpu else (16, 32)
    todo: list[Callable[[], Rows]] = []
    for kind, factor in product(KINDS, FACTORS if on_gpu else FACTORS[:1]):
        todo.append(partial(check, kind, small, (small[0] // factor, small[1] // factor), device))
    odd = ("nv12", (small[0] + 1, small[1] - 3), (7, 11), device)
    todo += [partial(check, *odd), partial(check, *odd, inked=True), partial(check_control, device, small)]
    if not on_gpu:
        return [
            *todo,
            *(
                partial(measure, "nv12", small, 2, shipped, rounds, device, inked=inked)
                for inked in (False, True)
            ),
        ]
    for kind, factor in product(KINDS, FACTORS):
        less = (small[0] // factor, small[1] // factor)
        todo.append(partial(check, kind, small, less, device, inked=True))
    for size, kind, factor in product(("1080p", "4k", "720p"), KINDS, FACTORS):
        todo.append(partial(measure, kind, SIZES[size], factor, shipped, rounds, device))
    for size, factor in product(("1080p", "4k"), FACTORS):
        todo.append(partial(measure, "nv12", SIZES[size], factor, shipped, rounds, device, inked=True))
    for factor, at in product(FACTORS, range(len(FUSE_TILES))):
        fuse_tile, reduce_tile = FUSE_TILES[at], REDUCE_TILES[at % len(REDUCE_TILES)]
        tiles = (FuseTile(*fuse_tile), ReduceTile(*reduce_tile))
        todo.append(partial(measure, "nv12", SIZES["1080p"], factor, tiles, rounds, device))
    return todo


def main() -> None:
    """Do what is planned, and write what came out after each part of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for gpu_kernels.json")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"  # before the kernels are imported
        options.rounds = 1
    rows: Rows = []
    failures: list[str] = []
    config = {"rounds": options.rounds, "launches": LAUNCHES, "rotated_bytes": ROTATED_BYTES}
    for number, part in enumerate(plan(options.rounds)):
        try:
            found = part()
        except Exception:  # whatever it is, the rest is to be measured
            failures.append(f"part {number}: {traceback.format_exc()}")
            continue
        for row in found:
            print(" ".join(f"{name}={value}" for name, value in row.items()), flush=True)
        rows += found
        record("gpu_kernels", rows, {**config, "failures": failures}, options.out)
    record("gpu_kernels", rows, {**config, "failures": failures}, options.out)
    for failure in failures:
        print(f"\nFAILED {failure}", flush=True)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
