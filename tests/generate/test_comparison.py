"""Before and after in one picture: each half where it belongs, whatever the subsampling and the size."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import streamfx
from streamfx.generate.comparison import compared, compared_format
from streamfx.media.alpha import enlarged_plane
from streamfx.media.frame import Colour, Frame, Subsampling
from streamfx.media.geometry import Layout
from tests.media import make_clip


def frame(size: tuple[int, int], subsampling: Subsampling, value: int, depth: int = 8) -> Frame:
    dtype: Any = np.uint8 if depth == 8 else np.uint16
    chroma = subsampling.chroma_size(size)
    planes = tuple(np.full(shape, value, dtype) for shape in (size, chroma, chroma))
    return Frame(
        (planes[0], planes[1], planes[2]),
        subsampling,
        depth,
        Colour(),
        index=3,
        pts=7,
        time_base=Fraction(1, 25),
    )


def brightened(given: Frame) -> Frame:
    planes = [plane + 50 for plane in given.planes]
    return given.with_planes((planes[0], planes[1], planes[2]))


@pytest.mark.parametrize("subsampling", list(Subsampling))
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
@pytest.mark.parametrize("layout", ["split", "side", "stack"])
def test_each_half_is_where_it_belongs(
    layout: Layout, size: tuple[int, int], subsampling: Subsampling
) -> None:
    given = frame(size, subsampling, 100)
    both = compared(brightened, layout)(given)
    assert both.size == compared_format(layout, given.format).size
    assert (both.index, both.pts) == (3, 7)
    axis = 0 if layout == "stack" else 1
    for number, plane in enumerate(both.planes):
        first, last = (plane.take(place, axis) for place in (0, -1))
        assert np.all(first == 100)
        assert np.all(last == 150)
        others = set(np.unique(plane)) - {100, 150}
        assert others == ({235 if number == 0 else 128} if layout == "split" else set())


@pytest.mark.parametrize("layout", ["side", "stack"])
def test_the_picture_after_is_whole(layout: Layout) -> None:
    given = frame((48, 64), Subsampling.YUV420, 0)
    planes = tuple(np.arange(plane.size, dtype=np.uint8).reshape(plane.shape) for plane in given.planes)
    given = given.with_planes((planes[0], planes[1], planes[2]))
    both = compared(lambda each: each, layout)(given)
    for joined, plane in zip(both.planes, given.planes, strict=True):
        halves = np.split(joined, 2, axis=1 if layout == "side" else 0)
        assert all(np.array_equal(half, plane) for half in halves)


def test_depth_and_alpha_stay() -> None:
    given = frame((48, 64), Subsampling.YUV422, 400, depth=10)
    given = replace(given, alpha=np.full((48, 64), 512, np.uint16))
    both = compared(brightened, "split")(given)
    assert both.planes[0].max() == 235 << 2
    assert both.alpha is not None
    assert np.all(both.alpha == 512)
    side = compared(brightened, "side")(given)
    assert side.alpha is not None
    assert side.alpha.shape == (48, 128)


def test_what_an_effect_enlarges_stands_beside_the_source_enlarged() -> None:
    given = frame((24, 32), Subsampling.YUV420, 90)

    def enlarge(each: Frame) -> Frame:
        planes = [enlarged_plane(p, (2 * p.shape[0], 2 * p.shape[1])) for p in each.planes]
        return each.with_planes((planes[0], planes[1], planes[2]))

    assert compared(enlarge, "side")(given).size == (48, 128)
    assert compared(enlarge, "split")(given).size == (48, 64)


def test_a_run_writes_both_and_verify_knows(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=5, audio=False)
    out, told = tmp_path / "out.mkv", tmp_path / "r.json"
    report = streamfx.transcode(source, out, compare="side", report=told)
    assert report.exit_code == 0
    with av.open(str(out)) as file:
        luma = np.asarray(next(file.decode(video=0)).to_ndarray(), np.uint8)[:72]
    assert luma.shape == (72, 256)
    assert np.abs(luma[:, :128].astype(int) - luma[:, 128:]).mean() < 2
    assert streamfx.verify(source, out, report=told).exit_code == 0
    assert streamfx.verify(source, out).exit_code == 1
