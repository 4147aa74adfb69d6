"""Video files: encoded, muxed together with the source's sound, renamed into place when complete."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from streamfx.av_planes import planar_name
from streamfx.encode.containers import check_pixel_shape, codec_for, find_container
from streamfx.encode.extra_streams import (
    StreamCopier,
    copy_tags,
    needs_free_tags,
    streams_to_copy,
    video_tags,
)
from streamfx.encode.hdr import hdr_options
from streamfx.encode.index import move_index_to_front
from streamfx.encode.pixel_format import choose_pixel_format
from streamfx.encode.pixels import AV_RANGES, Packer
from streamfx.encode.verify import Expected, ExpectedStream
from streamfx.errors import ConfigError, SinkError, StreamfxError
from streamfx.extras import Extras, ExtraStream
from streamfx.frame import ChromaLocation, Colour, Frame, VideoFormat

log = logging.getLogger(__name__)

_NOMINAL_FPS = Fraction(
    25
)  # for the encoder's rate control when the source states no rate; no time depends on it
_WRITE_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How to encode; None is the codec's default, or the video's own.

    Attributes:
        codec: h264, hevc, av1, vp9, ffv1, prores, …; None: what the container usually holds.
        preset: a name of the codec's presets.
        quality: a number on the codec's quality scale (CRF for most); smaller is better.
        threads: encoder threads; None: the encoder chooses.
        pixel_format: FFmpeg's name of a format to convert to, such as yuv420p; may lose detail.
        options: further options for the encoder, as FFmpeg spells them.
        overwrite: whether a file of that name may be replaced (once the new one is complete).
    """

    codec: str | None = None
    preset: str | None = None
    quality: int | None = None
    threads: int | None = None
    pixel_format: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    overwrite: bool = True


