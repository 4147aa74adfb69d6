"""Segments of a film: where they begin, decided while reading, and each encoded into a file of its own."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext
from pydantic import BaseModel, ConfigDict

from streamfx.capture.source import Source
from streamfx.encode.detached import DetachedEncoder
from streamfx.encode.files.output_file import write_problem
from streamfx.encode.pixels import Packing
from streamfx.encode.plan import OutputPlan
from streamfx.errors import DecodeError, SinkError
from streamfx.hardware.cpu import cpu
from streamfx.media.frame import Frame
from streamfx.media.tracks import OtherTracks
from streamfx.resume.checkpoint import Checkpoint, CheckpointRecorder
from streamfx.resume.journal import sync_folder
from streamfx.resume.packets import PacketFile, read_packets

LEAST_FRAMES = 8  # of a segment: encoders want some to look at, and x265 fails with two
_WIDE, _NARROW = "AVX-512", "asm=AVX2"
_LONGEST = 2  # times the least length: then a segment begins with whatever picture comes


class Segment(BaseModel):
    """A finished segment.

    Attributes:
        number: position, counted from 0.
        frames: frames in it.
        size_bytes: size of its file.
        parameters: digest of what the codec says of the whole video, alike in all segments.
        checkpoint: state for the next segment; of the last one, the state at the end.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    frames: int
    size_bytes: int
    parameters: str
    checkpoint: Checkpoint


