"""What differs between two films: their pictures, how they are to be shown, and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from streamfx.jobs.reading import Film, Pictures
from streamfx.jobs.track_differences import TrackDifference, compare_tags, compare_tracks
from streamfx.media.frame import ChromaLocation, CodeRange, Matrix

_SOON_SECONDS = 0.0025  # containers round times, Matroska to milliseconds
_BLACK, _EVEN = 0.06, 0.02
_FROZEN_CODES, _MOVING_CODES = 0.02, 0.3
_STRETCH_SECONDS = 0.5
_MOST_TOLD = 3
# What they hold was converted by the source's matrix, and has none.
_RGB_ENDINGS = (".png", ".apng", ".gif", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of pictures, in seconds."""

    start: float
    end: float

    def __str__(self) -> str:
        return f"from {self.start:.2f} s to {self.end:.2f} s"


def compare_films(source: Film, output: Film) -> Iterator[TrackDifference]:
    """Yield everything that the output lacks, has beside, or shows differently."""
    yield from compare_pictures(source.pictures, output.pictures)
    yield from _compare_format(source, output)
    yield from compare_tracks(source, output)
    yield from compare_tags(source, output)


def compare_pictures(source: Pictures, output: Pictures) -> Iterator[TrackDifference]:
    """Yield differences in number and times of pictures, and where only the output is black or stands still.

    Pictures belong together that are shown at the same time, counted from the first.
    """
    if output.broken:
        yield TrackDifference("frames", f"{output.broken} frames of the output cannot be decoded")
    pairs, missing, added = _paired(source.seconds, output.seconds)
    if missing or added or len(source.seconds) != len(output.seconds):
        counts = f"{len(source.seconds)} in the source, {len(output.seconds)} in the output"
        where = [f"none in the output at {_times(missing)}"] if missing else []
        where += [f"none in the source at {_times(added)}"] if added else []
        yield TrackDifference("frames", f"frames: {counts}{'; ' if where else ''}{'; '.join(where)}")
    late = [(s, o) for s, o in pairs if abs(_off(source.seconds, output.seconds, s, o)) > _SOON_SECONDS]
    if late:
        worst = max(late, key=lambda pair: abs(_off(source.seconds, output.seconds, *pair)))
        off_ms = _off(source.seconds, output.seconds, *worst) * 1000
        yield TrackDifference(
            "times", f"{len(late)} frames are shown at other times, at most {off_ms:+.1f} ms off, "
            f"at {source.seconds[worst[0]]:.3f} s"
        )  # fmt: skip
    for what, stretch in _new_stretches(source, output, pairs):
        yield TrackDifference(
            what, f"the output {'is black' if what == 'black' else 'stands still'} {stretch}"
        )


def _off(source: Sequence[float], output: Sequence[float], s: int, o: int) -> float:
    return (output[o] - output[0]) - (source[s] - source[0])


def _paired(
    source: Sequence[float], output: Sequence[float]
) -> tuple[list[tuple[int, int]], list[float], list[float]]:
    """Return the pairs of pictures (indices), and the times of those of either film that have no partner."""
    pairs, missing, added = [], [], []
    s = o = 0
    while s < len(source) and o < len(output):
        off = _off(source, output, s, o)
        near = _near(source, s)
        if abs(off) <= near or (off > 0 and len(source) - s <= len(output) - o and abs(off) < 2 * near):
            pairs.append((s, o))
            s, o = s + 1, o + 1
        elif off > 0:
            missing.append(source[s])
            s += 1
        else:
            added.append(output[o])
            o += 1
    return pairs, [*missing, *source[s:]], [*added, *output[o:]]


def _near(seconds: Sequence[float], at: int) -> float:
    """Return half the distance to the nearest neighbour: up to there a picture is meant."""
    distances = [abs(seconds[at] - seconds[other]) for other in (at - 1, at + 1) if 0 <= other < len(seconds)]
    return min(distances, default=1.0) / 2


