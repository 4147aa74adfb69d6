"""The fused step of `definition.py` as Numba kernels: one pass over the rows, no temporary of full size.

A band of rows is done in tiles of `TILE` columns, so that all but the planes stays in cache:

1. Two rows of the heads, above and below, are enlarged along the columns, once per row of heads: `_expand`.
2. Per output row, the displacement interpolated between the two gives a position per pixel: `_positions`. The
   samples around it are fetched, the one step that does not vectorise: `_fetch`; then `_interpolate`.
3. Translated picture and mask are interpolated likewise, luma with its ink: `_translate` or `_draw`; all is
   blended, rounded and stored: `_blend`.

Where the mask is 1 all over a tile, or the displacement 0, step 2 is left out. Positions are kept as whole
samples and a fraction, because a float32 coordinate is too coarse on a wide frame. Loops are short and
separate because the compiler then vectorises each; their lines lie at constant distances in one array for
the same reason.
"""

# mypy: allow-untyped-defs
# Kernels have no annotations: Numba takes the types of the first call.

from __future__ import annotations

import numpy as np
from numba import njit

from streamfx.generate.ops.fuse.cpu_llvm import RUN, prefetch, store_ramp

# Other numbers the kernels are compiled with are in this file: Numba's cache sees no change of another.
TILE = 1920  # columns done at once; few enough for the second-level cache, many enough to make calls cheap
MOST_ALIKE = 4  # largest whole ratio with a loop of its own
LINE = TILE + 2 * RUN
CACHE_LINE_BYTES = 64
MOST_AHEAD = 8  # rows; of larger displacements most are smaller too
MASK_HEAD, X_HEAD, Y_HEAD, GAIN_HEAD, INK_HEADS = 3, 4, 5, 6, 7  # as in fuse.py

# Lines of enlarged heads, above or below: those that all planes use, two per plane, then those of the ink.
MASK, MOVE_X, MOVE_Y, GAIN, TRANSLATED, REDUCED = 0 * LINE, 1 * LINE, 2 * LINE, 3 * LINE, 4 * LINE, 5 * LINE
PER_PLANE = 2 * LINE
OFFSET, RISE, FALL, AMPLITUDE = 8 * LINE, 9 * LINE, 10 * LINE, 11 * LINE
HEAD_LINES = 12 * LINE
# Lines of the output row in work.
COLUMN, LEAST_X, MOST_X = 0 * LINE, 1 * LINE, 2 * LINE
FRACTION_X, FRACTION_Y, WARPED, TARGET = 3 * LINE, 4 * LINE, 5 * LINE, 6 * LINE
ROW_LINES = 7 * LINE

# NaN and infinity keep their meaning; what is allowed changes a result by its last bit at most.
_kernel = njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})


@_kernel
def largest_exponent(bits):
    """Return the highest exponent of float32 values, seen as uint32: 255 if one is infinite or no number."""
    largest = np.uint32(0)
    for at in range(bits.shape[0]):
        largest = max(largest, bits[at] & np.uint32(0x7F800000))
    return largest >> np.uint32(23)


