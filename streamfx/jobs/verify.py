"""Verify: any pair of films read from end to end, and everything said that differs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, computed_field

from streamfx.capture.files.preparation import Preparation
from streamfx.config.tracks import track_choice
from streamfx.config.values import FileName
from streamfx.encode.opening import shows_as_coded
from streamfx.errors import ConfigError
from streamfx.jobs.differences import compare_films, longest_gap
from streamfx.jobs.reading import Film, read_film
from streamfx.jobs.track_differences import TrackDifference
from streamfx.media.geometry import geometry_of
from streamfx.media.part import part_of
from streamfx.media.paths import printable
from streamfx.media.rates import rate_of

# By which word a note of a run tells of a difference.
_TOLD_BY = {
    "hdr": "HDR",
    "alpha": "alpha",
    "depth": "converted from",
    "shape": "pixels are",
    "tags": "tag",
    "times": "whatever their times",
    "chapters": "chapter",
    "rotation": "turn",
    "size": "pictures are",
}


class FilmDifference(BaseModel):
    """One difference.

    Attributes:
        about: frames, times, size, rotation, shape, depth, colour, hdr, alpha, black, frozen, tracks, sound,
            subtitles, data, tags or chapters.
        text: a sentence.
        known: whether the report of the run said it.
    """

    model_config = ConfigDict(frozen=True)

    about: str
    text: str
    known: bool = False


class FilmFacts(BaseModel):
    """What was read of a film."""

    model_config = ConfigDict(frozen=True)

    name: FileName
    frames: int
    first_seconds: float | None
    last_seconds: float | None
    longest_gap_seconds: float
    tracks: tuple[str, ...]


class Verification(BaseModel):
    """What came of comparing an output with its source.

    Attributes:
        source: source as read.
        output: output as read.
        differences: all of them.
    """

    model_config = ConfigDict(frozen=True)

    source: FilmFacts
    output: FilmFacts
    differences: tuple[FilmDifference, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> int:
        """0: nothing differs but what the report said. 1: something does."""
        return int(any(not found.known for found in self.differences))

    def summary(self) -> str:
        """Return what differs, a line each; or that nothing does, and what was compared."""
        lines = [f"{'as reported: ' if found.known else ''}{found.text}" for found in self.differences]
        if not self.exit_code:
            tracks = f"{len(self.output.tracks)} other track{'' if len(self.output.tracks) == 1 else 's'}"
            but = " but for what was reported" if lines else ""
            lines.append(
                f"{self.output.name}: all there{but}; {self.output.frames} frames and {tracks} compared"
            )
        return "\n".join(lines)


def verify(
    input: str | PathLike[str],
    output: str | PathLike[str],
    *,
    report: str | PathLike[str] | None = None,
) -> Verification:
    """Read two films from end to end and return what differs between them, but for what an effect changes.

    Compared are the number and times of pictures; size, shape, rotation, colours, HDR metadata; all other
    tracks, decoded; tags and chapters; and where the output alone is black or stands still. Both are read by
    the reader that runs read their sources with.

    Args:
        input: the source.
        output: film that was made of it.
        report: report of the run: what it says of itself is marked as known, and the source is read as it
            was then: the part, tracks, geometry and rate that were asked for.

    Raises:
        SourceOpenError: one of them cannot be read.
        ConfigError: the report is none.

    Example:
        >>> verification = verify("in.mp4", "in.mp4")
        >>> verification.exit_code, verification.differences
        (0, ())
    """
    told = _read_report(report) if report is not None else {}
    config = told.get("config", {})
    limit = config.get("limits", {}).get("frames")
    source = read_film(
        fspath(input),
        frames=limit,
        preparation=_preparation(config, fspath(output)),
        choice=track_choice(config),
    )
    _mark_converted(source, told.get("notes", ()))
    made = read_film(fspath(output))
    return Verification(
        source=_facts(source),
        output=_facts(made),
        differences=tuple(
            FilmDifference(
                about=each.about, text=printable(each.text), known=_is_known(each, told, source, made)
            )
            for each in compare_films(source, made)
        ),
    )


def _mark_converted(source: Film, notes: Sequence[str]) -> None:
    for track in source.tracks:
        track.converted = any(note.startswith(f"{printable(track.name)} is converted to") for note in notes)


def _facts(film: Film) -> FilmFacts:
    seconds = film.pictures.seconds
    return FilmFacts(
        name=film.name,
        frames=len(seconds),
        first_seconds=seconds[0] if seconds else None,
        last_seconds=seconds[-1] if seconds else None,
        longest_gap_seconds=longest_gap(seconds),
        tracks=tuple(printable(track.name) for track in film.tracks),
    )


def _preparation(config: dict[str, Any], output: str) -> Preparation:
    """Return what was done to the source: the part that was read, its geometry and its rate."""
    part, geometry, fps = (
        [config.get(name) for name in names]
        for names in (("start", "end", "duration"), ("size", "crop", "rotate", "flip"), ("fps",))
    )
    return Preparation(
        upright=bool(config) and shows_as_coded(output),
        part=part_of(*part),
        geometry=geometry_of(*geometry),
        rate_fps=None if fps[0] is None else rate_of(fps[0]),
    )


def _read_report(path: str | PathLike[str]) -> dict[str, Any]:
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"report {path}: cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if not isinstance(told, dict) or "result" not in told:
        raise ConfigError(f"report {path}: is none; give the file that --report wrote")
    return told


def _is_known(difference: TrackDifference, told: dict[str, Any], source: Film, output: Film) -> bool:
    """Return whether the report of the run says so: in its account, or in a note on what is not as it was."""
    if not told:
        return False
    notes: Sequence[str] = told.get("notes", ())
    if difference.about == "frames":
        account = told["result"]["account"]
        written = account["encoded"] + account["repeated"]
        missing = sum(account["dropped"].values()) + sum(account["failed"].values())
        steady = any("whatever their times" in note for note in notes)
        return len(output.pictures.seconds) == written and (
            missing > 0 or bool(account["repeated"]) or steady
        )
    if difference.output_stream is not None:
        # Flags and titles that the container does not hold are told by the stream of the output.
        lost = re.compile(rf"are left out, as .* of stream {difference.output_stream}\b")
        if any(lost.search(note) for note in notes):
            return True
    if difference.about in ("tracks", "sound", "subtitles", "data", "tags"):
        track = next((each for each in source.tracks if difference.text.startswith(each.name)), None)
        if track is not None:
            told_of = [note for note in notes if printable(track.name) in note]
            # That it was converted excuses no other sound or text: those were compared as what is converted.
            return any("is converted to" not in note or difference.about == "tags" for note in told_of)
    word = _TOLD_BY.get(difference.about)
    if difference.about == "colour":
        word = difference.text.split()[1].rstrip(":")  # range, matrix, primaries or transfer
    return word is not None and any(word in note for note in notes)
