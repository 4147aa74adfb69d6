"""The pictures of a file with their times: all of them, or those of the part that is wanted."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from fractions import Fraction

from av import FFmpegError, VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream

from streamfx.capture.files.decoding import Decoding
from streamfx.capture.timestamps import FrameClock
from streamfx.errors import DecodeError, SourceOpenError
from streamfx.media.frame import VideoFormat
from streamfx.media.part import Part
from streamfx.media.tracks import OtherTracks, Span

SETTLING_SECONDS = 1
"""Decoded before a picture that is sought: what refers to pictures before has settled by then."""

_TEXT_SECONDS = 30  # read before a part where there are subtitles: one may still be shown when it begins
_LATE_SECONDS = 10  # by which sound may come later in a file than the pictures that it goes with
_ONE_AFTER_ANOTHER = {"gif", "apng"}  # each picture is laid over those before, whatever the file flags


class TimedPictures:
    """Pictures in order, each with a time later than that of the one before.

    Args:
        decoding: decoding that gives them.
        video: the stream that they are of.
        name: name of the source, for messages.

    Attributes:
        clock: clock that gives the times, once ``start`` was called.
        shift: offset subtracted from every time that the file states, in units of its time base.
    """

    def __init__(self, decoding: Decoding, video: VideoStream, name: str) -> None:
        self._decoding, self._video, self._name = decoding, video, name
        self._pictures: deque[VideoFrame] = deque()
        self._ended = False
        self._begins_late = False
        self._end_ticks: int | None = None
        self._over_seconds: Fraction | None = None
        self.shift = 0

    def take(self) -> VideoFrame | None:
        """Return the next picture as decoded, or None at the end of the data.

        Raises:
            DecodeError: a packet cannot be decoded; the next call goes on after it.
        """
        # One picture more than needed: its time shows whether this one's can be right.
        while len(self._pictures) < 2 and not self._ended:
            picture = self._decoding.next()
            if picture is None:
                self._ended = True
            else:
                self._pictures.append(picture)
        return self._pictures.popleft() if self._pictures else None

    def put_back(self, picture: VideoFrame) -> None:
        """Have the next call return this one."""
        self._pictures.appendleft(picture)

    def start(self, form: VideoFormat, other_tracks: OtherTracks) -> None:
        """Begin to count time: ``form`` says in which unit, ``other_tracks`` where zero is."""
        self._form, self._other_tracks = form, other_tracks
        self.shift = round(other_tracks.shift_seconds / form.time_base)
        self.clock = FrameClock(form)

    def next(self) -> tuple[VideoFrame, int, int | None] | None:
        """Return the next picture that is wanted, its time and its duration; None at the end of them.

        Raises:
            DecodeError: a packet cannot be decoded; the next call goes on after it.
        """
        while (picture := self.take()) is not None:
            pts, duration = self._time_of(picture)
            if self._end_ticks is not None and pts >= self._end_ticks:
                self._pass_what_comes_later()
            elif pts >= 0 or not self._begins_late:
                return picture, pts, self._within(pts, duration)
        return None

    def skip(self) -> bool:
        """Pass over a packet without decoding it; return whether there was one, and the part not over."""
        return not self._is_over() and self._decoding.skip()

    # -- places --

    def seek(self, container: InputContainer, seconds: Fraction) -> None:
        """Move to a picture at or before a time with which decoding can begin; before 0: to the beginning.

        Raises:
            SourceOpenError: FFmpeg cannot.
        """
        if seconds < 0 and self._begins_late:
            self._lead_in(container, self.shift * self._form.time_base, can_seek=True)
        else:
            self._move(container, round(seconds / self._form.time_base) + self.shift)
        self.clock = FrameClock(self._form)

    def begin(self, container: InputContainer, part: Part, *, can_seek: bool) -> None:
        """Move to the first picture of a part, whose beginning becomes zero; cut all other tracks to it.

        That is the time of the picture, or the start that was asked for where the picture comes later than
        the next of a steady rate would: there sound goes on while a picture stands.

        Args:
            container: the open file.
            part: the part that is wanted, on the clock of the film.
            can_seek: whether the file states the times of all pictures, and can be moved in.

        Raises:
            SourceOpenError: the film ends before it.
        """
        base, zero = self._form.time_base, self.shift
        self._begins_late = part.start_seconds > 0
        if self._begins_late:
            self._lead_in(container, zero * base + part.start_seconds, can_seek=can_seek)
            first_seconds = self._first_of(part)
            near = first_seconds < part.start_seconds + self.clock.step * base
            self.shift += round((first_seconds if near else part.start_seconds) / base)
        if part.end_seconds is not None:
            self._end_ticks = part.first_tick_after(base) - (self.shift - zero)
            self._over_seconds = zero * base + part.end_seconds
        self._other_tracks.cut(Span(self.shift * base if self._begins_late else None, self._over_seconds))
        self.clock = FrameClock(self._form)

    def _lead_in(self, container: InputContainer, seconds: Fraction, *, can_seek: bool) -> None:
        """Move before a time on the file's clock, so that decoding has settled when it comes."""
        base, texts = (
            self._form.time_base,
            any(each.kind == "subtitle" for each in self._other_tracks.streams),
        )
        first = self._pictures[0] if self._pictures else None
        if self._video.codec_context.name in _ONE_AFTER_ANOTHER or (first is not None and first.pts is None):
            return
        begin_seconds = seconds - SETTLING_SECONDS
        if can_seek and begin_seconds > 0:
            with suppress(SourceOpenError):  # then all that comes before is read
                self._move(container, round((begin_seconds - _TEXT_SECONDS * texts) / base))
        if self._decoding.pass_over(begin_seconds):
            self._pictures.clear()
        if can_seek and begin_seconds > 0 and not self._is_sound(seconds):
            self._move(container, 0)

    def _is_sound(self, seconds: Fraction) -> bool:
        """Return whether the next picture stands by itself, and is one before the time that is looked for."""
        try:
            picture = self.take()
        except DecodeError:
            return False
        if picture is None or picture.pts is None:
            return False
        self.put_back(picture)
        early = picture.pts * self._form.time_base <= seconds
        return early and bool(picture.key_frame) and not picture.is_corrupt

    def _first_of(self, part: Part) -> Fraction:
        """Read up to the first picture of a part, which ``next`` returns; return its time in the film."""
        last_seconds: Fraction | None = None
        self.clock = FrameClock(self._form)
        while True:
            try:
                picture = self.take()
            except DecodeError:
                continue  # before the part: none of its pictures
            if picture is None:
                break
            last_seconds = self._time_of(picture)[0] * self._form.time_base
            if part.is_begun(last_seconds):
                self.put_back(picture)
                return last_seconds
        ends = (
            "no picture is left"
            if last_seconds is None
            else f"its last picture is at {float(last_seconds):.3f} s"
        )
        raise SourceOpenError(
            f"{self._name}: ends before the start that was asked for, {float(part.start_seconds):.3f} s: "
            f"{ends}; give an earlier --start"
        )

    def _move(self, container: InputContainer, ticks: int) -> None:
        try:
            container.seek(max(ticks, 0), stream=self._video)
        except FFmpegError as error:
            raise SourceOpenError(
                f"{self._name}: FFmpeg cannot move to a place in it ({error.strerror}); "
                "write it anew first (ffmpeg -i IN -c copy OUT.mkv), or read it from its beginning"
            ) from error
        self._pictures.clear()
        self._other_tracks.forget()
        self._ended = False
        self._decoding.begin_again(container)

    def _time_of(self, picture: VideoFrame) -> tuple[int, int | None]:
        next_pts = self._pictures[0].pts if self._pictures else None
        return self.clock.time_of(picture, next_pts, self.shift)

    # -- the end of a part --

    def _within(self, pts: int, duration: int | None) -> int | None:
        """Return how long a picture lasts: not past the end of the part, but for one of a steady rate."""
        if duration is None or self._end_ticks is None:
            return duration
        return min(duration, max(self._end_ticks - pts, self.clock.step))

    def _pass_what_comes_later(self) -> None:
        """Read what sound of the part the file holds behind its last picture."""
        self._pictures.clear()
        self._ended = True
        while self.skip():
            pass

    def _is_over(self) -> bool:
        if self._over_seconds is None:
            return False
        late_seconds = self._decoding.reached_seconds - float(self._over_seconds)
        return late_seconds > _LATE_SECONDS or (late_seconds >= 0 and self._other_tracks.is_sound_over())
