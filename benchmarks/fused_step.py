"""The fused full-size step beside the same step written with OpenCV and with torch, in one run.

    python -m benchmarks.fused_step [--quick] [--rounds 25] [--threads 2]

All work on the same 8-bit picture and the same heads at a quarter of its size, without detail gain, which the
others do not have; what it costs is shown beside. In favour of the others: planes or RGB are ready in the
layout they like best; OpenCV clamps the heads before enlarging them and takes an 8-bit translated picture;
neither it nor torch minds where chroma lies. ``error`` is the mean difference of luma from the float64
definition, in codes (RGB: three times luma): nothing is fast because it is wrong.

Heads come in three kinds: ``trained``, as a style network gives them: smooth, mask mostly 0.5 to 1, and
displacements of a few small pixels; ``noise``, the worst case for memory; ``opaque``, with a mask of 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
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
from streamfx.generate.ops.fuse.definition import fuse_reference
from streamfx.generate.ops.fuse.operation import fuse
from streamfx.media.frame import ChromaLocation, CodeRange, Planes, Subsampling

Array = NDArray[Any]
Bytes = NDArray[np.uint8]

SIZES = ((720, 1280), (1080, 1920), (2160, 3840))
FACTOR = 4
LIMIT_PIXELS = 4.0
SETTINGS: dict[str, Any] = {
    "subsampling": Subsampling.YUV420,
    "depth": 8,
    "code_range": CodeRange.LIMITED,
    "chroma_location": ChromaLocation.LEFT,
    "strength": 1.0,
    "max_displacement_pixels": LIMIT_PIXELS,
}


@dataclass(frozen=True)
class Material:
    """What is fused: the planes, the heads (6, h, w), and the picture as RGB with the same heads."""

    planes: Planes
    heads: Array
    rgb: Bytes


def smooth(shape: tuple[int, int], blur_pixels: float, random: np.random.Generator) -> Array:
    """Return a random field of deviation 1 that varies over ``blur_pixels``."""
    field = cv2.GaussianBlur(random.normal(size=shape).astype(np.float32), (0, 0), blur_pixels)
    return np.asarray(field / field.std())


def material(size: tuple[int, int], kind: str) -> Material:
    """Return a picture of texture and edges, and heads of a kind."""
    random = np.random.default_rng(0)
    height, width = size
    small = (height // FACTOR, width // FACTOR)
    luma = np.clip(128 + 50 * smooth(size, 3, random) + 5 * random.normal(size=size), 0, 255).astype(np.uint8)
    half = (height // 2, width // 2)
    u, v = (np.clip(128 + 30 * smooth(half, 8, random), 0, 255).astype(np.uint8) for _ in range(2))
    heads = np.stack(
        [128 + 50 * smooth(small, 3, random) for _ in range(3)]
        + [0.75 + 0.2 * smooth(small, 6, random)]
        + [1.5 * smooth(small, 10, random) for _ in range(2)]
    )
    if kind == "noise":
        heads[3] = random.uniform(0, 1, small)
        heads[4:] = random.normal(0, 2, (2, *small))
    if kind == "opaque":
        heads[3] = 1
    rgb = np.stack([luma] * 3, axis=2)
    return Material((luma, u, v), heads.astype(np.float32), rgb)


def opencv_field(heads: Array, size: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Return mask and maps for `cv2.remap` at full size."""
    height, width = size
    mask = cv2.resize(np.clip(heads[3], 0, 1), (width, height))
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moves = np.clip(heads[4:6], -LIMIT_PIXELS, LIMIT_PIXELS)
    map_x = cv2.scaleAdd(cv2.resize(moves[0], (width, height)), width / heads.shape[2], columns)
    map_y = cv2.scaleAdd(cv2.resize(moves[1], (width, height)), height / heads.shape[1], rows)
    return mask, map_x, map_y


