"""The fused step beside the same step written with other libraries, on the same GPU and in the same run.

    python -m benchmarks.gpu.peers [--out FOLDER] [--rounds 30]

All take the same NV12 pictures and heads, give NV12, and are held against the same definition: ``agrees``
says whether every code is within one of it. They take turns, round by round, on enough pictures that the
cache holds none from the turn before. What can be recorded as a CUDA graph is, so that nothing waits for
Python. In favour of the others: positions that are the same for every picture are computed beforehand.

``torch float16`` keeps positions in float32: half precision does not tell neighbouring pixels of 4K apart.
A library that is not installed is listed, with what is missing. Without a GPU one tiny picture is done.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.gpu.cases import Cases, NotHereError
from benchmarks.gpu.kernels import (
    LIMIT_PIXELS,
    ROTATED_BYTES,
    SIZES,
    Material,
    captured,
    fuse,
    material,
    planes_of,
)
from streamfx.frame import ChromaLocation, CodeRange, Subsampling
from streamfx.generate.colour import chroma_shift, legal_codes
from streamfx.generate.fuse import fuse_reference

Array: TypeAlias = np.ndarray[Any, Any]
FuseOne: TypeAlias = Callable[[Material], object]
LAUNCHES = 20  # in one graph
SETTINGS: dict[str, Any] = {
    "subsampling": Subsampling.YUV420,
    "depth": 8,
    "code_range": CodeRange.LIMITED,
    "chroma_location": ChromaLocation.LEFT,
    "strength": 1.0,
    "max_displacement_pixels": LIMIT_PIXELS,
}


@dataclass(frozen=True)
class Lattice:
    """Where the samples of a plane lie in the small picture.

    Attributes:
        size: (H, W) of the plane.
        small: (h, w) of the small picture.
        shift: of the samples, (y, x), in samples.
        legal: lowest and highest code.
    """

    size: tuple[int, int]
    small: tuple[int, int]
    shift: tuple[float, float]
    legal: tuple[int, int]

    @property
    def small_yx(self) -> tuple[Array, Array]:
        """Rows and columns in the small picture, in its pixels."""
        y, x = (
            (np.arange(side) + 0.5 + shift) * small / side - 0.5
            for side, small, shift in zip(self.size, self.small, self.shift, strict=True)
        )
        return y, x


def lattices(size: tuple[int, int], small: tuple[int, int]) -> tuple[Lattice, Lattice]:
    """Return where luma and chroma lie."""
    luma, chroma = legal_codes(8, CodeRange.LIMITED)
    shift = chroma_shift(Subsampling.YUV420, ChromaLocation.LEFT)
    half = Subsampling.YUV420.chroma_size(size)
    return Lattice(size, small, (0.0, 0.0), luma), Lattice(half, small, shift, chroma)


class TorchPlane:
    """One plane fused as one would write it with torch.

    Args:
        lattice: where its samples lie.
        device: of all tensors.
        dtype: of heads and blend.
    """

    def __init__(self, lattice: Lattice, device: str, dtype: torch.dtype) -> None:
        (height, width), (small_height, small_width) = lattice.size, lattice.small
        self._lattice, self._dtype = lattice, dtype
        y, x = torch.arange(height) + 0.5, torch.arange(width) + 0.5
        self._base_HW2 = _grid(y * 2 / height - 1, x * 2 / width - 1).to(device)
        self._scale_2 = torch.tensor([2 / small_width, 2 / small_height]).to(device)
        small_y, small_x = (torch.from_numpy(each + 0.5) for each in lattice.small_yx)
        up = _grid(small_y * 2 / small_height - 1, small_x * 2 / small_width - 1)
        self._up_1HW2 = up.float()[None].to(device) if any(lattice.shift) else None

    def __call__(self, source_1CHW: Tensor, translated_1Chw: Tensor, field_13hw: Tensor) -> Tensor:
        """Return the codes (1, C, H, W); the field is mask, displacement x and y."""
        heads_1NHW = self._enlarged(torch.cat([field_13hw, translated_1Chw], 1))
        mask_11HW = heads_1NHW[:, :1].clamp(0, 1)
        move_1HW2 = heads_1NHW[:, 1:3].clamp(-LIMIT_PIXELS, LIMIT_PIXELS).permute(0, 2, 3, 1).float()
        warped_1CHW = functional.grid_sample(
            source_1CHW.float(),
            torch.addcmul(self._base_HW2, move_1HW2, self._scale_2),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        translated_1CHW = heads_1NHW[:, 3:].clamp(*self._lattice.legal)
        out_1CHW = torch.lerp(warped_1CHW.to(self._dtype), translated_1CHW, mask_11HW)
        return (out_1CHW.clamp(0, 255) + 0.5).to(torch.uint8)

    def _enlarged(self, heads_1Nhw: Tensor) -> Tensor:
        if self._up_1HW2 is None:
            heads = heads_1Nhw.to(self._dtype)
            return functional.interpolate(heads, self._lattice.size, mode="bilinear", align_corners=False)
        enlarged = functional.grid_sample(
            heads_1Nhw.float(), self._up_1HW2, mode="bilinear", padding_mode="border", align_corners=False
        )
        return enlarged.to(self._dtype)


def _grid(y: Tensor, x: Tensor) -> Tensor:
    """Return (H, W, 2), x first, as `grid_sample` wants it."""
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows], -1).float().contiguous()


def by_torch(one: Material, dtype: torch.dtype, *, compiled: bool = False) -> FuseOne:
    """Return what fuses a picture with torch into its ``out``."""
    size, small, device = one.surface.size, one.heads.shape[2:], str(one.heads.device)
    luma, chroma = (TorchPlane(each, device, dtype) for each in lattices(size, (small[0], small[1])))

    def fused(luma_1HW: Tensor, chroma_1HW2: Tensor, heads_16hw: Tensor) -> tuple[Tensor, Tensor]:
        translated_13hw, field_13hw = heads_16hw[:, :3], heads_16hw[:, 3:]
        y = luma(luma_1HW[:, None], translated_13hw[:, :1], field_13hw)
        uv = chroma(chroma_1HW2.permute(0, 3, 1, 2), translated_13hw[:, 1:], field_13hw)
        return y[:, 0], uv.permute(0, 2, 3, 1)

    run = torch.compile(fused, dynamic=False, fullgraph=True) if compiled else fused

    def fuse_one(one: Material) -> None:
        with torch.inference_mode():
            found = run(*one.surface.planes, one.heads)
            for target, plane in zip(one.out.planes, found, strict=True):
                target.copy_(plane)

    return fuse_one


def by_cupy(one: Material, cupy: Any = None, ndimage: Any = None) -> FuseOne:
    """Return what fuses a picture with CuPy and its `map_coordinates` into its ``out``."""
    if cupy is None:
        try:
            import cupy
            from cupyx.scipy import ndimage
        except ImportError as error:
            raise NotHereError(f"CuPy: {error}") from error
    size, small = one.surface.size, one.heads.shape[2:]
    at = partial(ndimage.map_coordinates, order=1, mode="nearest", output=cupy.float32)

    def fused(source: Any, translated: Any, field: Any, lattice: Lattice) -> Any:
        (height, width), (small_height, small_width) = lattice.size, lattice.small
        mask, move_x, move_y = (at(head, up[lattice.size]) for head in field)
        mask = cupy.clip(mask, 0, 1)
        y = rows[lattice.size] + cupy.clip(move_y, -LIMIT_PIXELS, LIMIT_PIXELS) * (height / small_height)
        x = columns[lattice.size] + cupy.clip(move_x, -LIMIT_PIXELS, LIMIT_PIXELS) * (width / small_width)
        warped = at(source.astype(cupy.float32), cupy.stack([y, x]))
        picture = cupy.clip(at(translated, up[lattice.size]), *lattice.legal)
        blend = warped + mask * (picture - warped)
        return (cupy.clip(blend, 0, 255) + 0.5).astype(cupy.uint8)

    both = lattices(size, (small[0], small[1]))
    up, rows, columns = {}, {}, {}
    for lattice in both:
        small_y, small_x = (cupy.asarray(each.astype(np.float32)) for each in lattice.small_yx)
        up[lattice.size] = cupy.stack(cupy.meshgrid(small_y, small_x, indexing="ij"))
        rows[lattice.size] = cupy.arange(lattice.size[0], dtype=cupy.float32)[:, None]
        columns[lattice.size] = cupy.arange(lattice.size[1], dtype=cupy.float32)[None, :]

    def fuse_one(one: Material) -> None:
        (luma, chroma), (out_luma, out_chroma) = (
            tuple(cupy.from_dlpack(plane)[0] for plane in each.planes) for each in (one.surface, one.out)
        )
        heads = cupy.from_dlpack(one.heads)[0].astype(cupy.float32)
        out_luma[...] = fused(luma, heads[0], heads[3:], both[0])
        for channel in range(2):
            out_chroma[..., channel] = fused(
                chroma[..., channel], heads[1 + channel], heads[3:], both[1]
            )

    return fuse_one


def by_opencv(one: Material) -> Callable[[], list[Array]]:
    """Return what fuses one picture, from and to main memory, with OpenCV on the processor."""
    try:
        import cv2
    except ImportError as error:
        raise NotHereError(f"OpenCV: {error}") from error
    size, small = one.surface.size, one.heads.shape[2:]
    heads, planes = one.heads[0].float().cpu().numpy(), one.planes
    both = lattices(size, (small[0], small[1]))
    maps = []
    for lattice in both:
        x, y = np.meshgrid(lattice.small_yx[1].astype(np.float32), lattice.small_yx[0].astype(np.float32))
        columns, rows = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in lattice.size[::-1]))
        maps.append((x, y, columns, rows))

    def fused(source: Array, translated: Array, lattice: Lattice, at: tuple[Array, ...]) -> Array:
        def sampled(image: Array, x: Array, y: Array) -> Array:
            return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

        x, y, columns, rows = at
        mask, move_x, move_y = (sampled(head, x, y) for head in heads[3:])
        mask = np.clip(mask, 0, 1)
        scales = [lattice.size[axis] / lattice.small[axis] for axis in (1, 0)]
        map_x, map_y = (
            cv2.scaleAdd(np.clip(move, -LIMIT_PIXELS, LIMIT_PIXELS), scale, base)
            for move, scale, base in zip((move_x, move_y), scales, (columns, rows), strict=True)
        )
        warped = sampled(source.astype(np.float32), map_x, map_y)
        picture = np.clip(sampled(translated, x, y), *lattice.legal)
        return np.asarray(np.clip(cv2.blendLinear(picture, warped, mask, 1 - mask), 0, 255) + 0.5, np.uint8)

    return lambda: [
        fused(planes[at], heads[at], both[min(at, 1)], maps[min(at, 1)]) for at in range(3)
    ]


def varied(one: Material, count: int) -> list[Material]:
    """Return so many pictures that differ, made where they are to be."""
    made = [one]
    for number in range(1, count):
        planes = tuple(plane.roll(2 * number, 2) for plane in one.surface.planes)
        surface = replace(one.surface, planes=planes)
        made.append(Material(surface, one.planes, one.heads.clone(), surface.empty(), one.reduced))
    return made


def off(found: list[Array], expected: Any) -> dict[str, Any]:
    """Return how far codes are from the definition's."""
    apart = [np.abs(a.astype(int) - b.astype(int)).ravel() for a, b in zip(found, expected, strict=True)]
    every = np.concatenate(apart)
    largest = int(every.max())
    return {
        "agrees": largest <= 1,
        "largest_off_codes": largest,
        "mean_off_codes": round(float(every.mean()), 5),
        "pixels_off": int((every > 0).sum()),
    }


