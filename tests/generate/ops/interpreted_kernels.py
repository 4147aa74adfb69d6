"""The GPU's kernels in Triton's interpreter, beside their definitions; prints how far off they are as JSON.

    TRITON_INTERPRET=1 python -m tests.generate.ops.interpreted_kernels

Run by `test_gpu_kernels.py` in a process of its own, because the variable is read when a kernel is defined.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from triton.runtime.interpreter import interpreter_builder

from streamfx.generate.ops import dispatch
from streamfx.generate.ops.fuse.definition import AMPLITUDE, MASK, OFFSET, RISE
from streamfx.generate.ops.fuse.triton import FuseTile
from streamfx.generate.ops.place.definition import place_reference
from streamfx.generate.ops.place.triton import PlaceTile
from streamfx.generate.ops.reduce.definition import axis_matrix, fine_luma_reference, reduce_reference
from streamfx.generate.ops.reduce.triton import ReduceTile
from streamfx.generate.ops.steady.definition import Past, steady_reference
from streamfx.generate.ops.steady.operation import PastOnDevice
from streamfx.generate.ops.surfaces import fuse_surface, place_surface, reduce_each, reduce_surface
from streamfx.media.colour import chroma_shift
from streamfx.media.frame import ChromaLocation, Colour, Frame, Planes, Subsampling
from streamfx.media.surface import Surface
from tests.generate.ops.fused_cases import Case, cases, random_heads, random_planes, whole_ratios

OVERFLOW_EVERY = 5  # asking after each sum whether it overflows takes a third of the time
# What the interpreter takes is per program, so one program does all of a small picture.
FUSE_TILE, PLACE_TILE, REDUCE_TILE = FuseTile(64, 64), PlaceTile(64, 64), ReduceTile(64, 64)
BEYOND = 0xA5  # in every byte around the planes
Result = dict[str, Any]


def ask_for_overflow(number: int = 0) -> None:
    """Have the interpreter ask of all integers in the next launches whether they overflow, or not.

    Args:
        number: number of the example; one in a few is asked.
    """
    asked = number % OVERFLOW_EVERY == 0
    interpreter_builder.options = replace(interpreter_builder.options, sanitize_overflow=asked)


@dataclass(frozen=True)
class Layout:
    """How planes lie in memory: U and V interleaved or not, padding in samples, values in the high bits."""

    paired: bool = True
    padding: int = 0
    high: bool = False


LAYOUTS = st.builds(Layout, st.booleans(), st.sampled_from([0, 1, 4]), st.booleans())


def surface_of(
    pictures: Sequence[Planes], subsampling: Subsampling, depth: int, layout: Layout
) -> tuple[Surface, list[torch.Tensor]]:
    """Return pictures as a surface, and the memory of its planes with all that lies around them."""
    unused = 16 - depth if layout.high and depth > 8 else 0
    y, u, v = (np.stack(planes) << unused for planes in zip(*pictures, strict=True))
    arrays = [y, np.stack([u, v], axis=-1)] if layout.paired else [y, u, v]
    planes, memory = [], []
    for array in arrays:
        pictures_, rows, columns, *pair = array.shape
        around = np.full((pictures_, rows + 1, columns + layout.padding, *pair), BEYOND, np.uint8)
        around = around.astype(array.dtype)
        around[:, :rows, :columns] = array
        memory.append(torch.from_numpy(around))
        planes.append(memory[-1][:, :rows, :columns])
    return Surface(tuple(planes), subsampling, depth, layout.high), memory  # type: ignore[arg-type]


def pictures_of(surface: Surface) -> list[Planes]:
    """Return each picture as planes with values in the low bits."""
    luma, *chroma = (plane.numpy() >> surface.unused_bits for plane in surface.planes)
    u, v = (chroma[0][..., 0], chroma[0][..., 1]) if surface.paired else chroma
    return list(zip(luma, u, v, strict=True))


def fused(
    batch: Sequence[Case], layout: Layout, heads: torch.Tensor | None = None
) -> tuple[list[Planes], list[int]]:
    """Return what the kernel makes of cases of the same size, each of its own strength, and the flags."""
    case = batch[0]
    source, _ = surface_of([one.planes for one in batch], case.subsampling, case.depth, layout)
    blank = np.zeros((1,), case.planes[0].dtype)
    empty = tuple(np.broadcast_to(blank, plane.shape) for plane in case.planes)
    out, memory = surface_of([empty] * len(batch), case.subsampling, case.depth, layout)  # type: ignore[list-item]
    before = [one.clone() for one in memory]
    seen = [one.reduced for one in batch if one.reduced is not None]
    if seen:  # what a network saw has more channels, and so pictures do not follow one another
        whole = torch.full((len(batch), 5, *seen[0].shape[1:]), float(BEYOND))
        whole[:, :3] = torch.from_numpy(np.stack(seen))
    reduced = whole[:, :3] if seen else None
    flags = torch.zeros(len(batch), dtype=torch.int32)
    fuse_surface(
        source,
        torch.from_numpy(np.stack([one.heads for one in batch])) if heads is None else heads,
        reduced,
        code_range=case.code_range,
        chroma_location=case.chroma_location,
        strength=torch.tensor([one.strength for one in batch], dtype=torch.float32),
        max_displacement_pixels=case.max_displacement_pixels,
        not_finite=flags,
        out=out,
        tile=FUSE_TILE,
    )
    for plane, around, old in zip(out.planes, memory, before, strict=True):
        rows, columns = plane.shape[1:3]
        beyond = torch.ones(around.shape, dtype=torch.bool)
        beyond[:, :rows, :columns] = False
        assert torch.equal(around[beyond].int(), old[beyond].int()), "written beyond the planes"
    return pictures_of(out), flags.tolist()


def largest(found: Sequence[Planes], expected: Sequence[Planes]) -> int:
    """Return the largest difference in codes."""
    pairs = [
        pair for one, other in zip(found, expected, strict=True) for pair in zip(one, other, strict=True)
    ]
    return max(int(np.abs(plane.astype(int) - other.astype(int)).max()) for plane, other in pairs)


def differences(batch: Sequence[Case], layout: Layout, heads: torch.Tensor | None = None) -> Result:
    """Return how far the kernel is off its definition at most, and the flags."""
    found, flags = fused(batch, layout, heads)
    return {"difference": largest(found, [case.reference() for case in batch]), "flags": flags}


def nv12() -> Case:
    """Return a small case whose luma is four times as wide as the heads."""
    return Case(random_planes((24, 32)), random_heads((6, 8), channels=6))


def strengths() -> Result:
    batch = [replace(nv12(), strength=strength) for strength in (0.0, 0.3, 1.0)]
    return differences(batch, Layout())


def identity(depth: int, layout: Layout) -> Result:
    case = Case(random_planes((21, 34), depth=depth), random_heads((5, 17), depth, 6), depth=depth)
    found, flags = fused([replace(case, strength=0.0)], layout)
    return {"difference": largest(found, [case.planes]), "flags": flags}


def extremes() -> Result:
    huge = np.array([1, 0, 0.5], np.float32) * np.finfo(np.float32).max
    heads = np.random.default_rng(3).choice(huge, (7, 9, 11))
    heads[[1, 5]] *= -1
    reduced = np.full((3, 9, 11), 100, np.float32)
    return differences([Case(random_planes((36, 44)), heads, reduced)], Layout())


def inked() -> Case:
    """Return the same with ink."""
    case = nv12()
    reduced = reduce_reference(case.planes, Subsampling.YUV420, Colour(), (6, 8)).astype(np.float32)
    return replace(case, heads=random_heads((6, 8), channels=11), reduced=reduced)


def inked_extremes() -> Result:
    heads = random_heads((9, 11), channels=11)
    heads[RISE:] = np.random.default_rng(3).choice([0, float(np.finfo(np.float32).max)], (3, 9, 11))
    return differences(
        [Case(random_planes((36, 44)), heads, np.full((3, 9, 11), 100.5, np.float32))], Layout()
    )


def no_number_in_the_ink() -> Result:
    """Return the difference of the picture beside those with such heads, each in another one, and the
    flags."""
    batch = [inked()]
    for head in range(OFFSET, AMPLITUDE + 1):
        bad = inked().heads.copy()
        bad[head, 2, 5] = np.nan
        batch.append(replace(inked(), heads=bad))
    found, flags = fused(batch, Layout())
    return {"difference": largest(found[:1], [inked().reference()]), "flags": flags}


def half_precision() -> Result:
    heads = random_heads((6, 8), channels=6).astype(np.float16)
    return differences([replace(nv12(), heads=heads)], Layout())


def channels_last() -> Result:
    heads = torch.from_numpy(nv12().heads)[None].to(memory_format=torch.channels_last)
    return differences([nv12()], Layout(paired=False), heads)


def far_displacements() -> Result:
    heads = random_heads((6, 8), channels=6)
    heads[4:6] *= 1000
    return differences([replace(nv12(), heads=heads, max_displacement_pixels=4096.0)], Layout())


def not_a_number(value: float) -> Result:
    """Return the difference of the picture beside the one with such heads, and the flags."""
    bad = nv12().heads.copy()
    bad[MASK, 2, 5] = bad[4, 5, 0] = bad[5, 0, 7] = bad[1, 3, 3] = value
    found, flags = fused([replace(nv12(), heads=bad), nv12()], Layout())
    return {"difference": largest(found[1:], [nv12().reference()]), "flags": flags}


def not_a_number_at_the_edge() -> Result:
    """Return the flags of heads whose first columns hold what is not finite, where the ratio is not whole."""
    heads = random_heads((6, 7), channels=6)
    heads[3, 2, 0] = np.nan
    batch = [replace(nv12(), heads=heads), replace(nv12(), heads=random_heads((6, 7), channels=6))]
    found, flags = fused(batch, Layout())
    return {"difference": largest(found[1:], [batch[1].reference()]), "flags": flags}


def other_strength() -> Result:
    """Return the difference from another picture than asked for: shows that differences are noticed."""
    found, flags = fused([replace(nv12(), strength=0.5)], Layout())
    return {"difference": largest(found, [nv12().reference()]), "flags": flags}


NAMED: dict[str, Callable[[], Result]] = {
    "strengths of 0, 0.3 and 1 in one batch": strengths,
    "half precision": half_precision,
    "fine luma of P010": lambda: at_a_quarter(torch.float32, 4),
    "fine luma in half precision": lambda: at_a_quarter(torch.float16, 0),
    "channels last": channels_last,
    "heads as large as numbers get": extremes,
    "displacements far beyond the frame": far_displacements,
    "ink as large as numbers get": inked_extremes,
    "strength 0 at 8 bits is the identity": lambda: identity(8, Layout()),
    "strength 0 of P010 is the identity": lambda: identity(10, Layout(high=True, padding=2)),
    "strength 0 at 16 bits is the identity": lambda: identity(16, Layout(paired=False)),
    "not a number": lambda: not_a_number(np.nan),
    "infinite": lambda: not_a_number(np.inf),
    "not a number at the edge": not_a_number_at_the_edge,
    "not a number in the ink": no_number_in_the_ink,
    "control": other_strength,
}


def properties(examples: int) -> list[Result]:
    """Return how far the fused step is off on anything that the kernel of the CPU is tested with."""
    results: list[Result] = []
    quiet = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    channels = (6, 7, 11, 11)  # where there is ink, chroma has gain alone
    for strategy in (cases(channels=channels), cases(whole_ratios(), channels)):

        @quiet
        @given(strategy, LAYOUTS)
        def check(case: Case, layout: Layout) -> None:
            ask_for_overflow(len(results))
            size, small = case.planes[0].shape, case.heads.shape
            name = f"{size} by {small}, {case.subsampling}, {case.depth} bits, {layout}"
            results.append({"name": name, **differences([case], layout)})

        check()
    return results


def placed(case: Case, layout: Layout, added: bool, one_grid: bool, half: bool) -> Result:
    """Return how far placing or adding a picture is off, all planes on one grid or each on its own."""
    rows, columns = case.heads.shape[1:]
    y = case.heads[0]
    u, v = case.heads[1:3] if one_grid else case.heads[1:3, : (rows + 1) // 2, : (columns + 1) // 2]
    small = tuple(plane.astype(np.float16 if half else np.float32) for plane in (y, u, v))
    shift = chroma_shift(case.subsampling, case.chroma_location) if one_grid else (0.0, 0.0)
    colour = Colour(code_range=case.code_range, chroma_location=case.chroma_location)
    frame = Frame(case.planes, case.subsampling, case.depth, colour, 0, 0, Fraction(1, 25))
    expected = place_reference(
        frame,
        tuple(plane.astype(np.float32) for plane in small),
        colour,
        strength=case.strength,
        added=added,
        shifts=((0.0, 0.0), shift, shift),
    )
    surface, _ = surface_of([case.planes], case.subsampling, case.depth, layout)
    flags = torch.zeros(1, dtype=torch.int32)
    found = place_surface(
        surface,
        tuple(torch.from_numpy(plane)[None] for plane in small),  # type: ignore[arg-type]
        code_range=case.code_range,
        shift=shift,
        strength=torch.full((1,), case.strength),
        not_finite=flags,
        added=added,
        tile=PLACE_TILE,
    )
    return {"difference": largest(pictures_of(found), [expected]), "flags": flags.tolist()}


def placements(examples: int) -> list[Result]:
    """Return how far placing and adding are off on anything."""
    results: list[Result] = []

    @settings(max_examples=examples, derandomize=True, database=None, deadline=None)
    @given(cases(), LAYOUTS, st.booleans(), st.booleans(), st.booleans())
    def check(case: Case, layout: Layout, added: bool, one_grid: bool, half: bool) -> None:
        ask_for_overflow(len(results))
        size, small = case.planes[0].shape, case.heads.shape[1:]
        name = f"{size} by {small}, {case.subsampling}, {case.depth} bits, {layout}, added: {added}"
        half = half and case.depth < 15  # beyond, half precision does not hold the codes
        results.append({"name": name, **placed(case, layout, added, one_grid, half)})

    check()
    return results


def seen_reference(
    planes: Planes, subsampling: Subsampling, colour: Colour, small: tuple[int, int], fine: int
) -> NDArray[np.float64]:
    """Return the reduced planes by definition, and after them, if any, the fine luma."""
    reduced = reduce_reference(planes, subsampling, colour, small)
    if not fine:
        return reduced
    return np.concatenate([reduced, fine_luma_reference(planes[0], reduced[0], fine)])


def at_a_quarter(kind: torch.dtype, padding: int) -> Result:
    """Return how far the kernel is off, to a type, where each sample is one of the fine luma."""
    planes = random_planes((24, 32), depth=10)
    surface, _ = surface_of([planes], Subsampling.YUV420, 10, Layout(padding=padding, high=True))
    out = torch.empty(1, 19, 6, 8, dtype=kind)
    reduce_surface(surface, (6, 8), chroma_location=ChromaLocation.LEFT, fine=4, out=out, tile=REDUCE_TILE)
    expected = seen_reference(planes, Subsampling.YUV420, Colour(), (6, 8), 4)
    return {"difference": float(np.abs(out[0].float().numpy() - expected).max()), "flags": [0]}


def off_grids(pictures: Sequence[Planes], surface: Surface, small: tuple[int, int]) -> float:
    """Return how far the reduction to planes of their own sizes is off, in parts of the highest code.

    They lie within larger ones, whose rest must stay as it is.
    """
    y, u, v = (
        torch.full((len(pictures), rows + 2, columns + 3), float(BEYOND))
        for rows, columns in (small, *[Subsampling.YUV420.chroma_size(small)] * 2)
    )
    inner = (y[:, :-2, :-3], u[:, :-2, :-3], v[:, :-2, :-3])
    reduce_each(surface, inner, shift=(0.0, 0.0), tile=REDUCE_TILE)
    assert all((whole[:, -2:] == BEYOND).all() and (whole[:, :, -3:] == BEYOND).all() for whole in (y, u, v))
    differences = []
    for index, planes in enumerate(pictures):
        for plane, found in zip(planes, inner, strict=True):
            rows, columns = (
                axis_matrix(*sides, 0.0) for sides in zip(plane.shape, found.shape[1:], strict=True)
            )
            differences.append(np.abs(found[index].numpy() - rows @ plane @ columns.T).max())
    return float(max(differences)) / (1 << surface.depth)


def reductions(examples: int) -> list[Result]:
    """Return how far the reduction is off, in parts of the highest code."""
    results: list[Result] = []

    @settings(max_examples=examples, derandomize=True, database=None, deadline=None)
    @given(
        st.tuples(st.integers(1, 40), st.integers(1, 60)),
        st.tuples(st.integers(1, 40), st.integers(1, 60)),
        st.sampled_from(list(Subsampling)),
        st.sampled_from(list(ChromaLocation)),
        st.sampled_from([8, 10, 16]),
        LAYOUTS,
        st.booleans(),
    )
    def check(
        size: tuple[int, int],
        small: tuple[int, int],
        subsampling: Subsampling,
        location: ChromaLocation,
        depth: int,
        layout: Layout,
        fine: bool,
    ) -> None:
        ask_for_overflow(len(results) // 2)
        pictures = [random_planes(size, subsampling, depth, seed) for seed in (1, 2)]
        surface, _ = surface_of(pictures, subsampling, depth, layout)
        found = reduce_surface(
            surface, small, chroma_location=location, fine=4 * fine, tile=REDUCE_TILE
        ).numpy()
        colour = Colour(chroma_location=location)
        expected = [seen_reference(planes, subsampling, colour, small, 4 * fine) for planes in pictures]
        difference = float(np.abs(found - np.stack(expected)).max()) / (1 << depth)
        name = f"{size} to {small}, fine: {fine}, {subsampling}, {depth} bits, {layout}"
        results.append({"name": name, "difference": difference})
        name = f"{size} to {small}, each plane on its own grid, {subsampling}, {depth} bits, {layout}"
        results.append({"name": name, "difference": off_grids(pictures, surface, small)})

    check()
    return results


def steadied(channels: int, size: tuple[int, int], half: bool) -> list[Result]:
    """Return how far heads of frames that follow one another are off, a cut and another start among them."""
    dtype = torch.float16 if half else torch.float32
    made = PastOnDevice(torch.zeros((1, channels, *size), dtype=dtype))
    random = np.random.default_rng(channels)
    scene, past, results = random.uniform(20, 220, (3, *size)), list[Past](), list[Result]()
    for number, known in enumerate((0, 1, 2, 2, 2, 0, 1)):
        ask_for_overflow(number)
        if number == 3:
            scene = random.uniform(20, 220, (3, *size))
        numbers = (scene + random.normal(0, 3, (3, *size)), random.normal(0, 50, (channels, *size)))
        reduced, heads = (torch.from_numpy(each).to(dtype)[None] for each in numbers)
        now = Past(reduced[0].float().numpy(), heads[0].float().numpy())
        expected = steady_reference(now.heads, now.reduced, past[:known], 9.0)
        made.know(known)
        made.steady(heads, reduced, 9.0)
        past = [now, *past]
        results.append({
            "name": f"frame {number}, {channels} heads {size}, half: {half}",
            "difference": float(np.abs(made.steadied[0].float().numpy() - expected).max()),
            "changed": float(np.abs(now.heads - expected).max()),
        })  # fmt: skip
    return results


def main() -> None:
    """Print the results, by kind; ``python -m … examples``."""
    dispatch.by_processor = lambda pixels: False
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    np.seterr(all="ignore")
    ask_for_overflow()
    named = [{"name": name, **case()} for name, case in NAMED.items()]
    fuse = properties(examples)
    rest = {"place": placements(3 * examples), "reduce": reductions(4 * examples)}
    rest["steady"] = [
        result
        for half in (False, True)
        for channels, size in ((11, (9, 37)), (6, (16, 16)), (7, (1, 5)))
        for result in steadied(channels, size, half)
    ]
    json.dump({"named": named, "fuse": fuse, **rest}, sys.stdout)


if __name__ == "__main__":
    main()
