"""Size limit: runs of which the output keeps within a size.

The first run is by quality, as any other. If its file fits, that is all. Else it is not kept, and has told to
the byte what sound, other tracks and the container take, and an encoder that knows passes what each picture
needs. What is left of the limit is the pictures', by bit rate, in the second pass. A file that is still too
large is not kept either, and the second pass is repeated with less.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from streamfx.capture.source import Source
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.containers import CONTAINERS
from streamfx.encode.encoding import Encoding, Pass
from streamfx.encode.files.file import FileSink
from streamfx.encode.tracks.formats import SOUND_CODECS, coding_name
from streamfx.encode.tracks.selection import Tracks
from streamfx.errors import ConfigError, SinkError, StageFailedError, TooLarge, TooLargeError
from streamfx.media.frame import VideoFormat
from streamfx.media.notes import NOTE
from streamfx.media.paths import followed, is_special, is_written_through, shown_name
from streamfx.pipeline.stats import Snapshot, Stats
from streamfx.run.assembly import Parts, Progress, run_parts
from streamfx.run.film import choose_tracks, made_format, open_output, open_parts, preparation_for
from streamfx.run.report import Report

log = logging.getLogger(__name__)

_MOST_TRIES = 4  # of the second pass
_SPARE = 0.985  # of what is left for the pictures: with two passes encoders reach a rate to about a hundredth
_SPARE_ONE_PASS = 0.9  # without
_LEAST_BITS_PER_PIXEL = 0.004  # with less, encoders write more than they are asked to
_BESIDE_BYTES, _BYTES_PER_PICTURE, _BYTES_PER_PACKET = 4_000, 50, 35  # about what containers take themselves
_ANY_BITS = 1_000_000  # to find out what is refused
_KNOWS_PASSES = ("libx264", "libx265")


@dataclass(frozen=True, slots=True)
class Budget:
    """What there is for the pictures.

    Attributes:
        limit_bytes: size that the output may have.
        other_bytes: size of all in it but the pictures.
        seconds: length of the film.
        video: format of the pictures.
        knows_passes: whether the encoder makes use of what it found out in a first pass.
    """

    limit_bytes: int
    other_bytes: int
    seconds: float
    video: VideoFormat
    knows_passes: bool

    @property
    def bits_per_second(self) -> int:
        """Bit rate that is left for the pictures."""
        return round((self.limit_bytes - self.other_bytes) * 8 * self.spare / self.seconds)

    @property
    def spare(self) -> float:
        """Share of the limit that is aimed at."""
        return _SPARE if self.knows_passes else _SPARE_ONE_PASS

    def check(self, output: str) -> None:
        """Refuse a limit that leaves too little for the pictures.

        Raises:
            ConfigError: it does; the message says what would do.
        """
        height, width = self.video.size
        least = _LEAST_BITS_PER_PIXEL * height * width * float(self.video.rate_fps or 25)
        if self.bits_per_second < least:
            needed_bytes = self.other_bytes + least * self.seconds / 8 / _SPARE
            raise ConfigError(
                f"{output}: {self.limit_bytes} bytes are too few for {self.seconds:.1f} s of "
                f"{width}x{height}; sound and all else beside the pictures take {self.other_bytes} of them; "
                f"give --size-limit {needed_bytes // 1000 + 1:.0f}k or more, or less sound (--audio none)"
            )


def run_within_limit(config: TranscodeConfig, progress: Progress | None = None) -> Report:
    """Run in as many passes as it takes; returns and raises as ``run_config``.

    Raises:
        ConfigError: the size cannot be kept; the message says why.
    """
    budget, watch = find_budget(config), _Watch(progress)
    target = followed(Path(config.output)).absolute()
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.passes-", dir=target.parent) as folder:
        statistics = str(Path(folder) / "pictures")
        encoding = replace(config.encoding, turn=Pass(1, statistics), most_bytes=config.size_limit)
        note = "one pass by quality kept within the size"
        for _ in range(1 + _MOST_TRIES):
            found = _pass(config, encoding, note, watch)
            if isinstance(found, Report):
                told = config.output, found.output.size_bytes, budget.limit_bytes
                log.log(NOTE, "%s: is %s bytes large; %d are allowed", *told)
                return found
            gc.collect()  # an encoder writes what it found out when it is let go of
            budget, bits = _after(budget, encoding, found)
            budget.check(config.output)
            second = Pass(2, statistics) if Path(statistics).exists() else None
            encoding = replace(encoding, bits_per_second=bits, turn=second)
            note = f"pictures are coded at {bits} bits a second, to keep within {budget.limit_bytes} bytes"
            was = f"would be {found.size_bytes} bytes large"
            log.log(NOTE, "%s: %s; another pass: %s", config.output, was, note)
        raise SinkError(
            f"{config.output}: {was}, however few bits the pictures are given; give a higher --size-limit, "
            "or another codec (--codec hevc)"
        )


@dataclass(slots=True)
class _Watch:
    """Shows the progress, and notes whether a stop was asked for."""

    progress: Progress | None
    stopping: bool = False

    def look(self, snapshot: Snapshot) -> None:
        """Take the state of the run; called now and then."""
        self.stopping = self.stopping or snapshot.stopping
        if self.progress is not None:
            self.progress(snapshot)


def _pass(config: TranscodeConfig, encoding: Encoding, note: str, watch: _Watch) -> Report | TooLarge:
    """Run once; return the report, or how large the file would have been, which is gone then."""
    try:
        with _notes_said(before=encoding.bits_per_second is not None):
            return run_parts(config, partial(_opened, config, encoding, note), watch.look)
    except StageFailedError as error:
        if not isinstance(error.__cause__, TooLargeError):
            raise
        if watch.stopping:
            raise KeyboardInterrupt from error
        return error.__cause__.found


def find_budget(config: TranscodeConfig) -> Budget:
    """Return about what there is for the pictures, from the tracks of the source; nothing is decoded.

    Raises:
        ConfigError, SourceOpenError, SinkError: the size cannot be kept, or the run would be refused.
    """
    from streamfx.capture.opening import open_source

    assert config.size_limit is not None
    _refuse_what_has_no_size(config)
    with contextlib.ExitStack() as opened:
        source = open_source(config.input, threads=1, preparation=preparation_for(config))
        opened.callback(source.close)
        choose_tracks(config, source)
        video = made_format(config, source.format)
        seconds = _seconds(video, config.limits.frames)
        if seconds is None:
            raise ConfigError(
                f"{config.input}: does not say how long it is, which --size-limit needs to know"
            )
        encoding = replace(config.encoding, bits_per_second=_ANY_BITS)
        sink = open_output(config, source, video, None, written=False, encoding=encoding)
        opened.callback(sink.abort)
        assert isinstance(sink, FileSink)
        plan, tracks = sink.recipe[0], sink.tracks
        frames = min(filter(None, (video.expected_frames, config.limits.frames)), default=0)
        other_bytes = _copied_bytes(source, tracks) + _converted_bytes(tracks, seconds)
        other_bytes += _BESIDE_BYTES + frames * _BYTES_PER_PICTURE
    budget = Budget(
        config.size_limit, other_bytes, seconds, video, knows_passes=plan.codec.encoder in _KNOWS_PASSES
    )
    budget.check(config.output)
    return budget


@contextmanager
def _opened(config: TranscodeConfig, encoding: Encoding, note: str, stats: Stats) -> Iterator[Parts]:
    with open_parts(config, stats, encoding=encoding) as parts:
        parts.sink.notes.append(note)
        yield parts


@contextmanager
def _notes_said(*, before: bool) -> Iterator[None]:
    """Keep quiet what source and output say, where an earlier pass has said it."""
    notes = logging.getLogger("streamfx.media.notes")
    usual, notes.disabled = notes.disabled, before or notes.disabled
    try:
        yield
    finally:
        notes.disabled = usual


def _after(budget: Budget, encoding: Encoding, found: TooLarge) -> tuple[Budget, int]:
    """Return what there is for the pictures, now that a file is known to be too large, and their bit rate."""
    budget = replace(budget, other_bytes=found.size_bytes - found.picture_bytes, seconds=found.seconds)
    bits, before = budget.bits_per_second, encoding.bits_per_second
    if before is None:
        return budget, bits
    wanted_bytes = budget.limit_bytes - budget.other_bytes
    return budget, round(before * budget.spare * wanted_bytes / found.picture_bytes)


def _refuse_what_has_no_size(config: TranscodeConfig) -> None:
    if config.input == "-" or is_special(Path(config.input)):
        raise ConfigError(f"--size-limit: {config.input} cannot be read twice; give a file")
    output = Path(config.output)
    if output.suffix.lower() not in CONTAINERS or is_written_through(output):
        raise ConfigError(
            f"--size-limit: {shown_name(output)} is no video file whose size can be kept; give out.mp4"
        )


def _seconds(video: VideoFormat, most_frames: int | None) -> float | None:
    """Return how long the film will be; None where nothing says."""
    seconds = video.duration_seconds
    if video.rate_fps is not None:
        frames = min(filter(None, (video.expected_frames, most_frames)), default=None)
        seconds = seconds if frames is None else float(frames / video.rate_fps)
    return seconds or None


def _copied_bytes(source: Source, tracks: Tracks) -> int:
    """Return how much the tracks take that are copied; the source is read to its end."""
    from streamfx.capture.files.file import FileSource

    copied = {track.source.index for track in tracks.streams if track.encoder is None}
    found = sum(len(cover.data) for cover in tracks.covers)
    if not copied or not isinstance(source, FileSource) or source.other_tracks is None:
        return found
    more = True
    while more:
        more = source.skip() is not None
        found += sum(
            packet.size + _BYTES_PER_PACKET for index, packet in source.other_tracks.take() if index in copied
        )
    return found


def _converted_bytes(tracks: Tracks, seconds: float) -> int:
    """Return about how much converted sound takes, as far as its bit rate is known."""
    bits = 0
    for track in tracks.streams:
        if track.encoder is not None and track.source.kind == "audio":
            context: Any = track.source.template.codec_context
            channels = context.layout.nb_channels
            each = SOUND_CODECS[coding_name(track.encoder)].bits_per_channel or 0
            bits += track.bits_per_second or each * channels
    return round(bits * seconds / 8)