def _times(seconds: Sequence[float]) -> str:
    shown = ", ".join(f"{each:.3f}" for each in seconds[:_MOST_TOLD])
    more = f" and at {len(seconds) - _MOST_TOLD} more times" if len(seconds) > _MOST_TOLD else ""
    return f"{shown} s{more}"


def _new_stretches(
    source: Pictures, output: Pictures, pairs: Sequence[tuple[int, int]]
) -> Iterator[tuple[str, Stretch]]:
    black = [
        output.brightness[o] < _BLACK
        and output.contrast[o] < _EVEN
        and not (source.brightness[s] < 2 * _BLACK and source.contrast[s] < 2 * _EVEN)
        for s, o in pairs
    ]
    still = [output.change[o] < _FROZEN_CODES and source.change[s] > _MOVING_CODES for s, o in pairs]
    for what, marks in (("black", black), ("frozen", still)):
        for first, last in _runs(marks):
            start, end = output.seconds[pairs[first][1]], output.seconds[pairs[last][1]]
            if end - start >= _STRETCH_SECONDS:
                yield what, Stretch(start, end)


def _runs(marks: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of each run of marks."""
    first = None
    for number, mark in enumerate([*marks, False]):
        if mark and first is None:
            first = number
        elif not mark and first is not None:
            yield first, number - 1
            first = None


def _compare_format(source: Film, output: Film) -> Iterator[TrackDifference]:
    before, after = source.format, output.format
    if _other_size(before.size, after.size):
        yield TrackDifference(
            "size", f"size: {_size(before.size)} in the source, {_size(after.size)} in the output"
        )
    if before.rotation_degrees != after.rotation_degrees:
        degrees = f"{before.rotation_degrees} in the source, {after.rotation_degrees} in the output"
        yield TrackDifference("rotation", f"degrees to be turned: {degrees}")
    shape, other_shape = (each.sample_aspect_ratio or 1 for each in (before, after))
    if abs(float(shape) / float(other_shape) - 1) > 0.005:
        yield TrackDifference(
            "shape", f"pixels: {shape} wide to high in the source, {other_shape} in the output"
        )
    if after.depth < before.depth:
        yield TrackDifference("depth", f"bits: {before.depth} in the source, {after.depth} in the output")
    colour, other = before.colour, after.colour
    said = (
        ("matrix", colour.matrix.name.lower(), other.matrix.name.lower(), Matrix.UNKNOWN.name.lower()),
        ("range", colour.code_range.value, other.code_range.value, CodeRange.UNKNOWN.value),
        ("primaries", colour.primaries, other.primaries, 2),
        ("transfer", colour.transfer, other.transfer, 2),
        (
            "chroma location", colour.chroma_location.value, other.chroma_location.value,
            ChromaLocation.UNKNOWN.value,
        ),
    )  # fmt: skip
    rgb = output.name.lower().endswith(_RGB_ENDINGS)
    for name, was, is_now, unknown in said:
        if rgb and name in ("matrix", "range", "chroma location"):
            continue
        limited = name == "range" and was == CodeRange.LIMITED.value and is_now == unknown
        # Where chroma lies, the reader knows of those codings alone that fix it.
        unread = name == "chroma location" and is_now == unknown
        if was not in (unknown, is_now) and not limited and not unread:
            yield TrackDifference("colour", f"colour {name}: {was} in the source, {is_now} in the output")
    if before.hdr is not None and before.hdr != after.hdr:
        what = "missing" if after.hdr is None else "other"
        yield TrackDifference("hdr", f"HDR metadata: {what} in the output")
    if before.alpha and not after.alpha:
        yield TrackDifference("alpha", "alpha: missing in the output")


def _other_size(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Return whether a size is no whole multiple of the other, rows or columns for even sides apart."""
    scale = max(round(after[0] / before[0]), 1)
    return any(not 0 <= new - old * scale <= 1 for old, new in zip(before, after, strict=True))


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def longest_gap(seconds: Sequence[float]) -> float:
    """Return the longest time between two pictures, in seconds; 0 where there are no two."""
    return max((after - before for before, after in pairwise(seconds)), default=0.0)
