"""Loops of the operators over every pixel, as Numba kernels for one thread.

Legend of shapes: H x W picture, C channels. Places outside the picture take the nearest pixel's values. A
direction is a unit vector (x, y) along the local edge, of either sign.
"""

# mypy: allow-untyped-defs
# Kernels have no annotations: Numba takes the types of the first call.

from __future__ import annotations

import numba
import numpy as np

SECTORS = 8  # of the disc of the Kuwahara filter

_kernel = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
_inline = numba.njit(cache=True, nogil=True, inline="always", fastmath={"contract", "reassoc", "nsz", "arcp"})


@_inline
def _corner(place, size):
    """Lower neighbour of a place on an axis of `size` pixels, and the share of the upper one."""
    place = min(max(place, np.float32(0)), np.float32(size - 1))
    low = min(int(place), size - 2) if size > 1 else 0
    return low, np.float32(place - low)


@_inline
def _turned(direction, x, y, ahead_x, ahead_y):
    """Direction at the pixel nearest to a place, with the sign that goes on where `ahead` goes."""
    row = min(max(int(y + np.float32(0.5)), 0), direction.shape[0] - 1)
    column = min(max(int(x + np.float32(0.5)), 0), direction.shape[1] - 1)
    next_x, next_y = direction[row, column, 0], direction[row, column, 1]
    if next_x * ahead_x + next_y * ahead_y < 0:
        return -next_x, -next_y
    return next_x, next_y


@_kernel
def sum_along(planes, direction, shares, out):
    """Write to `out` HWC the planes HWC weighted along the flow: shares[k] for the places k pixels off."""
    height, width, channels = planes.shape
    whole = np.float32(1 / (shares[0] + 2 * shares[1:].sum()))
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                out[row, column, channel] = shares[0] * planes[row, column, channel]
            for sign in (np.float32(-1), np.float32(1)):
                x, y = np.float32(column), np.float32(row)
                ahead_x, ahead_y = sign * direction[row, column, 0], sign * direction[row, column, 1]
                for step in range(1, shares.size):
                    x += ahead_x
                    y += ahead_y
                    left, right_share = _corner(x, width)
                    top, low_share = _corner(y, height)
                    right, low = min(left + 1, width - 1), min(top + 1, height - 1)
                    for channel in range(channels):
                        upper = planes[top, left, channel]
                        upper += right_share * (planes[top, right, channel] - upper)
                        lower = planes[low, left, channel]
                        lower += right_share * (planes[low, right, channel] - lower)
                        out[row, column, channel] += shares[step] * (upper + low_share * (lower - upper))
                    ahead_x, ahead_y = _turned(direction, x, y, ahead_x, ahead_y)
            for channel in range(channels):
                out[row, column, channel] *= whole


@_kernel
def profile_across(plane, direction, narrow, wide, out):
    """Write to `out` HW2 the difference of the means by the weights `narrow` and `wide` on the line across
    the flow, and the variance by `wide`; weights[k] count for both places k pixels off, wide ones last."""
    height, width = plane.shape
    narrow_whole = np.float32(1 / (narrow[0] + 2 * narrow[1:].sum()))
    wide_whole = np.float32(1 / (wide[0] + 2 * wide[1:].sum()))
    for row in range(height):
        for column in range(width):
            across_x, across_y = -direction[row, column, 1], direction[row, column, 0]
            here = plane[row, column]
            narrow_sum = wide_sum = squares = np.float32(0)
            for step in range(1, wide.size):
                for away in (-step, step):
                    left, right_share = _corner(np.float32(column) + away * across_x, width)
                    top, low_share = _corner(np.float32(row) + away * across_y, height)
                    right, low = min(left + 1, width - 1), min(top + 1, height - 1)
                    upper = plane[top, left] + right_share * (plane[top, right] - plane[top, left])
                    lower = plane[low, left] + right_share * (plane[low, right] - plane[low, left])
                    beyond = upper + low_share * (lower - upper) - here
                    narrow_sum += narrow[step] * beyond
                    wide_sum += wide[step] * beyond
                    squares += wide[step] * beyond * beyond
            mean = wide_sum * wide_whole
            out[row, column, 0] = narrow_sum * narrow_whole - mean
            out[row, column, 1] = max(squares * wide_whole - mean * mean, np.float32(0))