class FileSink:
    """Encodes frames into a video file.

    Everything that can be refused is refused here, before the first frame. The file is written under a hidden
    name in the same folder and takes its own name in ``finish``; a file of that name stays untouched until
    then.

    Args:
        path: where to; the ending says the container.
        video: format of the frames.
        extras: sound, subtitles, tags to copy; None for none. The source must be open, and not be read yet.
        source_path: the file being read, which must not be overwritten.
        settings: how to encode.

    Attributes:
        notes: what was converted or left out, for the report.
        (the others are those of ``Sink``)

    Raises:
        ConfigError: codec, preset, quality, container and streams do not go together.
        SinkError: the file cannot be created.
    """

    def __init__(
        self,
        path: Path,
        video: VideoFormat,
        *,
        extras: Extras | None = None,
        source_path: Path | None = None,
        settings: EncodeSettings | None = None,
    ) -> None:
        settings = settings or EncodeSettings()
        self.name = str(path)
        self.notes: list[str] = []
        self.frames_written = self.packets_written = 0
        self.path, self._video = path, video
        self._first: Frame | None = None
        self._rounded = 0
        self._last_seconds = Fraction(0)
        self._container_kind = find_container(path)
        self._codec = codec_for(path, self._container_kind, settings.codec)
        self._pix_fmt = choose_pixel_format(
            self._codec, video, settings.pixel_format, self._container_kind.codecs
        )
        self._colour = video.colour
        if self._codec.code_range is not None:
            self._colour = replace(video.colour, code_range=self._codec.code_range)
        check_pixel_shape(path, self._container_kind, self._codec, video)
        self._encoder_options = self._codec.options(settings.preset, settings.quality) | dict(
            settings.options
        )
        self._extras = extras
        streams = (
            streams_to_copy(path, self._container_kind, self._codec, extras, self.notes) if extras else []
        )
        _refuse_target(path, source_path, settings.overwrite)
        self._packer = Packer(video, self._pix_fmt, self._colour.code_range)
        self._note_conversions()
        self._partial = path.with_name(f".{path.stem}.partial-{secrets.token_hex(4)}{path.suffix}")
        self._file: IO[bytes] | None = None
        self._out: OutputContainer | None = None
        try:
            self._file = self._partial.open("wb", buffering=_WRITE_BUFFER_BYTES)
            self._open(self._file, settings, streams)
        except BaseException as error:
            self.abort()
            if isinstance(error, StreamfxError) or not isinstance(
                error, (av.FFmpegError, OSError, ValueError)
            ):
                raise
            raise SinkError(f"{path}: cannot be opened for writing: {self._reason(error)}") from error

    def write(self, frame: Frame) -> None:
        """Encode one frame, in order of presentation.

        Raises:
            SinkError: the frame is not of the stream's format, or the file cannot be written. What was
                written is kept beside the output and plays as far as it goes; the message says where.
        """
        if self._out is None:
            raise SinkError(f"{self.path}: is finished; no more frames can be written")
        picture = self._packer.pack(frame)
        if self._first is None:
            self._first = frame
        try:
            self._mux(self._stream.encode(picture))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._broken(f"frame {frame.index}", error) from error
        self.frames_written += 1
        self._last_seconds = frame.time_seconds
        tick_seconds = self._container_kind.tick_seconds
        self._rounded += tick_seconds is not None and self._last_seconds % tick_seconds != 0

    def finish(self) -> None:
        """Flush the encoder, complete the file and give it its name.

        Raises:
            SinkError: it cannot be completed; what was written is kept beside it.
        """
        out = self._out
        if out is None:
            return
        if not self.frames_written:
            self.abort()
            raise SinkError(f"{self.path}: no frame was written; there is no file")
        try:
            self._mux(self._stream.encode(None))
            out.close()
            self._close_file()
            if self._container_kind.muxer in ("mp4", "mov"):
                note = move_index_to_front(self._partial)
                self.notes.extend([note] if note else [])
            os.replace(self._partial, self.path)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._broken("completing the file", error) from error
        self._out = None
        self.notes.extend(self._copier.notes() if self._copier else ())
        if self._rounded and self._container_kind.tick_seconds is not None:
            tick_ms = float(self._container_kind.tick_seconds * 1000)
            self.notes.append(
                f"{self._rounded} times are rounded to the {tick_ms:.3g} ms of {self.path.suffix}"
            )

    def abort(self) -> None:
        """Give up: remove what was written. After ``finish``, or after a failure, does nothing."""
        if self._out is not None or self._file is not None:
            self._close_quietly()
            with contextlib.suppress(OSError):
                self._partial.unlink(missing_ok=True)

    def expected(self) -> Expected:
        """Return what a finished file must show when it is read again; for ``verify_output``."""
        assert self._first is not None
        copied = self._copier.streams.values() if self._copier else ()
        pictures_only = self._container_kind.muxer == "gif"  # GIF states neither colours nor shape
        return Expected(
            packets=self.packets_written,
            first_seconds=self._first.time_seconds,
            last_seconds=self._last_seconds,
            colour=Colour() if pictures_only else self._colour,
            size=self._video.size,
            tick_seconds=self._container_kind.tick_seconds or self._video.time_base,
            rotation_degrees=self._video.rotation_degrees if self._container_kind.rotation else 0,
            sample_aspect_ratio=None if pictures_only else self._video.sample_aspect_ratio,
            streams=tuple(
                ExpectedStream(str(each.source), each.source.kind, each.packets, each.first_seconds)
                for each in copied
            ),
        )

    # -- opening --

    def _open(self, file: IO[bytes], settings: EncodeSettings, streams: list[ExtraStream]) -> None:
        kind, extras = self._container_kind, self._extras
        options = dict(kind.options)
        if "movflags" in options and needs_free_tags(extras):
            options["movflags"] += "+use_metadata_tags"
        self._out = av.open(
            file,
            "w",
            format=kind.muxer,
            container_options=options,
            metadata_errors="surrogateescape",
            buffer_size=1 << 18,
        )
        self._stream = self._add_video(self._out, settings)
        self._copier: StreamCopier | None = None
        if extras is not None:
            self._copier = StreamCopier(self._out, streams, extras, equal_times=kind.equal_times)
            self._stream.metadata.update(video_tags(extras))
            self._stream.disposition = Disposition(extras.video_disposition)
            copy_tags(self._out, extras)
        self._out.start_encoding()

    def _add_video(self, out: OutputContainer, settings: EncodeSettings) -> VideoStream:
        video = self._video
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints its settings to stderr otherwise
        stream = out.add_stream(self._codec.encoder, rate=video.rate_fps or _NOMINAL_FPS)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.height, context.width = video.size
        context.pix_fmt = self._pix_fmt
        context.time_base = stream.time_base = video.time_base
        context.framerate = video.rate_fps or _NOMINAL_FPS
        context.colorspace, context.color_range = int(self._colour.matrix), AV_RANGES[self._colour.code_range]
        context.color_primaries, context.color_trc = self._colour.primaries, self._colour.transfer
        if video.sample_aspect_ratio is not None:
            context.sample_aspect_ratio = video.sample_aspect_ratio
        context.thread_type = "AUTO"  # PyAV's own default costs x264 compression
        context.thread_count = settings.threads or 0
        if self._codec.name.startswith("hevc") and self._container_kind.muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # the tag Apple's players insist on
        options = hdr_options(self._codec.encoder, video, self._encoder_options)
        if video.colour.chroma_location is not ChromaLocation.UNKNOWN:
            options["chroma_sample_location"] = video.colour.chroma_location.value
        context.options = {key: value for key, value in options.items() if value}
        self._rotate(stream)
        self._start_encoder(stream)
        return stream

    def _start_encoder(self, stream: VideoStream) -> None:
        """Open the encoder now, so that what it refuses is told apart from what the container refuses."""
        context, options = stream.codec_context, dict(stream.codec_context.options)
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            settings = " ".join(f"{key}={value}" for key, value in options.items())
            raise SinkError(
                f"{self.path}: encoder {self._codec.encoder} does not start with {settings}: "
                f"{self._reason(error)}"
            ) from error
        if context.options:  # PyAV leaves here what the encoder did not take
            raise ConfigError(f"encoder {self._codec.encoder} has no option {', '.join(context.options)}")

    def _rotate(self, stream: VideoStream) -> None:
        matrix = self._extras.display_matrix if self._extras else None
        if not self._container_kind.rotation:
            if self._video.rotation_degrees:
                self.notes.append(
                    f"{self.path.suffix} cannot ask players to rotate; the picture shows unrotated"
                )
        elif matrix is not None:
            stream.set_display_matrix(matrix)
        elif self._video.rotation_degrees:
            stream.set_display_rotation(self._video.rotation_degrees)

    def _note_conversions(self) -> None:
        own = planar_name(self._video.subsampling, self._video.depth)
        if self._pix_fmt == "pal8":
            self.notes.append("GIF holds 256 colours a picture; they are chosen for each")
        elif self._pix_fmt != own:
            self.notes.append(f"pictures are converted from {own} to {self._pix_fmt} for {self._codec.name}")
        if self._colour.code_range not in (
            self._video.colour.code_range,
            self._video.colour.assumed(0).code_range,
        ):
            self.notes.append(
                f"pictures are converted to {self._colour.code_range} range for {self._codec.name}"
            )

    # -- writing --

    def _mux(self, packets: list[av.Packet[VideoStream]]) -> None:
        assert self._out is not None
        for extra in self._copier.packets() if self._copier else ():
            self._out.mux_one(extra)
        for packet in packets:
            self._out.mux_one(packet)
            self.packets_written += 1

    def _broken(self, where: str, error: Exception) -> SinkError:
        """Save what is there under a visible name, and return the error that says so."""
        self._close_quietly()
        kept = ""
        target = self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}")
        with contextlib.suppress(OSError):
            if self._partial.stat().st_size:
                os.replace(self._partial, target)
                kept = f"; what was written up to there is in {target}"
            else:
                self._partial.unlink()
        return SinkError(f"{self.path}: writing failed at {where}: {self._reason(error)}{kept}")

    def _reason(self, error: Exception) -> str:
        number, text = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return {
                errno.ENOSPC: "the disk is full",
                errno.EDQUOT: "the disk quota is used up",
                errno.EFBIG: "the file size limit is reached",
            }[number]
        if "nvenc" in self._codec.name:
            return f"{text} (no NVIDIA GPU with an encoder, or too many encodes at once on it)"
        return text

    def _close_quietly(self) -> None:
        out, self._out = self._out, None
        if out is not None:
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                out.close()
        with contextlib.suppress(OSError):
            self._close_file()
        self._file = None

    def _close_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.flush()
                os.fsync(file.fileno())
            finally:
                file.close()


def _refuse_target(path: Path, source_path: Path | None, overwrite: bool) -> None:
    """Raise when ``path`` cannot or must not be written."""
    folder = path.absolute().parent
    if path.is_dir():
        raise SinkError(f"{path}: is a folder; give a file name")
    if not folder.is_dir():
        raise SinkError(f"{path}: there is no folder {folder}; create it first")
    if path.exists():
        if source_path is not None and source_path.exists() and path.samefile(source_path):
            raise ConfigError(f"{path}: is the source itself ({source_path}); choose another name")
        if not overwrite:
            raise SinkError(f"{path}: exists already; allow overwriting or choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"{path}: no permission to write in {folder}")