@_kernel
def fuse_band(group, heads, reduced, first_plane, planes, has_gain, has_ink, first_row, end_row):
    """Fuse rows first_row..end_row of 1 or 2 planes of a group; their heads begin at ``first_plane``."""
    sources, stride, columns, scalars = group.sources, group.stride, group.columns, group.scalars
    real = columns.along.dtype
    above, below, line = np.empty(HEAD_LINES, real), np.empty(HEAD_LINES, real), np.zeros(ROW_LINES, real)
    offsets, square = np.empty(LINE, np.uint32), np.empty(4 * LINE, sources[0].dtype)
    ahead = 4 + int(min(scalars.displacement * scalars.scale_y, MOST_AHEAD))
    for tile in range(columns.tiles.shape[0] - 1):
        x0 = tile * TILE
        n = min(TILE, group.width - x0)
        _number(line, x0, n, group.width, scalars)
        held = -2
        opaque = still = False
        for y in range(first_row, end_row):
            row = group.rows.above[y]
            if row != held:
                if row == held + 1:
                    above, below = below, above
                else:
                    _expand(heads, reduced, row, first_plane, planes, has_gain, has_ink, columns, tile, above)
                under = min(row + 1, heads.shape[1] - 1)
                _expand(heads, reduced, under, first_plane, planes, has_gain, has_ink, columns, tile, below)
                held = row
                opaque, still = _shortcuts(heads, row, under, columns, tile, scalars.strength)
            down = group.rows.down[y]
            if not (opaque or still):
                _positions(above, below, down, line, offsets, n, y, group.source_size, stride, scalars)
            for plane in range(planes):
                source = sources[plane][y * stride + x0 : y * stride + x0 + n]
                if not (opaque or still):
                    _request(sources[plane], (y + ahead) * stride + x0, n)
                    _fetch(sources[plane], offsets, n, stride, square)
                    _interpolate(square, line, n)
                elif still:
                    _copy(source, line)
                at = plane * PER_PLANE
                if has_ink:
                    _draw(above, below, down, source, line, n, scalars)
                else:
                    _translate(above[at:], below[at:], down, line, n, scalars)
                if has_gain:
                    _add_detail(above, below, above[at:], below[at:], down, source, line, n)
                to = y * group.target_strides[plane] + x0
                _blend(above, below, down, line, scalars, group.targets[plane][to : to + n])


@_kernel
def _number(line, x0, n, width, scalars):
    """Write what stays the same for all rows of a tile: the number of each column and how far it may move."""
    real = line.dtype.type
    limit = real(scalars.displacement * scalars.scale_x)
    for x in range(n):
        line[COLUMN + x] = real(x0 + x)
        line[LEAST_X + x] = max(-limit, -real(x0 + x))
        line[MOST_X + x] = min(limit, real(width - 1 - x0 - x))


@_kernel
def _shortcuts(heads, row, under, columns, tile, strength):
    """Return (opaque, still): in this tile the mask is 1, so that no source is seen; nothing moves."""
    first = np.int64(columns.left[columns.tiles[tile]])
    end = np.int64(columns.left[columns.tiles[tile + 1] - 1]) + 2
    seen = moving = 0
    for y in (row, under):
        mask, move_x, move_y = (
            heads[MASK_HEAD, y, first:end],
            heads[X_HEAD, y, first:end],
            heads[Y_HEAD, y, first:end],
        )
        for x in range(end - first):
            seen += mask[x] < 1
            moving += (move_x[x] != 0) | (move_y[x] != 0)
    return seen == 0 and strength == 1, moving == 0


@_kernel
def _expand(heads, reduced, row, first_plane, planes, has_gain, has_ink, columns, tile, lines):
    """Enlarge one row of the heads, and of the reduced planes, along the columns of a tile."""
    _expand_row(heads[MASK_HEAD, row], columns, tile, lines[MASK:])
    _expand_row(heads[X_HEAD, row], columns, tile, lines[MOVE_X:])
    _expand_row(heads[Y_HEAD, row], columns, tile, lines[MOVE_Y:])
    if has_gain:
        _expand_row(heads[GAIN_HEAD, row], columns, tile, lines[GAIN:])
    for plane in range(planes):
        at = plane * PER_PLANE
        _expand_row(heads[first_plane + plane, row], columns, tile, lines[TRANSLATED + at :])
        if has_gain or has_ink:
            _expand_row(reduced[first_plane + plane, row], columns, tile, lines[REDUCED + at :])
    if has_ink:
        for head in range(4):
            _expand_row(heads[INK_HEADS + head, row], columns, tile, lines[OFFSET + head * LINE :])


