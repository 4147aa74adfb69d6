"""Video files: encoded, muxed together with the source's sound, renamed into place when complete."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from pathlib import Path

import av
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from streamfx.encode.encoding import Encoding
from streamfx.encode.files.animation import finish_animation
from streamfx.encode.files.animation_times import PACES
from streamfx.encode.files.expected import Expected, expected_of
from streamfx.encode.files.given_times import given_times
from streamfx.encode.files.lost_tags import lost_tags, tags_without_a_place
from streamfx.encode.files.matroska import write_shape
from streamfx.encode.files.mp4_index import finish_index
from streamfx.encode.files.output_file import OutputFile, refuse_target, refuse_too_large, write_problem
from streamfx.encode.files.picture_times import LEAST_PICTURES, Durations, WrittenTimes, state_decoding_times
from streamfx.encode.files.trial import prove
from streamfx.encode.pixels import FramePacker, Packer, Packing
from streamfx.encode.plan import plan_output
from streamfx.encode.tracks.copying import StreamCopier, copy_tags, needs_free_tags, video_tags
from streamfx.encode.tracks.selection import Tracks, plan_tracks
from streamfx.encode.video_stream import add_video_stream, rotate
from streamfx.errors import ConfigError, SinkError, StreamfxError, TooLargeError
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.notes import Converted, LeftOut
from streamfx.media.paths import is_written_through, shown_name
from streamfx.media.tracks import OtherTracks

_MUX_BUFFER_BYTES = 1 << 18
_ABORT_SECONDS = 10  # how long an abort waits for a frame that is being encoded


class FileSink:
    """Encodes frames into a video file.

    Everything that can be refused is refused here, before the first frame. The file is written under a hidden
    name in the same folder and takes its own name in ``finish``; a file of that name stays untouched until
    then.

    Args:
        path: destination; the ending says the container.
        video: format of the frames.
        other_tracks: sound, subtitles, tags to keep; None for none. The source must be open and not read yet.
        source_path: the file being read, which must not be overwritten.
        encoding: codec and settings of the encoder.
        packing: function that makes the packing that hands frames to the encoder.

    Attributes:
        path: destination.
        recipe: coding of frames: the plan, and what hands them to the encoder.
        through: whether it is a device or a pipe, which cannot be read again.
        tracks: tracks that go into the file beside the pictures.
        notes: conversions and omissions, for the report.
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
        other_tracks: OtherTracks | None = None,
        source_path: Path | None = None,
        encoding: Encoding | None = None,
        packing: Packing = Packer,
    ) -> None:
        encoding = encoding or Encoding()
        self.name, self.path = shown_name(path), path
        self.frames_written = self.packets_written = self._picture_bytes = 0
        self._most_bytes = encoding.most_bytes
        self._plan = plan_output(path, video, encoding)
        self._coded = False
        self.notes = self._plan.conversions()
        refuse_target(path, source_path, encoding.overwrite)
        if self._plan.container.rewritten and is_written_through(path):
            raise ConfigError(
                f"{self.name}: {path.suffix} states at its beginning what comes later, and cannot go through "
                "a device or pipe; give a file, or write .gif"
            )
        choice = encoding.tracks
        self.tracks = plan_tracks(self._plan, other_tracks, self.notes, choice) if other_tracks else Tracks()
        if self._plan.size != video.size:
            packing = partial(Packer, size=self._plan.size)
        self.recipe = self._plan, packing
        self._packer: FramePacker = packing(video, self._plan.pix_fmt, self._plan.colour.code_range)
        self._times = WrittenTimes(self._plan.container.tick_seconds)
        self._durations = Durations()
        self._given_times = given_times(self._plan)
        self._lock = threading.Lock()
        self._copier: StreamCopier | None = None
        self.through = is_written_through(path)
        self._out: OutputContainer | None = None
        self._file: OutputFile | None = None
        try:
            self._file = self._counted = OutputFile(
                path, replace=encoding.overwrite, written=encoding.written
            )
            self._note_through(self._file)
            self._out = self._opened(self._file, other_tracks)
        except BaseException as error:
            self.abort()
            if isinstance(error, (av.FFmpegError, OSError, ValueError)) and not isinstance(
                error, StreamfxError
            ):
                raise SinkError(
                    f"{self.name}: cannot be opened for writing: {write_problem(error)}"
                ) from error
            raise

    @property
    def copied(self) -> frozenset[int]:
        """Streams of the source, by their index, that are copied as they are."""
        streams = self._copier.streams if self._copier else {}
        return frozenset(index for index, copied in streams.items() if copied.converter is None)

    @property
    def bytes_written(self) -> int:
        """How much is in the file so far."""
        return self._counted.size_bytes

    def write(self, frame: Frame) -> str | None:
        """Encode one frame, in order of presentation; return why not, where it comes too soon.

        Raises:
            SinkError: the frame is not of the stream's format, or the file cannot be written. What was
                written is kept beside the output and plays as far as it goes; the message says where.
        """
        times = self._given_times(frame) if self._given_times is not None else None
        if self._given_times is not None and times is None:
            return PACES[self._plan.container.muxer].too_fast
        picture = self._packer.pack(frame)
        if times is not None:
            picture.pts, picture.duration, picture.time_base = times
        with self._lock:
            if self._out is None:
                raise SinkError(f"{self.path}: is finished; no more frames can be written")
            try:
                self._durations.shown(picture.pts)
                self._mux(self._out, self._stream.encode(picture))
            except (av.FFmpegError, OSError, ValueError) as error:
                raise self._broken(f"frame {frame.index}", error) from error
        pts, duration, base = times or (frame.pts, picture.duration, frame.time_base)
        stated = self._plan.container.times
        self._times.add(frame.time_seconds if stated else pts * base, duration * base)
        self.frames_written += 1
        return None

    def announce(self, pts: int, duration: int) -> None:
        """Count in the next picture, in order of presentation, of a video that is coded already.

        Args:
            pts: time, in units of the video's time base.
            duration: likewise.
        """
        base = self._plan.video.time_base
        self._coded = True
        self._durations.shown(pts)
        self._times.add(pts * base, duration * base)
        self.frames_written += 1

    def write_coded(self, packet: av.Packet[VideoStream]) -> None:
        """Write a packet of a video that is coded already, in coding order, once its picture is announced.

        Raises:
            SinkError: cannot write.
        """
        with self._lock:
            if self._out is None:
                raise SinkError(f"{self.path}: is finished; no more can be written")
            packet.stream, packet.time_base = self._stream, self._plan.video.time_base
            try:
                self._mux(self._out, [packet])
            except (av.FFmpegError, OSError, ValueError) as error:
                raise self._broken(f"packet {self.packets_written}", error) from error

    def finish(self) -> None:
        """Flush the encoder, complete the file and give it its name.

        Raises:
            SinkError: it cannot be completed; what was written is kept beside it.
        """
        if self._out is None or self._file is None:
            return
        if not self.frames_written:
            self.abort()
            raise SinkError(f"{self.name}: no frame was written; there is no file")
        with self._lock:
            try:
                streams = list(self._out.streams)
                left = [] if self._coded else self._stream.encode(None)
                if not self._coded and self.frames_written < LEAST_PICTURES:
                    state_decoding_times(left)
                self._mux(self._out, left, last=True)
                for extra in self._copier.rest() if self._copier else ():
                    self._out.mux_one(extra)
                self._out.close()
                self._file.close()
                shown_seconds = self._times.end_seconds - self._times.first_seconds
                if self._plan.container.muxer in ("mp4", "mov") and not self._file.through:
                    languages = [stream.metadata.get("language") for stream in streams]
                    note = finish_index(self._file.partial, shown_seconds, self.tracks.covers, languages)
                    self.notes.extend([note] if note else [])
                if not self._file.through:
                    muxer, alpha = self._plan.container.muxer, self._plan.video.alpha
                    last_seconds = self._times.end_seconds - self._times.last_seconds
                    finish_animation(self._file.partial, muxer, last_seconds, alpha=alpha)
                    self._state_shape(self._file.partial)
                    refuse_too_large(self._file, self._most_bytes, self._picture_bytes, float(shown_seconds))
                self._file.complete()
            except TooLargeError:
                self._out = self._file = None
                raise
            except FileExistsError as error:
                kept = self._file.keep()
                self._out = self._file = None
                raise SinkError(
                    f"{self.path}: something of that name appeared meanwhile, and is not replaced; "
                    f"the finished film is in {kept}"
                ) from error
            except (av.FFmpegError, OSError, ValueError) as error:
                raise self._broken("completing the file", error) from error
            self._out = self._file = None
        self.notes.extend(self._copier.notes() if self._copier else ())
        self.notes.extend(self._times.notes(self.path.suffix))

    def _note_through(self, file: OutputFile) -> None:
        """Say what a device or pipe, which is written through, cannot have."""
        if not file.through:
            return
        self.notes.append(Converted(f"{self.name} is written through, and not read again to compare it"))
        if self.tracks.covers and self._plan.container.covers == "index":
            self.notes.append(LeftOut("cover pictures are left out: nothing can be added to what is written"))
        shape, only_there = self._plan.video.sample_aspect_ratio, not self._plan.codec.states_pixel_shape
        if shape not in (None, 1) and self._plan.container.display_size and only_there:
            self.notes.append(LeftOut(f"that pixels are {shape} wide to high is left out, likewise"))

    def _state_shape(self, path: Path) -> None:
        """Write into Matroska what FFmpeg does not: pixels that are not square."""
        plan, shape = self._plan, self._plan.video.sample_aspect_ratio
        if shape is None or not plan.container.display_size:
            return
        if not write_shape(path, plan.size, shape, plan.container.muxer):
            self.notes.append(LeftOut(f"that pixels are {shape} wide to high is left out: no room for it"))

    def abort(self) -> None:
        """Give up: remove what was written. After ``finish``, or after a failure, does nothing."""
        taken = self._lock.acquire(timeout=_ABORT_SECONDS)
        try:
            if taken:  # else the encoder is stuck in a frame, and closing under it would crash
                self._close_quietly()
            if self._file is not None:
                self._file.remove()
                self._file = None
        finally:
            if taken:
                self._lock.release()

    def expected(self) -> Expected:
        """Return what the finished file must show when it is read again; for ``verify_output``."""
        copied = self._copier.streams.values() if self._copier else ()
        return expected_of(self._plan, self._times, self.packets_written, copied)

    def _opened(self, file: OutputFile, other_tracks: OtherTracks | None) -> OutputContainer:
        plan = self._plan
        options = dict(plan.container.streamed if file.through else plan.container.options)
        if "movflags" in options and needs_free_tags(other_tracks):
            options["movflags"] += "+use_metadata_tags"
        if "frag_duration" in options and self.tracks.hold_text:
            # FFmpeg 8.1 ends such fragments where a text ends, while it writes a picture, and that one gets a
            # wrong time. Those that end at key frames end before the picture.
            del options["frag_duration"]
            options["movflags"] += "+frag_keyframe"
        out = av.open(
            file,
            "w",
            format=plan.container.muxer,
            container_options=options,
            metadata_errors="surrogateescape",
            buffer_size=_MUX_BUFFER_BYTES,
        )
        self._stream: VideoStream = add_video_stream(out, plan, self._packer.hwaccel)
        note = rotate(self._stream, plan, other_tracks.display_matrix if other_tracks else None)
        self.notes.extend([note] if note else [])
        if other_tracks is not None:
            equal_times = plan.container.equal_times
            self._copier = StreamCopier(out, self.tracks.streams, other_tracks, equal_times=equal_times)
            for cover in self.tracks.covers if plan.container.covers == "attached" else ():
                out.add_attachment(cover.name, cover.mime_type, cover.data)
            self._stream.metadata.update(video_tags(other_tracks))
            self._stream.disposition = Disposition(other_tracks.video_disposition)
            copy_tags(out, other_tracks)
        out.start_encoding()
        self._prove(out, options, other_tracks)
        return out

    def _prove(self, out: OutputContainer, options: dict[str, str], other_tracks: OtherTracks | None) -> None:
        ending, container = self.path.suffix, self._plan.container
        if other_tracks is not None and not container.tags:
            kept = [copied.target for copied in self._copier.streams.values()] if self._copier else []
            self.notes.extend(tags_without_a_place(other_tracks, kept, ending))
        if not self._plan.container.sound:
            return  # animations: nothing but pictures goes into them, and without one none can be completed
        try:
            data = prove(out, options, other_tracks, self._copier)
            if other_tracks is not None and container.tags:
                self.notes.extend(lost_tags(data, out, other_tracks, ending))
        except (av.FFmpegError, ValueError) as error:
            self._close_quietly(out)
            raise SinkError(
                f"{self.name}: {self.path.suffix} cannot be completed with what the source holds: "
                f"{write_problem(error)}; .mkv may hold it"
            ) from error

    def _mux(
        self, out: OutputContainer, packets: list[av.Packet[VideoStream]], *, last: bool = False
    ) -> None:
        for extra in self._copier.packets() if self._copier else ():
            out.mux_one(extra)
        self._packer.returned(packets)
        for packet in self._durations.with_durations(packets, last=last):
            self._picture_bytes += packet.size
            out.mux_one(packet)
            self.packets_written += 1

    def _broken(self, where: str, error: Exception) -> SinkError:
        """Save what is there under a visible name, and return the error that says so."""
        self._close_quietly()
        file, self._file = self._file, None
        kept = file.keep() if file else None
        saved = f"; what was written up to there is in {kept}" if kept else ""
        return SinkError(f"{self.name}: writing failed at {where}: {write_problem(error)}{saved}")

    def _close_quietly(self, out: OutputContainer | None = None) -> None:
        out, self._out = out or self._out, None
        if out is not None:
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                out.close()
