"""What the fused step is tested with, on the CPU and in the interpreter of the GPU's kernels alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamfx.generate.ops.fuse.definition import fuse_reference
from streamfx.generate.ops.fuse.operation import fuse
from streamfx.generate.ops.reduce.definition import reduce_reference
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Planes, Subsampling


@dataclass(frozen=True)
class Case:
    """What is fused, ready to be passed on."""

    planes: Planes
    heads: NDArray[np.floating]
    reduced: NDArray[np.float32] | None = None
    subsampling: Subsampling = Subsampling.YUV420
    depth: int = 8
    code_range: CodeRange = CodeRange.LIMITED
    chroma_location: ChromaLocation = ChromaLocation.LEFT
    strength: float = 1.0
    max_displacement_pixels: float = 4.0

    def kernel(self, out: Planes | None = None, threads: int | None = None) -> Planes:
        return fuse(**self.__dict__, out=out, threads=threads)

    def reference(self) -> Planes:
        return fuse_reference(**self.__dict__)


def random_planes(
    size: tuple[int, int], subsampling: Subsampling = Subsampling.YUV420, depth: int = 8, seed: int = 0
) -> Planes:
    random = np.random.default_rng(seed)
    chroma = subsampling.chroma_size(size)
    dtype = np.uint8 if depth == 8 else np.uint16
    planes: list[Any] = [random.integers(0, 1 << depth, s).astype(dtype) for s in (size, chroma, chroma)]
    y, u, v = planes
    return y, u, v


def random_heads(
    small: tuple[int, int], depth: int = 8, channels: int = 7, seed: int = 0
) -> NDArray[np.float32]:
    """Return 6, 7 or 11 heads of every kind of value: some beyond each clamp, some at it."""
    random = np.random.default_rng(seed)
    translated = random.uniform(-0.3, 1.3, (3, *small)) * (1 << depth)
    mask = random.uniform(-0.5, 1.5, (1, *small)).round(1)
    displacement = random.normal(0, 3, (2, *small))
    gain = random.uniform(-0.5, 2.5, (1, *small))
    offset = random.normal(0, 0.7, (1, *small))
    slopes = random.normal(0, 12, (2, *small)) / (1 << depth)
    amplitude = random.normal(0, 0.4, (1, *small)) * (1 << depth)
    heads = np.concatenate([translated, mask, displacement, gain, offset, slopes, amplitude])
    return heads[:channels].astype(np.float32)


Sizes = tuple[tuple[int, int], tuple[int, int]]


@st.composite
def any_sizes(draw: st.DrawFn) -> Sizes:
    """Sizes of luma and of the heads."""
    size = draw(st.tuples(st.integers(1, 40), st.integers(1, 60)))
    return size, draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))


ANY_SIZES = any_sizes()


@st.composite
def whole_ratios(draw: st.DrawFn) -> Sizes:
    """Sizes of luma and of the heads, whose widths are a whole number of times each other."""
    columns, ratio = draw(st.tuples(st.integers(1, 16), st.sampled_from([1, 2, 3, 4, 6, 8, 9])))
    return (draw(st.integers(1, 40)), columns * ratio), (draw(st.integers(1, 20)), columns)


@st.composite
def cases(
    draw: st.DrawFn, sizes: st.SearchStrategy[Sizes] = ANY_SIZES, channels: tuple[int, ...] = (6, 7)
) -> Case:
    size, small = draw(sizes)
    depth = draw(st.sampled_from([8, 9, 10, 12, 16]))
    subsampling = draw(st.sampled_from(list(Subsampling)))
    location = draw(st.sampled_from(list(ChromaLocation)))
    seed = draw(st.integers(0, 2**32))
    planes = random_planes(size, subsampling, depth, seed)
    reduced = reduce_reference(planes, subsampling, Colour(chroma_location=location), small)
    return Case(
        planes,
        random_heads(small, depth, draw(st.sampled_from(channels)), seed),
        reduced.astype(np.float32),
        subsampling,
        depth,
        draw(st.sampled_from([CodeRange.LIMITED, CodeRange.FULL])),
        location,
        draw(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))),
        draw(st.sampled_from([0.0, 0.5, 4.0, 30.0])),
    )
