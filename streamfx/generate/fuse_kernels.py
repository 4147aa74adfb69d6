"""The fused step of `fuse.py` as Numba kernels: one pass over the rows, no temporary of full size.

A band of rows is done in tiles of `TILE` columns, so that all but the planes stays in the first-level cache:

1. Two rows of the heads, above and below, are enlarged along the columns, once per row of the heads (`_expand`).
2. Per output row, the displacement is interpolated between the two and gives a position per pixel (`_positions`);
   the four samples around it are fetched, the one step that does not vectorise (`_fetch`), then `_interpolate`.
3. The translated picture and the mask are interpolated likewise, and all is blended, rounded and stored (`_blend`).

Where the mask is 1 all over a tile or the displacement 0, step 2 is left out. Positions are kept as whole samples
and a fraction, because a float32 coordinate is too coarse on a wide frame. Loops are short and separate because the
compiler then vectorises each; their lines lie at constant distances in one array for the same reason.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from streamfx.generate import fuse as definition

TILE = 640  # columns; divides the usual widths
RUN = 8  # columns written at once by _ramp
LINE = TILE + 2 * RUN

# Lines of enlarged heads, above or below: those that all planes use, then two per plane.
MASK, MOVE_X, MOVE_Y, GAIN, TRANSLATED, REDUCED = 0 * LINE, 1 * LINE, 2 * LINE, 3 * LINE, 4 * LINE, 5 * LINE
PER_PLANE = 2 * LINE
HEAD_LINES = 8 * LINE
# Lines of the output row in work.
COLUMN, LEAST_X, MOST_X = 0 * LINE, 1 * LINE, 2 * LINE
FRACTION_X, FRACTION_Y, WARPED, TARGET = 3 * LINE, 4 * LINE, 5 * LINE, 6 * LINE
ROW_LINES = 7 * LINE

MASK_HEAD, X_HEAD, Y_HEAD, GAIN_HEAD = (
    definition.MASK,
    definition.DISPLACEMENT_X,
    definition.DISPLACEMENT_Y,
    definition.GAIN,
)

# NaN and infinity keep their meaning; what is allowed changes a result by its last bit at most.
_kernel = njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})


class Columns(NamedTuple):
    """How columns of a plane lie between columns of the heads: runs of up to `RUN` that lie between the same two.

    Attributes:
        at: (n,) first column of each run, ascending; no run crosses the edge of a tile.
        left: (n,) column of the heads to the left of the run.
        tiles: (tiles + 1,) first run of each tile.
        along: (width + RUN,) weight of the right column, 0..1; its type is the one to compute in.
    """

    at: NDArray[np.uint32]
    left: NDArray[np.uint32]
    tiles: NDArray[np.int64]
    along: NDArray[np.floating]


class Rows(NamedTuple):
    """How rows of a plane lie between rows of the heads: the row above, and the weight of the one below, 0..1."""

    above: NDArray[np.int64]
    down: NDArray[np.floating]


class Limits(NamedTuple):
    """The scalars of the fused step. Scales turn a displacement in small-picture pixels into samples, at strength."""

    lowest_legal: float
    highest_legal: float
    highest: float
    strength: float
    displacement: float
    scale_y: float
    scale_x: float


@_kernel
def all_finite(bits):  # type: ignore[no-untyped-def]
    """Return whether float32 values (3-D, seen as uint32) are finite: in none are all bits of the exponent set."""
    broken = 0
    for channel in range(bits.shape[0]):
        for y in range(bits.shape[1]):
            row = bits[channel, y]
            for x in range(row.shape[0]):
                broken += (row[x] & np.uint32(0x7F800000)) == np.uint32(0x7F800000)
    return broken == 0


@_kernel
def fuse_band(
    sources,
    stride,
    size,
    heads,
    reduced,
    first_plane,
    planes,
    has_gain,
    rows,
    columns,
    limits,
    outs,
    first_row,
    end_row,
):  # type: ignore[no-untyped-def]
    """Fuse rows first_row..end_row of one plane (luma) or of two on the same grid (chroma)."""
    real = columns.along.dtype
    above, below, line = np.empty(HEAD_LINES, real), np.empty(HEAD_LINES, real), np.zeros(ROW_LINES, real)
    offsets, square = np.empty(LINE, np.uint32), np.empty(4 * LINE, sources[0].dtype)
    width, last = outs[0].shape[1], heads.shape[1] - 1
    for tile in range(columns.tiles.shape[0] - 1):
        x0 = tile * TILE
        n = min(TILE, width - x0)
        _number(line, x0, n, width, limits)
        held = -2
        opaque = still = False
        for y in range(first_row, end_row):
            row = rows.above[y]
            if row != held:
                if row == held + 1:
                    above, below = below, above
                else:
                    _expand(heads, reduced, row, first_plane, planes, has_gain, columns, tile, above)
                _expand(
                    heads, reduced, min(row + 1, last), first_plane, planes, has_gain, columns, tile, below
                )
                held = row
                opaque, still = _shortcuts(heads, row, min(row + 1, last), columns, tile, limits.strength)
            down = rows.down[y]
            if not (opaque or still):
                _positions(above, below, down, line, offsets, n, y, size, stride, limits)
            for plane in range(planes):
                source = sources[plane][y * stride + x0 : y * stride + x0 + n]
                if not (opaque or still):
                    _fetch(sources[plane], offsets, n, stride, square)
                    _interpolate(square, line, n)
                elif still:
                    _copy(source, line)
                at = plane * PER_PLANE
                _translate(above[at:], below[at:], down, line, n, limits)
                if has_gain:
                    _add_detail(above, below, above[at:], below[at:], down, source, line, n)
                _blend(above, below, down, line, limits, outs[plane][y, x0 : x0 + n])


@_kernel
def _number(line, x0, n, width, limits):  # type: ignore[no-untyped-def]
    """Write what stays the same for all rows of a tile: the number of each column and how far it may move."""
    real = line.dtype.type
    limit = real(limits.displacement * limits.scale_x)
    for x in range(n):
        line[COLUMN + x] = real(x0 + x)
        line[LEAST_X + x] = max(-limit, -real(x0 + x))
        line[MOST_X + x] = min(limit, real(width - 1 - x0 - x))


@_kernel
def _shortcuts(heads, row, under, columns, tile, strength):  # type: ignore[no-untyped-def]
    """Return (opaque, still): whether in this tile the mask is 1, so that no source is seen, or nothing moves."""
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
def _expand(heads, reduced, row, first_plane, planes, has_gain, columns, tile, lines):  # type: ignore[no-untyped-def]
    """Enlarge one row of the heads, and of the reduced planes, along the columns of a tile."""
    _expand_row(heads[MASK_HEAD, row], columns, tile, lines[MASK:])
    _expand_row(heads[X_HEAD, row], columns, tile, lines[MOVE_X:])
    _expand_row(heads[Y_HEAD, row], columns, tile, lines[MOVE_Y:])
    if has_gain:
        _expand_row(heads[GAIN_HEAD, row], columns, tile, lines[GAIN:])
    for plane in range(planes):
        at = plane * PER_PLANE
        _expand_row(heads[first_plane + plane, row], columns, tile, lines[TRANSLATED + at :])
        if has_gain:
            _expand_row(reduced[first_plane + plane, row], columns, tile, lines[REDUCED + at :])


@_kernel
def _expand_row(row, columns, tile, line):  # type: ignore[no-untyped-def]
    """Write the columns of a tile, run by run; what a run writes beyond its end is overwritten by the next."""
    real = line.dtype.type
    x0 = tile * TILE
    for run in range(columns.tiles[tile], columns.tiles[tile + 1]):
        start, left = np.int64(columns.at[run]), np.uint64(columns.left[run])
        base, right = real(row[left]), real(row[left + np.uint64(1)])
        _store_ramp(line, start - x0, columns.along, start, base, right - base)


@intrinsic  # type: ignore[misc]
def _store_ramp(
    context: Any, lines: Any, at: Any, along: Any, start: Any, base: Any, slope: Any
) -> tuple[Any, Any]:
    """``lines[at : at + RUN] = base + slope · along[start : start + RUN]``, as one vector operation each.

    The loop vectoriser needs long loops and the compiler's other vectoriser is off in Numba, hence by hand; it is
    generic LLVM, not tied to a CPU.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines_type, _, along_type, _, real, _ = signature.args
        vector = ir.VectorType(context.get_value_type(real), RUN)
        undefined = ir.Constant(vector, ir.Undefined)
        index = ir.IntType(32)

        def everywhere(value: Any) -> Any:
            one = builder.insert_element(undefined, value, index(0))
            return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(index, RUN), [0] * RUN))

        def pointer(array_type: Any, array: Any, position: Any) -> Any:
            data = context.make_array(array_type)(context, builder, array).data
            return builder.bitcast(builder.gep(data, [position]), vector.as_pointer())

        weights = builder.load(pointer(along_type, arguments[2], arguments[3]), align=real.bitwidth // 8)
        rise = builder.fmul(everywhere(arguments[5]), weights, flags=("contract",))
        value = builder.fadd(everywhere(arguments[4]), rise, flags=("contract",))
        builder.store(value, pointer(lines_type, arguments[0], arguments[1]), align=real.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(lines, types.intp, along, types.intp, lines.dtype, lines.dtype), generate


@_kernel
def _positions(above, below, down, line, offsets, n, y, size, stride, limits):  # type: ignore[no-untyped-def]
    """Write where each pixel is fetched from: offset of the sample to the upper left, and fractions 0..1."""
    real = line.dtype.type
    limit, scale_x, scale_y = real(limits.displacement), real(limits.scale_x), real(limits.scale_y)
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
def _fetch(flat, offsets, n, stride, square):  # type: ignore[no-untyped-def]
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
def _interpolate(square, line, n):  # type: ignore[no-untyped-def]
    """Write the source at each position, interpolated between the four samples."""
    real = line.dtype.type
    for x in range(n):
        a, b = real(square[4 * x]), real(square[4 * x + 1])
        c, d = real(square[4 * x + 2]), real(square[4 * x + 3])
        upper = a + line[FRACTION_X + x] * (b - a)
        lower = c + line[FRACTION_X + x] * (d - c)
        line[WARPED + x] = upper + line[FRACTION_Y + x] * (lower - upper)


@_kernel
def _copy(source, line):  # type: ignore[no-untyped-def]
    """Write the source as it is, where nothing moves."""
    real = line.dtype.type
    for x in range(source.shape[0]):
        line[WARPED + x] = real(source[x])


@_kernel
def _translate(above, below, down, line, n, limits):  # type: ignore[no-untyped-def]
    """Write the translated picture, in legal codes."""
    real = line.dtype.type
    lowest, highest = real(limits.lowest_legal), real(limits.highest_legal)
    for x in range(n):
        value = above[TRANSLATED + x] + down * (below[TRANSLATED + x] - above[TRANSLATED + x])
        line[TARGET + x] = min(max(value, lowest), highest)


@_kernel
def _add_detail(above, below, above_plane, below_plane, down, source, line, n):  # type: ignore[no-untyped-def]
    """Add to the translated picture what the source has and its reduced picture has not, times the gain."""
    real = line.dtype.type
    none, most = real(0), real(2)
    for x in range(n):
        gain = above[GAIN + x] + down * (below[GAIN + x] - above[GAIN + x])
        seen = above_plane[REDUCED + x] + down * (below_plane[REDUCED + x] - above_plane[REDUCED + x])
        line[TARGET + x] += min(max(gain, none), most) * (real(source[x]) - seen)


@_kernel
def _blend(above, below, down, line, limits, out):  # type: ignore[no-untyped-def]
    """Blend translated picture and source under the mask, round, and store."""
    real = line.dtype.type
    strength, highest, none, one, half = (
        real(limits.strength),
        real(limits.highest),
        real(0),
        real(1),
        real(0.5),
    )
    for x in range(out.shape[0]):
        mask = above[MASK + x] + down * (below[MASK + x] - above[MASK + x])
        mask = min(max(mask, none), one) * strength
        value = line[WARPED + x] + mask * (line[TARGET + x] - line[WARPED + x])
        out[x] = np.int32(min(max(value, none), highest) + half)