@_kernel
def even_out(planes, direction, shares, likeness, closeness, bent, out):
    """Write to `out` HW3 the planes HW3 averaged along the flow (`bent`) or straight across it, by distance
    (shares[k] for the places k pixels off) and by likeness[int(closeness * squared difference)]."""
    height, width, _ = planes.shape
    for row in range(height):
        for column in range(width):
            first, second, third = planes[row, column, 0], planes[row, column, 1], planes[row, column, 2]
            whole = shares[0]
            first_sum, second_sum, third_sum = whole * first, whole * second, whole * third
            for sign in (np.float32(-1), np.float32(1)):
                x, y = np.float32(column), np.float32(row)
                ahead_x, ahead_y = sign * direction[row, column, 0], sign * direction[row, column, 1]
                if not bent:
                    ahead_x, ahead_y = -ahead_y, ahead_x
                for step in range(1, shares.size):
                    x += ahead_x
                    y += ahead_y
                    left, right_share = _corner(x, width)
                    top, low_share = _corner(y, height)
                    right, low = min(left + 1, width - 1), min(top + 1, height - 1)
                    nw = (1 - right_share) * (1 - low_share)
                    ne = right_share * (1 - low_share)
                    sw = (1 - right_share) * low_share
                    se = right_share * low_share
                    a = nw * planes[top, left, 0] + ne * planes[top, right, 0]
                    a += sw * planes[low, left, 0] + se * planes[low, right, 0]
                    b = nw * planes[top, left, 1] + ne * planes[top, right, 1]
                    b += sw * planes[low, left, 1] + se * planes[low, right, 1]
                    c = nw * planes[top, left, 2] + ne * planes[top, right, 2]
                    c += sw * planes[low, left, 2] + se * planes[low, right, 2]
                    unlike = (a - first) ** 2 + (b - second) ** 2 + (c - third) ** 2
                    share = shares[step] * likeness[min(int(closeness * unlike), likeness.size - 1)]
                    whole += share
                    first_sum += share * a
                    second_sum += share * b
                    third_sum += share * c
                    if bent:
                        ahead_x, ahead_y = _turned(direction, x, y, ahead_x, ahead_y)
            out[row, column, 0] = first_sum / whole
            out[row, column, 1] = second_sum / whole
            out[row, column, 2] = third_sum / whole


@_kernel
def kuwahara(planes, direction, straightness, places, sectors, shares, stretch, sharpness, out):
    """Write to `out` HW3 the means of the sectors of an ellipse around every pixel, the even ones above all.

    The ellipse is a disc, drawn out along the flow and narrowed across it by `stretch` where edges are
    straight. Its N `places` (N, 2) lie along and across the flow; place n counts for sectors[n] and the next
    one by shares[n] (two weights, which sum to 1 over each sector). Differences are of 0..1.
    """
    height, width, _ = planes.shape
    sums = np.empty((SECTORS, 4), np.float32)
    for row in range(height):
        for column in range(width):
            longer = 1 + stretch * straightness[row, column]
            along_x, along_y = direction[row, column, 0], direction[row, column, 1]
            across_x, across_y = -along_y / longer, along_x / longer
            along_x, along_y = along_x * longer, along_y * longer
            sums[:] = 0
            for place in range(places.shape[0]):
                ahead, aside = places[place, 0], places[place, 1]
                x = np.float32(column) + ahead * along_x + aside * across_x + np.float32(0.5)
                y = np.float32(row) + ahead * along_y + aside * across_y + np.float32(0.5)
                right = int(min(max(x, np.float32(0)), np.float32(width - 1)))
                low = int(min(max(y, np.float32(0)), np.float32(height - 1)))
                a, b, c = planes[low, right, 0], planes[low, right, 1], planes[low, right, 2]
                square = a * a + b * b + c * c
                sector, share = sectors[place], shares[place, 0]
                sums[sector, 0] += share * a
                sums[sector, 1] += share * b
                sums[sector, 2] += share * c
                sums[sector, 3] += share * square
                sector, share = (sector + 1) % SECTORS, shares[place, 1]
                sums[sector, 0] += share * a
                sums[sector, 1] += share * b
                sums[sector, 2] += share * c
                sums[sector, 3] += share * square
            whole = a = b = c = np.float32(0)
            for sector in range(SECTORS):
                mean_a, mean_b, mean_c = sums[sector, 0], sums[sector, 1], sums[sector, 2]
                variance = sums[sector, 3] - mean_a * mean_a - mean_b * mean_b - mean_c * mean_c
                uneven = max(variance, np.float32(0)) * sharpness
                share = 1 / (1 + uneven * uneven * uneven * uneven)
                whole += share
                a += share * mean_a
                b += share * mean_b
                c += share * mean_c
            out[row, column, 0], out[row, column, 1], out[row, column, 2] = a / whole, b / whole, c / whole


@_kernel
def wave_across(plane, direction, shares, out):
    """Write to `out` HW the sum over the line across the flow of shares[k] for both places k pixels off, of
    what a plane HW has there beyond its value in the middle."""
    height, width = plane.shape
    for row in range(height):
        for column in range(width):
            across_x, across_y = -direction[row, column, 1], direction[row, column, 0]
            here = plane[row, column]
            total = np.float32(0)
            for step in range(1, shares.size):
                for away in (-step, step):
                    left, right_share = _corner(np.float32(column) + away * across_x, width)
                    top, low_share = _corner(np.float32(row) + away * across_y, height)
                    right, low = min(left + 1, width - 1), min(top + 1, height - 1)
                    upper = plane[top, left] + right_share * (plane[top, right] - plane[top, left])
                    lower = plane[low, left] + right_share * (plane[low, right] - plane[low, left])
                    total += shares[step] * (upper + low_share * (lower - upper) - here)
            out[row, column] = total