@_kernel
def _expand_row(row, columns, tile, line):
    """Write the columns of a tile: at whole ratios in loops that vectorise, at the edges and else by runs."""
    x0 = tile * TILE
    begin, end = columns.alike[tile, 0], columns.alike[tile, 1]
    _expand_runs(row, columns, columns.tiles[tile], begin, x0, line)
    _expand_runs(row, columns, end, columns.tiles[tile + 1], x0, line)
    if begin == end:
        return
    start, left = np.int64(columns.at[begin]), np.int64(columns.left[begin])
    few, weights, target = (
        row[left : left + end - begin + 1],
        columns.along[start : start + 4],
        line[start - x0 :],
    )
    # One call per ratio: it is then a constant to the compiler.
    if columns.ratio == 1:
        _expand_alike(few, weights, 1, target)
    elif columns.ratio == 2:
        _expand_alike(few, weights, 2, target)
    elif columns.ratio == 3:
        _expand_alike(few, weights, 3, target)
    else:
        _expand_alike(few, weights, 4, target)


@_kernel
def _expand_alike(row, weights, ratio, line):
    """Write ``ratio`` columns between each two of a row, at the same weights."""
    real = line.dtype.type
    first, second, third, fourth = weights[0], weights[1], weights[2], weights[3]
    for x in range(row.shape[0] - 1):
        base = real(row[x])
        slope = real(row[x + 1]) - base
        line[ratio * x] = base + slope * first
        if ratio > 1:
            line[ratio * x + 1] = base + slope * second
        if ratio > 2:
            line[ratio * x + 2] = base + slope * third
        if ratio > 3:
            line[ratio * x + 3] = base + slope * fourth


@_kernel
def _expand_runs(row, columns, first, end, x0, line):
    """Write runs first..end; what one writes beyond its end is overwritten by the next, or is not used."""
    real = line.dtype.type
    for run in range(first, end):
        start, left = np.int64(columns.at[run]), np.uint64(columns.left[run])
        base, right = real(row[left]), real(row[left + np.uint64(1)])
        store_ramp(line, start - x0, columns.along, start, base, right - base)  # type: ignore[call-arg]


@_kernel
def _positions(above, below, down, line, offsets, n, y, size, stride, scalars):
    """Write where each pixel is fetched from: offset of the sample to the upper left, and fractions 0..1."""
    real = line.dtype.type
    limit, scale_x, scale_y = real(scalars.displacement), real(scalars.scale_x), real(scalars.scale_y)
    row, row_stride = real(y), np.int32(stride)
    last_whole_x, last_whole_y = real(size[1] - 2), real(size[0] - 2 - y)
    least_y, most_y = max(-limit * scale_y, -row), min(limit * scale_y, real(size[0] - 1 - y))
    for x in range(n):
        move_x = above[MOVE_X + x] + down * (below[MOVE_X + x] - above[MOVE_X + x])
        move_y = above[MOVE_Y + x] + down * (below[MOVE_Y + x] - above[MOVE_Y + x])
        move_x = min(max(move_x * scale_x, line[LEAST_X + x]), line[MOST_X + x])
        move_y = min(max(move_y * scale_y, least_y), most_y)
        # At the far edges the last pair of samples is used with fraction 1: there is no sample beyond.
        column = line[COLUMN + x]
        whole_x = min(np.floor(move_x), last_whole_x - column)
        whole_y = min(np.floor(move_y), last_whole_y)
        line[FRACTION_X + x] = move_x - whole_x
        line[FRACTION_Y + x] = move_y - whole_y
        skipped = np.int32(np.int32(row + whole_y) * row_stride)
        offsets[x] = np.uint32(skipped + np.int32(column + whole_x))


@_kernel
def _fetch(flat, offsets, n, stride, square):
    """Copy the 2 x 2 samples at each offset; two neighbours at a time, if the compiler sees it."""
    for x in range(n):
        upper = np.uint64(offsets[x])
        lower = upper + np.uint64(stride)
        a, b = flat[upper], flat[upper + np.uint64(1)]
        c, d = flat[lower], flat[lower + np.uint64(1)]
        square[4 * x] = a
        square[4 * x + 1] = b
        square[4 * x + 2] = c
        square[4 * x + 3] = d


