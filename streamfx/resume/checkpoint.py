"""Checkpoint: the state that crosses from one segment of a film to the next, which then begins by itself."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import av
from pydantic import BaseModel, ConfigDict

from streamfx.capture.cuts import Cuts
from streamfx.capture.files.file import FileSource
from streamfx.capture.files.timed import SETTLING_SECONDS
from streamfx.capture.shots import ShotSource
from streamfx.capture.source import Source
from streamfx.errors import DecodeError, SourceLostError, SourceOpenError
from streamfx.generate.routed import Routed, RouteDecision
from streamfx.media.frame import Frame
from streamfx.media.frame_memory import FrameMemories
from streamfx.media.notes import AsAsked, Converted, LeftOut

FINGERPRINTS = 4
"""Frames before a segment by which it is known that reading came to the right place; more where effects look
back further."""

_MOST_REASONS = 20
KINDS: dict[str, type[str]] = {"converted": Converted, "left out": LeftOut, "as asked": AsAsked}
"""Kinds of notes by the names they have in the journal; others are plain."""


class Checkpoint(BaseModel):
    """The state of a run before a frame: everything that crosses frames.

    Attributes:
        frames: frames that came before: the frame's number.
        failed: frames that could not be decoded before.
        reasons: reasons of the first failures.
        fingerprints: time and checksum of the frames just before; none where they are on a device. Where
            what was made of a picture is used again, only those that show one for the first time count.
        last_shots: numbers of the shots of these frames.
        again: frames after the last of these, which show its picture again.
        seekable: whether the source's frames can be found again by their times.
        damaged: frames that the decoder patched up before.
        shot: number of the shot of the frame before; None where shots are not counted.
        cuts: memory of the search for cuts; None likewise.
        choices: decisions of each effect of which pictures decide.
        looks: number of frames looked at, by effect.
        notes: notes of the source, with their kinds.
    """

    model_config = ConfigDict(frozen=True)

    frames: int = 0
    failed: int = 0
    reasons: tuple[str, ...] = ()
    fingerprints: tuple[tuple[int, int], ...] = ()
    last_shots: tuple[int, ...] = ()
    again: int = 0
    seekable: bool = False
    damaged: int = 0
    shot: int | None = None
    cuts: dict[str, Any] | None = None
    choices: tuple[tuple[dict[str, Any], ...], ...] = ()
    looks: tuple[int, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


class CheckpointRecorder:
    """Collects what a checkpoint holds while frames are read, in the capture thread.

    Args:
        source: source of the frames, numbered by shot or not.
        inner: the source below it.
        routed: the effects of which pictures decide.
        before: state at the place where reading began.
        looked_back: number of frames that effects look back on.
        alike: whether what was made of a picture is used again where it is shown again.
        last_frames: the frames before the place where reading began, as `restore` gives them.
    """

    def __init__(
        self,
        source: Source,
        inner: Source,
        routed: Sequence[Routed],
        before: Checkpoint,
        looked_back: int = 0,
        *,
        alike: bool = False,
        last_frames: Sequence[Frame] = (),
    ) -> None:
        self._source, self._inner, self._routed, self._alike = source, inner, routed, alike
        self._again = before.again
        self.frames, self.failed, self.reasons = before.frames, before.failed, list(before.reasons)
        self._last_frames = deque(last_frames, maxlen=max(FINGERPRINTS, looked_back))

    def passed(self, frame: Frame) -> None:
        """Note a frame that was read."""
        self.frames += 1
        if frame.again and self._alike:
            self._again += 1
        else:
            self._again = 0
            self._last_frames.append(frame)

    def broke(self, error: DecodeError) -> None:
        """Note one that could not be."""
        self.failed += 1
        if len(self.reasons) < _MOST_REASONS:
            self.reasons.append(str(error))

    def memory(self) -> tuple[Any, ...]:
        """Return what the next frame will change; cheap, for every frame."""
        shots = self._source.memory() if isinstance(self._source, ShotSource) else (None, None)
        return (
            *shots,
            tuple((effect.choices, effect.looks) for effect in self._routed),
            [*self._last_frames],
            self._again,
        )

    def checkpoint(self, memory: tuple[Any, ...]) -> Checkpoint:
        """Return the checkpoint of the frame after ``memory`` was taken, which has been read, not noted."""
        shot, cuts, decided, last_frames, again = memory
        inner = self._inner
        seen = isinstance(inner, FileSource) and all(frame.device_pixels is None for frame in last_frames)
        return Checkpoint(
            frames=self.frames,
            failed=self.failed,
            reasons=tuple(self.reasons),
            fingerprints=tuple(map(fingerprint, last_frames)) if seen else (),
            last_shots=tuple(frame.shot for frame in last_frames),
            again=again,
            seekable=seen and isinstance(inner, FileSource) and inner.can_seek and not self.failed,
            damaged=inner.damaged if isinstance(inner, FileSource) else 0,
            shot=shot,
            cuts=None if cuts is None else cuts.to_json(),
            choices=tuple(tuple(asdict(choice) for choice in choices) for choices, _ in decided),
            looks=tuple(looks for _, looks in decided),
            notes=tuple((_kind(note), str(note)) for note in inner.notes),
        )


class Restored(NamedTuple):
    """What came of restoring a state.

    Attributes:
        spared: whether the frames before did not have to be read from the beginning.
        frames: the last frames before, in order, as they were: as many as shots of them are known.
    """

    spared: bool
    frames: tuple[Frame, ...]


def restore(
    checkpoint: Checkpoint, source: Source, inner: Source, routed: Sequence[Routed], *, alike: bool = False
) -> Restored:
    """Bring source and effects to where a segment begins.

    Frames are found by their times if the file allows, and known by the checksums of those before. Else they
    are read from the beginning, and thrown away. With ``alike``, what was made of a picture is used again
    where it is shown again, and frames that do so do not count among those before.

    Raises:
        SourceLostError: the source does not hold the frames any more.
    """
    if not checkpoint.frames:
        return Restored(spared=True, frames=())
    seekable = isinstance(inner, FileSource) and checkpoint.seekable
    last = _seek(checkpoint, inner, alike=alike) if isinstance(inner, FileSource) and seekable else ()
    sought = bool(last)
    if not sought:
        last = _read_past(checkpoint, inner, alike=alike)
    if isinstance(source, ShotSource) and checkpoint.cuts is not None:
        source.restore(checkpoint.shot, Cuts.from_json(checkpoint.cuts))
    for effect, choices, looks in zip(routed, checkpoint.choices, checkpoint.looks, strict=True):
        effect.choices = tuple(RouteDecision(**choice) for choice in choices)
        effect.looks = looks
    if sought and isinstance(inner, FileSource):
        inner.damaged = checkpoint.damaged
        known = set(inner.notes)
        inner.notes.extend(KINDS.get(kind, str)(text) for kind, text in checkpoint.notes if text not in known)
    shots = checkpoint.last_shots[-len(last) :]
    frames = tuple(replace(frame, shot=shot) for frame, shot in zip(last, shots, strict=True))
    return Restored(sought, frames)


def remembered(frames: Sequence[Frame], process: Callable[[Frame], Frame], looked_back: int) -> FrameMemories:
    """Return the memories that effects have of the frames before, which are done once more for that.

    Args:
        frames: frames before, in order; the last ones are enough.
        process: function that applies the effects.
        looked_back: number of frames that effects look back on.
    """
    memories = FrameMemories()
    for frame in frames[max(len(frames) - looked_back, 0) :]:
        memory = memories.next()
        process(frame.with_memory(memory))
        memory.close()
    return memories


def fingerprint(frame: Frame) -> tuple[int, int]:
    """Return time and checksum of a frame in main memory."""
    checksum = 0
    for plane in frame.planes:
        for row in plane if not plane.flags.c_contiguous else (plane,):
            checksum = zlib.crc32(row.data, checksum)
    return frame.pts, checksum


def _seek(checkpoint: Checkpoint, source: FileSource, *, alike: bool) -> tuple[Frame, ...]:
    """Move to the frame and return those before it; if they are not those that were read then, move to the
    beginning and return none."""
    base, (first_pts, _) = source.format.time_base, checkpoint.fingerprints[0]
    last: deque[Frame] = deque(maxlen=len(checkpoint.fingerprints))
    again, read, ends = 0, 0, (checkpoint.fingerprints[-1][0], checkpoint.again)
    try:
        source.seek(first_pts * base - SETTLING_SECONDS)
        while not last or (last[-1].pts, again) < ends:
            frame = source.read()
            if frame is None:
                break
            read += 1
            if frame.again and alike:
                again += 1
            elif frame.pts >= first_pts:
                last.append(frame)
                again = 0
    except (DecodeError, SourceOpenError, av.FFmpegError):
        last.clear()
    if tuple(map(fingerprint, last)) == checkpoint.fingerprints and again == checkpoint.again:
        source.number_from(checkpoint.frames)
        return tuple(replace(frame, index=frame.index - read + checkpoint.frames) for frame in last)
    source.seek(-base)  # the beginning
    return ()


def _read_past(checkpoint: Checkpoint, source: Source, *, alike: bool) -> tuple[Frame, ...]:
    """Read the frames before; return the last ones."""
    index = -1
    last: deque[Frame] = deque(maxlen=len(checkpoint.last_shots))
    while index < checkpoint.frames - 1:
        try:
            frame = source.read()
        except DecodeError:
            continue
        if frame is None:
            raise SourceLostError(
                f"{source.name}: ends before frame {checkpoint.frames}, which was read earlier"
            )
        index = frame.index
        if not (frame.again and alike):
            last.append(frame)
    return tuple(last)


def _kind(note: str) -> str:
    return next((name for name, kind in KINDS.items() if isinstance(note, kind)), "plain")