class Table:
    """One size: all that take part in it, checked one by one and timed in turns."""

    def __init__(self, cases: Cases, name: str, size: tuple[int, int], factor: int, device: str) -> None:
        self._cases, self._name, self._gpu = cases, name, device == "cuda"
        self._one = material("nv12", size, (size[0] // factor, size[1] // factor), 0, device)
        count = min(LAUNCHES, max(2, ROTATED_BYTES // self._one.fused_bytes)) if self._gpu else 1
        many = varied(self._one, count)
        self._launches = [many[at % count] for at in range(LAUNCHES if self._gpu else 1)]
        heads = self._one.heads[0].cpu().numpy()
        self._expected = fuse_reference(self._one.planes, heads, None, **SETTINGS)
        self._checked: dict[str, dict[str, Any]] = {}
        self._replays: dict[str, Callable[[], None]] = {}

    def enter(self, name: str, prepare: Callable[[Material], FuseOne], *, recorded: bool = True) -> None:
        """Check one that works on the GPU, and let it take part."""

        def checked() -> Mapping[str, Any]:
            started = time.perf_counter()
            fuse_one = prepare(self._one)
            for plane in self._one.out.planes:
                plane.zero_()
            fuse_one(self._one)
            self._checked[name] = off(planes_of(self._one.out), self._expected)
            work = [partial(fuse_one, one) for one in self._launches]
            self._replays[name] = captured(work) if recorded else lambda: [one() for one in work] and None
            self._replays[name]()
            seconds = round(time.perf_counter() - started, 2)
            return {**self._checked[name], "recorded": recorded and self._gpu, "ready_seconds": seconds}

        self._cases.attempt(f"{self._name}, {name}, check", checked)

    def host(self, name: str, prepare: Callable[[Material], Callable[[], list[Array]]], rounds: int) -> None:
        """Check and time one that works in main memory, by itself."""

        def row() -> Mapping[str, Any]:
            run = prepare(self._one)
            found = off(run(), self._expected)
            taken = []
            for _ in range(rounds):
                begun = time.perf_counter()
                run()
                taken.append(1e6 * (time.perf_counter() - begun))
            return {**found, **figures(taken)}

        self._cases.attempt(f"{self._name}, {name}", row)

    def turns(self, rounds: int) -> None:
        """Time all in turns."""
        taken: dict[str, list[float]] = {name: [] for name in self._replays}
        for _ in range(rounds):
            for name, replay in self._replays.items():
                taken[name].append(1e6 * seconds_of(replay, gpu=self._gpu) / len(self._launches))
        ours = statistics.median(taken["streamfx"]) if "streamfx" in taken else None
        for name, times in taken.items():
            slower = round(statistics.median(times) / ours, 2) if ours else None
            row = {**figures(times), "times_ours": slower, "pictures": len({*map(id, self._launches)})}
            self._cases.attempt(f"{self._name}, {name}", lambda row=row: row)  # type: ignore[misc]


def figures(times_us: list[float]) -> dict[str, float]:
    return {"median_us": round(statistics.median(times_us), 2), "fastest_us": round(min(times_us), 2)}


def seconds_of(replay: Callable[[], None], *, gpu: bool) -> float:
    """Return how long it takes: by the GPU's clock, or the host's without one."""
    if not gpu:
        begun = time.perf_counter()
        replay()
        return time.perf_counter() - begun
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    replay()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def ours(one: Material, tile: Any = None) -> FuseOne:
    """Return what fuses a picture with our kernel into its ``out``."""
    strength = torch.ones(1, device=one.heads.device)
    flag = torch.zeros(1, dtype=torch.int32, device=one.heads.device)
    return lambda one: fuse(one, strength, flag, tile)


def compare(cases: Cases, name: str, size: tuple[int, int], factor: int, rounds: int, gpu: bool) -> None:
    """Measure one size."""
    from streamfx.generate.fuse_gpu import FuseTile

    torch.compiler.reset()
    table = Table(cases, f"{name} factor {factor}", size, factor, "cuda" if gpu else "cpu")
    table.enter("streamfx", partial(ours, tile=None if gpu else FuseTile(32, 64)))
    table.enter("torch float32", partial(by_torch, dtype=torch.float32))
    table.enter("torch float16", partial(by_torch, dtype=torch.float16))
    if gpu:  # on a processor it takes a minute to compile
        table.enter("torch.compile float32", partial(by_torch, dtype=torch.float32, compiled=True))
        table.enter("CuPy", by_cupy, recorded=False)
    table.turns(rounds)
    table.host("OpenCV on the processor", by_opencv, min(rounds, 10))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for gpu_peers.json; without a GPU none")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    if not gpu:
        os.environ["TRITON_INTERPRET"] = "1"  # before the kernels are imported
        torch.set_num_threads(1)
    config = {"rounds": options.rounds, "launches": LAUNCHES, "rotated_bytes": ROTATED_BYTES, "kind": "nv12"}
    cases = Cases("gpu_peers", options.out, config, gpu=gpu)
    sizes = [("1080p", SIZES["1080p"]), ("4k", SIZES["4k"])] if gpu else [("tiny", (32, 64))]
    for (name, size), factor in ((each, factor) for each in sizes for factor in ((2, 4) if gpu else (2,))):
        cases.attempt(
            f"{name} factor {factor}",
            lambda name=name, size=size, factor=factor: (  # type: ignore[misc]
                compare(cases, name, size, factor, options.rounds if gpu else 1, gpu) or {}
            ),
        )
    return cases.end()


if __name__ == "__main__":
    raise SystemExit(main())
