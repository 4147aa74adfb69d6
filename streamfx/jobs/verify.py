"""Verify: any pair of films read from end to end, and everything said that differs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike, fspath

from pydantic import BaseModel, ConfigDict, computed_field

from streamfx.capture.files.preparation import Preparation
from streamfx.config.transcode import TranscodeConfig
from streamfx.config.values import FileName
from streamfx.encode.opening import shows_as_coded
from streamfx.jobs.differences import compare_films, longest_gap
from streamfx.jobs.reading import Film, read_film
from streamfx.jobs.track_differences import TrackDifference
from streamfx.media.paths import printable
from streamfx.media.track_choice import TrackChoice
from streamfx.run.report import Report, read_report

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
    told = None if report is None else read_report(report)
    config = told.config if told is not None and isinstance(told.config, TranscodeConfig) else None
    source = read_film(
        fspath(input),
        frames=told.config.limits.frames if told is not None else None,
        preparation=_preparation(config, fspath(output)),
        choice=config.tracks if config is not None else TrackChoice(),
    )
    _mark_converted(source, told.notes if told is not None else ())
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


def _preparation(config: TranscodeConfig | None, output: str) -> Preparation:
    """Return what was done to the source of a film: the part that was read, its geometry and its rate."""
    if config is None:
        return Preparation()
    return Preparation(
        upright=shows_as_coded(output), part=config.part, geometry=config.geometry, rate_fps=config.rate_fps
    )


def _is_known(difference: TrackDifference, told: Report | None, source: Film, output: Film) -> bool:
    """Return whether the report of the run says so: in its account, or in a note on what is not as it was."""
    if told is None:
        return False
    notes = told.notes
    if difference.about == "frames":
        account = told.result.account
        written = account.encoded + account.repeated
        missing = sum(account.dropped.values()) + sum(account.failed.values())
        steady = any("whatever their times" in note for note in notes)
        return len(output.pictures.seconds) == written and (missing > 0 or account.repeated > 0 or steady)
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