class SegmentedSource:
    """Decides where segments begin: with a key frame of the source or a cut, once they are long enough.

    It depends on nothing but the frames, so that each run decides alike.

    Args:
        source: source of the frames.
        recorder: recorder of the state that crosses frames.
        least_seconds: least length of a segment.
    """

    def __init__(self, source: Source, recorder: CheckpointRecorder, least_seconds: float) -> None:
        self.name, self.format, self.notes = source.name, source.format, source.notes
        self.other_tracks, self.live, self.shortfall = source.other_tracks, source.live, 0
        self.begins: dict[int, Checkpoint] = {}
        self._source, self._recorder = source, recorder
        self._least_seconds = Fraction(least_seconds)
        self._started: Frame | None = None
        self._before: Frame | None = None

    @property
    def recorder(self) -> CheckpointRecorder:
        """Recorder of the checkpoint at the end, once that is reached."""
        return self._recorder

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end; raises as the source does."""
        memory = self._recorder.memory()
        try:
            frame = self._source.read()
        except DecodeError as error:
            self._recorder.broke(error)
            raise
        if frame is None:
            return None
        if self._started is None:
            self._started = frame
        elif self._begins(frame, self._started):
            self.begins[frame.index] = self._recorder.checkpoint(memory)
            self._started = frame
        self._recorder.passed(frame)
        self._before = frame
        return frame

    def close(self) -> None:
        self._source.close()

    def _begins(self, frame: Frame, started: Frame) -> bool:
        if frame.again:  # what was made of the frame before it is shown again
            return False
        lasts_seconds = frame.time_seconds - started.time_seconds
        if lasts_seconds < self._least_seconds or frame.index - started.index < LEAST_FRAMES:
            return False
        count = self.format.frame_count
        if count is not None and count - frame.index < LEAST_FRAMES:
            return False
        cut = self._before is not None and frame.shot != self._before.shot
        return frame.key or cut or lasts_seconds >= _LONGEST * self._least_seconds


class SegmentSink:
    """Encodes frames into segments, each by an encoder of its own, so that none refers to another.

    Args:
        name: name of the output.
        recipe: codec, pixel format and settings of the frames; see `FileSink.recipe`.
        source: source, which says where segments begin.
        folder: folder of the segments.
        done: segments that are finished.
        finished: callback that is called with each segment that is on the disk and was read again.
    """

    def __init__(
        self,
        name: str,
        recipe: tuple[OutputPlan, Packing],
        source: SegmentedSource,
        folder: Path,
        done: Sequence[Segment],
        finished: Callable[[Segment], None],
    ) -> None:
        self.name, self.notes = name, list[str]()
        self.frames_written = self.packets_written = 0
        self.bytes_written = sum(segment.size_bytes for segment in done)
        self._plan, self._packing = reproducible(recipe[0]), recipe[1]
        self._source, self._folder, self._number, self._finished = source, folder, len(done), finished
        self._parameters = done[0].parameters if done else None
        self._other_tracks: OtherTracks | None = source.other_tracks
        self._encoding: _Encoding | None = None
        self._is_last_whole = False

    def write(self, frame: Frame) -> str | None:
        """Encode one frame.

        Raises:
            SinkError: it cannot be written; finished segments stay.
        """
        if self._other_tracks is not None:
            self._other_tracks.take()  # sound is read again when all is put together
        try:
            checkpoint = self._source.begins.pop(frame.index, None)
            if checkpoint is not None and self._encoding is not None:
                self._end(checkpoint)
            if self._encoding is None:
                self._encoding = _Encoding(
                    self._plan, self._packing, segment_path(self._folder, self._number)
                )
            before = self._encoding.size_bytes
            self.packets_written += self._encoding.write(frame)
            self.bytes_written += self._encoding.size_bytes - before
            self.frames_written += 1
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._broken(f"frame {frame.index}", error) from error
        return None

    def finish(self) -> None:
        """Flush the encoder. Whether the last segment is whole, only the end of the run shows: ``settle``."""
        if self._encoding is not None:
            try:
                self.packets_written += self._encoding.finish()
                self._is_last_whole = True
            except (av.FFmpegError, OSError, ValueError) as error:
                raise self._broken("the last frames", error) from error

    def settle(self, checkpoint: Checkpoint) -> None:
        """Count the last segment as finished: the source has come to its end."""
        if self._encoding is not None and self._is_last_whole:
            self._end(checkpoint)

    def abort(self) -> None:
        """Give up the segment that is not finished."""
        encoding, self._encoding = self._encoding, None
        if encoding is not None:
            encoding.remove()

    def _end(self, checkpoint: Checkpoint) -> None:
        encoding, self._encoding = self._encoding, None
        assert encoding is not None
        if not self._is_last_whole:
            self.packets_written += encoding.finish()
        sync_folder(self._folder)
        segment = encoding.segment(self._number, checkpoint)
        problem = encoding.problem()
        if segment.parameters != (self._parameters or segment.parameters):
            problem = "the encoder says other things of the whole video than before"
        if problem:
            raise SinkError(f"{self.name}: segment {self._number} cannot be used: {problem}; try --no-resume")
        self._parameters = segment.parameters
        self._finished(segment)
        self._number += 1

    def _broken(self, where: str, error: Exception) -> SinkError:
        self.abort()
        text = write_problem(error)
        return SinkError(f"{self.name}: writing failed at {where}: {text}; finished segments are kept")


class _Encoding:
    """A segment being encoded."""

    def __init__(self, plan: OutputPlan, packing: Packing, path: Path) -> None:
        self._path = path
        self.size_bytes = 0
        self._encoder = DetachedEncoder(plan, packing)
        self._file = PacketFile(path)
        self._parameters = ""

    def write(self, frame: Frame) -> int:
        return self._put(self._encoder.encode(frame))

    def finish(self) -> int:
        count = self._put(self._encoder.rest())
        self._parameters = parameters_of(self._encoder.context)
        self._file.close()
        self._encoder.close()
        return count

    def problem(self) -> str | None:
        """Read the file again; return what is wrong with it, None if nothing is."""
        packets = list(read_packets(self._path))
        if not packets or not packets[0].key:
            return "it does not begin with a key frame"
        times, given = sorted(packet.pts for packet in packets), self._encoder.times
        return None if times == given else f"{len(given)} frames written, {len(times)} found"

    def segment(self, number: int, checkpoint: Checkpoint) -> Segment:
        return Segment(
            number=number,
            frames=len(self._encoder.times),
            size_bytes=self._path.stat().st_size,
            parameters=self._parameters,
            checkpoint=checkpoint,
        )

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._encoder.close()
        self._path.unlink(missing_ok=True)

    def _put(self, packets: list[Any]) -> int:
        for packet in packets:
            self._file.write(packet)
            self.size_bytes += packet.size
        return len(packets)


def reproducible(plan: OutputPlan) -> OutputPlan:
    """Return a plan with which the encoder gives the same for the same frames each time.

    The AVX-512 code of x264, as PyAV 18.1 brings it, does not: where a macroblock's weight comes from the
    frames after it (mbtree), repeated encodes differ by a few code values. The code for AVX2 does.
    """
    if plan.codec.encoder != "libx264" or _WIDE not in cpu().extensions:
        return plan
    given = plan.encoder_options.get("x264-params")
    narrow = f"{given}:{_NARROW}" if given else _NARROW
    return replace(plan, encoder_options={**plan.encoder_options, "x264-params": narrow})


def parameters_of(context: VideoCodecContext) -> str:
    """Return a digest of what an encoder says of the whole video."""
    return hashlib.sha256(bytes(context.extradata or b"")).hexdigest()[:32]


def segment_path(folder: Path, number: int) -> Path:
    """Return where a segment lies."""
    return folder / f"{number:06d}.packets"