@_kernel
def _request(flat, first, n):
    """Ask for samples to be brought near, without waiting: fetches follow no line hardware could guess."""
    for x in range(0, n, CACHE_LINE_BYTES // flat.itemsize):
        prefetch(flat, min(first + x, flat.shape[0] - 1))  # type: ignore[call-arg]


@_kernel
def _interpolate(square, line, n):
    """Write the source at each position, interpolated between the four samples."""
    real = line.dtype.type
    for x in range(n):
        a, b = real(square[4 * x]), real(square[4 * x + 1])
        c, d = real(square[4 * x + 2]), real(square[4 * x + 3])
        upper = a + line[FRACTION_X + x] * (b - a)
        lower = c + line[FRACTION_X + x] * (d - c)
        line[WARPED + x] = upper + line[FRACTION_Y + x] * (lower - upper)


@_kernel
def _copy(source, line):
    """Write the source as it is, where nothing moves."""
    real = line.dtype.type
    for x in range(source.shape[0]):
        line[WARPED + x] = real(source[x])


@_kernel
def _translate(above, below, down, line, n, scalars):
    """Write the translated picture, in legal codes."""
    real = line.dtype.type
    lowest, highest = real(scalars.lowest_legal), real(scalars.highest_legal)
    for x in range(n):
        value = above[TRANSLATED + x] + down * (below[TRANSLATED + x] - above[TRANSLATED + x])
        line[TARGET + x] = min(max(value, lowest), highest)


@_kernel
def _draw(above, below, down, source, line, n, scalars):
    """Write the translated luma with its ink, in legal codes."""
    real = line.dtype.type
    lowest, highest = real(scalars.lowest_legal), real(scalars.highest_legal)
    none, one = real(0), real(1)
    for x in range(n):
        seen = above[REDUCED + x] + down * (below[REDUCED + x] - above[REDUCED + x])
        offset = above[OFFSET + x] + down * (below[OFFSET + x] - above[OFFSET + x])
        rise = above[RISE + x] + down * (below[RISE + x] - above[RISE + x])
        fall = above[FALL + x] + down * (below[FALL + x] - above[FALL + x])
        amplitude = above[AMPLITUDE + x] + down * (below[AMPLITUDE + x] - above[AMPLITUDE + x])
        value = above[TRANSLATED + x] + down * (below[TRANSLATED + x] - above[TRANSLATED + x])
        detail = real(source[x]) - seen
        answer = offset + rise * max(detail, none) + fall * min(detail, none)
        value += amplitude * min(max(answer, -one), one)
        line[TARGET + x] = min(max(value, lowest), highest)


@_kernel
def _add_detail(above, below, above_plane, below_plane, down, source, line, n):
    """Add to the translated picture what the source has and its reduced picture has not, times the gain."""
    real = line.dtype.type
    none, most = real(0), real(2)
    for x in range(n):
        gain = above[GAIN + x] + down * (below[GAIN + x] - above[GAIN + x])
        seen = above_plane[REDUCED + x] + down * (below_plane[REDUCED + x] - above_plane[REDUCED + x])
        line[TARGET + x] += min(max(gain, none), most) * (real(source[x]) - seen)


@_kernel
def _blend(above, below, down, line, scalars, out):
    """Blend translated picture and source under the mask, round, and store."""
    real = line.dtype.type
    strength, highest, none, one, half = (
        real(scalars.strength),
        real(scalars.highest),
        real(0),
        real(1),
        real(0.5),
    )
    for x in range(out.shape[0]):
        mask = above[MASK + x] + down * (below[MASK + x] - above[MASK + x])
        mask = min(max(mask, none), one) * strength
        value = line[WARPED + x] + mask * (line[TARGET + x] - line[WARPED + x])
        out[x] = np.int32(min(max(value, none), highest) + half)
