"""What differs between the tracks of two films, decoded, and between what is said of them: tags, chapters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from streamfx.jobs.reading import Film, Sound, Track

_SOUND_SECONDS = 0.08  # converted sound begins and ends with a frame of its coding
_TEXT_SECONDS = 0.02
_LEVEL_SHARE, _LEVEL_LEAST = 0.3, 0.01  # by how much loudness may change when sound is converted
_OF_THE_FILE = frozenset({
    "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "creation_time", "alpha_mode",
    "rotate", "bps", "number_of_frames", "number_of_bytes", "handler_name", "vendor_id",
})  # fmt: skip
_UNSTATED = "und"  # a language that is not known
_DEFAULT = 1  # FFmpeg's flag of a track that is played unless told otherwise


class TrackDifference(NamedTuple):
    """One difference: what it is about, a sentence, and the number of the stream of the output concerned."""

    about: str
    text: str
    output_stream: int | None = None


def compare_tracks(source: Film, output: Film) -> Iterator[TrackDifference]:
    left = list(output.tracks)
    kinds: set[str] = set()
    shift = _shift(source, output)
    for track in source.tracks:
        partner = next((other for other in left if _alike(track, other)), None)
        if partner is None:
            yield TrackDifference("tracks", f"{track.name}: missing in the output")
            continue
        left.remove(partner)
        is_first = partner.stream.kind not in kinds
        kinds.add(partner.stream.kind)
        yield from _compare_track(track, partner, shift, is_first=is_first)
    for track in left:
        yield TrackDifference("tracks", f"{track.name} of the output: not in the source")


def _alike(track: Track, other: Track) -> bool:
    return track.stream.kind == other.stream.kind


def _shift(source: Film, output: Film) -> float:
    """Return by how much the output's clock is ahead of the source's, as the pictures tell."""
    if not source.pictures.seconds or not output.pictures.seconds:
        return 0.0
    return output.pictures.seconds[0] - source.pictures.seconds[0]


def _compare_track(track: Track, other: Track, shift: float, *, is_first: bool) -> Iterator[TrackDifference]:
    if other.broken > track.broken:
        yield TrackDifference(
            "tracks", f"{track.name}: {other.broken} packets of the output cannot be decoded"
        )
    same_coding = track.stream.codec == other.stream.codec and not track.converted
    if track.stream.kind == "audio":
        for text in compare_sound(track.sound, other.sound, shift, same_coding=same_coding):
            yield TrackDifference("sound", f"{track.name}: {text}")
    elif track.stream.kind in ("subtitle", "data"):
        for text in _compare_texts(track, other, shift, same_coding=same_coding):
            yield TrackDifference(
                "subtitles" if track.stream.kind == "subtitle" else "data", f"{track.name}: {text}"
            )
    number = other.stream.index
    for name, was, now in (
        ("language", track.tags.get("language", _UNSTATED), other.tags.get("language", _UNSTATED)),
        ("title", _title(track), _title(other)),
    ):
        if was not in ("", _UNSTATED, now):
            text = f"{track.name}: {name} {was!r} in the source, {now!r} in the output"
            yield TrackDifference("tags", text, number)
    # Some containers make the first of a kind its default, where none is said to be; the first is played
    # where they say none.
    matters = ~_DEFAULT if other.disposition & _DEFAULT or is_first else ~0
    if (track.disposition ^ other.disposition) & matters and track.stream.kind != "video":
        flags = f"{track.disposition:#x} in the source, {other.disposition:#x} in the output"
        yield TrackDifference("tags", f"{track.name}: dispositions {flags}", number)


def _title(track: Track) -> str:
    """Return the title of a track, which MP4 and MOV call its name."""
    return track.tags.get("title", track.tags.get("name", ""))


def compare_sound(sound: Sound, other: Sound, shift: float, *, same_coding: bool) -> Iterator[str]:
    """Yield how two sounds differ, decoded.

    Args:
        sound: sound of the source.
        other: samples of the output.
        shift: time by which the output's clock is ahead, in seconds.
        same_coding: whether it should be the very same samples, being copied; else only as loud at all times.
    """
    if sound.first_seconds is None or other.first_seconds is None:
        if sound.first_seconds is not None:
            yield "silent in the output: no sample in it can be decoded"
        return
    if (sound.rate_hz, sound.layout) != (other.rate_hz, other.layout) and same_coding:
        was, now = (f"{each.rate_hz} Hz {each.layout}" for each in (sound, other))
        yield f"{was} in the source, {now} in the output"
    for what, before, after in (
        ("starts", sound.first_seconds, other.first_seconds - shift),
        ("ends", sound.end_seconds, other.end_seconds - shift),
    ):
        if abs(after - before) > _SOUND_SECONDS:
            yield f"{what} at {before:.3f} s in the source, at {after:.3f} s in the output"
    if len(other.gaps) > len(sound.gaps):
        start, end = other.gaps[-1]
        yield f"{len(other.gaps)} gaps in the output, the last from {start:.2f} s to {end:.2f} s"
    unlike, count = _unlike_seconds(sound, other), len(sound.digests)
    if same_coding and not unlike:
        return
    # If nearly all differ, they are counted from another sample: MPEG-TS does not say which to leave out.
    if same_coding and len(unlike) <= (count - 1) / 2:
        yield f"other samples in {len(unlike)} of {count} seconds, the first from {unlike[0]} s on"
        return
    unlike_tenths = _unlike_levels(sound, other, shift)
    if unlike_tenths:
        first = unlike_tenths[0] / 10
        yield f"sounds different in {len(unlike_tenths)} tenths of a second, the first at {first:.1f} s"


def _unlike_seconds(sound: Sound, other: Sound) -> list[int]:
    """Return the seconds, counted from the first sample, whose samples differ; the last one may be cut."""
    return [
        second
        for second, digest in sound.digests.items()
        if second != max(sound.digests)
        and (second not in other.digests or digest.digest() != other.digests[second].digest())
    ]


def _unlike_levels(sound: Sound, other: Sound, shift: float) -> list[int]:
    moved = round(shift * 10)
    edges = 2  # where it begins and ends, a frame of the coding may be cut elsewhere
    found = []
    tenths = sorted(sound.levels)[edges : -edges or None]
    for tenth in tenths:
        was = _level(sound, tenth)
        around = [_level(other, tenth + moved + near) for near in (-1, 0, 1)]
        if not any(abs(now - was) <= max(_LEVEL_SHARE * was, _LEVEL_LEAST) for now in around):
            found.append(tenth)
    return found


def _level(sound: Sound, tenth: int) -> float:
    squares, count = sound.levels.get(tenth, (0.0, 0.0))
    return math.sqrt(squares / count) if count else 0.0


def _compare_texts(track: Track, other: Track, shift: float, *, same_coding: bool) -> Iterator[str]:
    if len(track.texts) != len(other.texts):
        yield f"{len(track.texts)} entries in the source, {len(other.texts)} in the output"
        return
    for (start, _, said), (now, _, says) in zip(track.texts, other.texts, strict=True):
        if said != says and (same_coding or _unstyled(said) != _unstyled(says)):
            yield f"at {start:.2f} s: {said[:40]!r} in the source, {says[:40]!r} in the output"
            return
        if abs(now - shift - start) > _TEXT_SECONDS:
            yield f"{said[:40]!r}: at {start:.2f} s in the source, at {now - shift:.2f} s in the output"
            return


def _unstyled(text: str) -> str:
    """Return a text without the styles in it, which formats state in different ways (ASS: in braces)."""
    return re.sub(r"\{\\[^}]*\}", "", text).strip()


def compare_tags(source: Film, output: Film) -> Iterator[TrackDifference]:
    for where, tags, others in (
        ("", source.tags, output.tags),
        ("of the video, ", source.video_tags, output.video_tags),
    ):
        kept = {key.lower(): value for key, value in others.items()}
        for key, value in tags.items():
            name = key.lower()
            if name.split("-")[0] in _OF_THE_FILE or name.startswith("_statistics") or value == "und":
                continue
            if kept.get(name) != value:
                now = repr(kept[name]) if name in kept else "missing"
                yield TrackDifference(
                    "tags", f"tag {where}{key}: {value!r} in the source, {now} in the output"
                )
    if len(source.chapters) != len(output.chapters):
        counts = f"{len(source.chapters)} in the source, {len(output.chapters)} in the output"
        yield TrackDifference("chapters", f"chapters: {counts}")
        return
    for before, after in zip(source.chapters, output.chapters, strict=True):
        if before[2] != after[2] or abs(before[0] - after[0]) > _TEXT_SECONDS:
            yield TrackDifference(
                "chapters",
                f"chapter {before[2]!r} at {before[0]:.2f} s: {after[2]!r} at {after[0]:.2f} s in the output",
            )
