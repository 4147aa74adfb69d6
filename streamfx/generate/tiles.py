"""Tiles: a large picture through a network in bands of rows, so that memory stays small.

Bands overlap by what the network sees around a pixel, so the result is the same. Networks that look at the
whole picture, for its mean say, cannot be run so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from streamfx.engine.golden import Array
from streamfx.engine.spec import EngineSpec
from streamfx.media.array_memory import arrays

_USUAL_SCALE = 2
MOST_PIXELS = 1_200_000  # of a band; a network of 32 channels then needs some 150 MB for each layer it keeps


def in_tiles(
    network: Callable[[Array], Array], seen: Array, spec: EngineSpec, most_pixels: int = MOST_PIXELS
) -> Array:
    """Return the heads (C, H, W) for what the network sees (N, h, w), band by band where it is large.

    Args:
        network: function that gives the heads of a band.
        seen: sides are multiples of the engine's stride.
        spec: spec of the engine.
        most_pixels: most pixels of a band, its overlap included.
    """
    _, height, width = seen.shape
    _, rows, _ = tile_shape((len(seen), height, width), spec, most_pixels)
    if rows == height:
        return network(seen)
    heads: Array | None = None
    for top, begin, end in bands(height, rows, spec):
        part = network(np.ascontiguousarray(seen[:, top : top + rows]))
        if heads is None:
            ratio = part.shape[1] // rows
            heads = arrays.empty((len(part), height * ratio, part.shape[2]))
        heads[:, begin * ratio : end * ratio] = part[:, (begin - top) * ratio : (end - top) * ratio]
    assert heads is not None
    return heads


def bands(height: int, rows: int, spec: EngineSpec) -> Iterator[tuple[int, int, int]]:
    """Yield the first row of each band, and the first row and the end of what is taken of its result.

    All bands are of one height: one shape to prepare.

    Args:
        height: height of what the network sees.
        rows: rows of a band, see `tile_shape`.
        spec: spec of the engine.
    """
    border = _border(spec)
    done = 0
    while done < height:
        top = min(max(done - border, 0), height - rows)
        end = height if top + rows == height else top + rows - border
        yield top, done, end
        done = end


def tile_shape(
    shape: tuple[int, int, int], spec: EngineSpec, most_pixels: int = MOST_PIXELS
) -> tuple[int, int, int]:
    """Return the shape of the bands of an input of this shape: the same where it is done at once."""
    channels, height, width = shape
    most_pixels //= max(spec.scale // _USUAL_SCALE, 1) ** 2  # its last layers run at that many more pixels
    if not spec.margin_pixels or spec.layout != "planes" or height * width <= most_pixels:
        return shape
    least = 2 * _border(spec) + spec.stride
    rows = max(most_pixels // width // spec.stride * spec.stride, least)
    return channels, min(rows, height), width


def _border(spec: EngineSpec) -> int:
    """Return by how many rows a band must overlap the next."""
    return -(-spec.margin_pixels // spec.stride) * spec.stride