def opencv_blend(source: Array, translated: Array, field: tuple[Array, Array, Array]) -> Array:
    """Return ``source`` (one channel or three) warped and blended with the small translated picture."""
    mask, map_x, map_y = field
    warped = cv2.remap(source, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    enlarged = cv2.resize(translated, (source.shape[1], source.shape[0]))
    return np.asarray(cv2.blendLinear(enlarged, warped, mask, 1 - mask))


def opencv_planes(planes: Planes, heads: Array) -> list[Array]:
    """Return the fused planes as one would write it with OpenCV."""
    translated = np.clip(heads[:3] + 0.5, 16, 235).astype(np.uint8)
    luma = opencv_field(heads, planes[0].shape)
    chroma = opencv_field(heads, planes[1].shape)
    fields = (luma, chroma, chroma)
    return [opencv_blend(*arguments) for arguments in zip(planes, translated, fields, strict=True)]


def opencv_rgb(rgb: Bytes, heads: Array) -> Array:
    """Return the fused RGB picture as one would write it with OpenCV."""
    translated = np.ascontiguousarray(np.clip(heads[:3] + 0.5, 16, 235).astype(np.uint8).transpose(1, 2, 0))
    return opencv_blend(rgb, translated, opencv_field(heads, rgb.shape[:2]))


def torch_fuse(source_BCHW: Tensor, translated_BChw: Tensor, heads_B3hw: Tensor) -> Tensor:
    """Return uint8 channels fused as one would write it with torch; heads: mask, displacement x and y."""
    height, width = source_BCHW.shape[-2:]
    up = partial(functional.interpolate, size=(height, width), mode="bilinear", align_corners=False)
    heads_B3HW = up(heads_B3hw)
    mask_B1HW = heads_B3HW[:, :1].clamp(0, 1)
    move_B2HW = heads_B3HW[:, 1:].clamp(-LIMIT_PIXELS, LIMIT_PIXELS) * (width / heads_B3hw.shape[3])
    x_W, y_H = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    grid_x = (x_W + move_B2HW[:, 0]) * (2 / width) - 1
    grid_y = (y_H[:, None] + move_B2HW[:, 1]) * (2 / height) - 1
    warped_BCHW = functional.grid_sample(
        source_BCHW.float(),
        torch.stack([grid_x, grid_y], -1),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    out_BCHW = torch.lerp(warped_BCHW, up(translated_BChw).clamp(16, 235), mask_B1HW)
    return (out_BCHW.clamp(0, 255) + 0.5).to(torch.uint8)


def torch_planes(run: Callable[..., Tensor], planes: list[Tensor], heads: Tensor) -> list[Tensor]:
    """Return the fused luma, and U and V together."""
    return [run(planes[0], heads[:, :1], heads[:, 3:]), run(planes[1], heads[:, 1:3], heads[:, 3:])]


def candidates(given: Material, threads: int) -> dict[str, Callable[[], Any]]:
    """Return all ways to do the step, by name; each returns its picture, luma or RGB first."""
    planes, heads, rgb = given.planes, given.heads, given.rgb
    heads_1 = torch.from_numpy(heads)[None]
    luma_1 = torch.from_numpy(planes[0])[None, None]
    chroma_1 = torch.from_numpy(np.stack(planes[1:]))[None]
    rgb_1 = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None]
    out = (np.empty_like(planes[0]), np.empty_like(planes[1]), np.empty_like(planes[2]))
    with_gain = np.concatenate([heads, np.full_like(heads[:1], 0.5)])
    torch.compiler.reset()  # else sizes add up, and beyond a few torch falls back to eager
    compiled = torch.compile(torch_fuse, dynamic=False)
    return {
        "streamfx": partial(fuse, planes, heads, None, out=out, threads=threads, **SETTINGS),
        "streamfx, 1 thread": partial(fuse, planes, heads, None, out=out, threads=1, **SETTINGS),
        "streamfx, with detail": partial(
            fuse, planes, with_gain, heads[:3], out=out, threads=threads, **SETTINGS
        ),
        "OpenCV, planes": partial(opencv_planes, planes, heads),
        "OpenCV, RGB": lambda: [opencv_rgb(rgb, heads)],
        "torch eager, planes": partial(torch_planes, torch_fuse, [luma_1, chroma_1], heads_1),
        "torch eager, RGB": lambda: [torch_fuse(rgb_1, heads_1[:, :3], heads_1[:, 3:])],
        "torch.compile, planes": partial(torch_planes, compiled, [luma_1, chroma_1], heads_1),
        "torch.compile, RGB": lambda: [compiled(rgb_1, heads_1[:, :3], heads_1[:, 3:])],
    }


def error_codes(name: str, found: Any, expected_luma: Array) -> float:
    """Return the mean difference of luma from the definition in codes; of RGB, that of its first channel."""
    picture = np.squeeze(np.asarray(found[0])).astype(int)
    if "RGB" in name:
        picture = picture[..., 0] if picture.shape[-1] == 3 else picture[0]
    return round(float(np.abs(picture - expected_luma.astype(int)).mean()), 4)


def measure(size: tuple[int, int], kind: str, rounds: int, threads: int) -> list[dict[str, Any]]:
    """Return a row for each candidate."""
    given = material(size, kind)
    ways = candidates(given, threads)
    expected = fuse_reference(given.planes, given.heads, None, **SETTINGS)[0]
    errors = {name: error_codes(name, way(), expected) for name, way in ways.items() if "detail" not in name}
    timings = take_turns(ways, rounds)
    return [
        {
            "candidate": name,
            "size": list(size),
            "heads": kind,
            **asdict(timing),
            "error_codes": errors.get(name),
        }
        for name, timing in timings.items()
    ]


def main() -> None:
    """Measure, print and record."""
    options = kernel_options(__doc__, quick="1080p with trained heads only", rounds=25)
    cases = [(SIZES[1], "trained")]
    if not options.quick:
        cases += [(SIZES[0], "trained"), (SIZES[2], "trained"), (SIZES[1], "noise"), (SIZES[1], "opaque")]
    rows = []
    for size, kind in cases:
        found = measure(size, kind, options.rounds, options.threads)
        rows += found
        print(f"{size[1]}x{size[0]}, {kind} heads at a quarter, {options.threads} threads")
        for row in found:
            ratio = row["median_ms"] / found[0]["median_ms"]
            print(
                f"  {row['candidate']:24} {row['median_ms']:9.2f} ms median ({ratio:5.1f} x) "
                f"{row['fastest_ms']:9.2f} fastest {row['cpu_median_ms']:9.2f} processor   "
                f"error {row['error_codes']} codes"
            )
    config = {"rounds": options.rounds, "threads": options.threads, "factor": FACTOR, "quick": options.quick}
    print(f"written to {record('fused_step', rows, config).name}")


if __name__ == "__main__":
    main()
