"""Decoding: the pictures of one video stream out of a container; what is broken is told and passed over."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av import VideoFrame
from av.container import InputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from streamfx.capture.files.preparation import Prepared
from streamfx.capture.timestamps import PacketClock
from streamfx.errors import DecodeError
from streamfx.media.notes import LeftOut
from streamfx.media.tracks import OtherTracks

if TYPE_CHECKING:
    from av.packet import Packet


# Packets after a key frame; where there are more, the film has too few key frames to wait for one.
_MOST_HELD = 3000


class Decoding:
    """Demuxes a container once: pictures of its video stream come out, all other packets go to the queue.

    Args:
        container: the open file.
        video: video stream whose pictures are wanted.
        name: name of the source, for messages.
        other_tracks: place where the other packets go.
        clock: clock that sets times right where a container's clock jumps.
        notes: notes, to say what cannot be passed on.
        prepared: filters through which pictures pass; None where pictures stay on a device.
        decoder: decoder of the pictures; None: the stream's own.

    Attributes:
        video_packets: packets of the video so far, broken ones included.
        reached_seconds: the end of what was read, of any stream.
        broke_off: reason why reading stopped before the end of the data; None where it did not.
    """

    def __init__(
        self,
        container: InputContainer,
        video: VideoStream,
        *,
        name: str,
        other_tracks: OtherTracks,
        clock: PacketClock,
        notes: list[str],
        prepared: Prepared | None = None,
        decoder: VideoCodecContext | None = None,
    ) -> None:
        self._video, self._name, self._other_tracks, self._clock, self._notes = (
            video,
            name,
            other_tracks,
            clock,
            notes,
        )
        self._prepared, self._decoder = prepared, decoder or video.codec_context
        self.video_packets = 0
        self.reached_seconds = 0.0
        self.broke_off: str | None = None
        self._known = {stream.index for stream in container.streams}
        self._late: set[int] = set()
        self._pictures: deque[VideoFrame] = deque()
        self._ready: deque[Packet[Stream]] = deque()
        self._cut: Packet[Stream] | None = None
        self._ended = False
        self._packets: Iterator[Packet[Stream]] = container.demux()

    def next(self) -> VideoFrame | None:
        """Return the next picture, or None at the end of the data.

        Raises:
            DecodeError: a packet cannot be decoded; the next call goes on after it.
        """
        while not self._pictures:
            if self._ready:
                self._decode(self._ready.popleft())
            elif self._ended:
                self._refuse_cut_packet()
                return None
            elif (packet := self._next_packet()) is None:
                self._end()
            elif packet.stream_index != self._video.index:
                self._pass_on(packet)
            else:
                self._line_up(packet)
        return self._pictures.popleft()

    def skip(self) -> bool:
        """Pass the next packet on, or over if it is one of the video; return whether there was one."""
        packet = self._next_packet()
        if packet is None:
            return False
        if packet.stream_index != self._video.index:
            self._pass_on(packet)
        elif packet.size:
            self._clock.correct(packet)
            self.video_packets += 1
        return True

    def pass_over(self, seconds: Fraction) -> bool:
        """Pass on to the last key frame at or before a time, and decode nothing of what is before it.

        Where key frames are minutes apart, decoding begins with an earlier one.

        Args:
            seconds: time on the file's clock.

        Returns:
            Whether pictures were passed over; if not, decoding goes on where it is.
        """
        waiting: list[Packet[Stream]] = []
        passed = False
        while (packet := self._next_packet()) is not None:
            if packet.stream_index != self._video.index:
                self._pass_on(packet)
                continue
            if not packet.size:
                continue
            self._clock.correct(packet)
            shown = packet.dts if packet.pts is None else packet.pts
            if packet.is_keyframe and shown is not None and shown * packet.time_base <= seconds:
                waiting, passed = [], True
            waiting.append(packet)
            # Those behind it are decoded later, and a key frame is shown no earlier than it is decoded.
            if packet.dts is not None and packet.dts * packet.time_base > seconds:
                break
            if len(waiting) > _MOST_HELD:
                break
        if passed:
            self._empty()
        self._ready.extend(waiting)
        return passed

    def begin_again(self, container: InputContainer) -> None:
        """Go on where the container was moved to, as if nothing had been read."""
        self._empty()
        self._ended, self.broke_off = False, None
        self._packets = container.demux()

    def close(self) -> None:
        """Let go of everything that belongs to the container."""
        self._pictures.clear()
        self._ready.clear()
        self._cut, self._ended = None, True
        self._packets = iter(())

    def _empty(self) -> None:
        """Let go of everything that was read and has not come out."""
        self._pictures.clear()
        self._ready.clear()
        self._cut = None
        self._decoder.flush_buffers()
        for _ in self._prepared.rest() if self._prepared is not None else ():
            pass

    def _next_packet(self) -> Packet[Stream] | None:
        """Return the next packet, or None at the end of the data."""
        try:
            packet = next(self._packets, None)
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.broke_off = f"reading stopped after {self.video_packets} video packets: {reason}"
            self._notes.append(self.broke_off)
            return None
        # PyAV ends with an empty packet per stream, and fails there when streams have appeared since opening
        # (seen in 18.1): the first one ends the reading here, and the decoder is flushed by hand.
        if packet is None or (not packet.size and packet.dts is None and packet.pts is None):
            return None
        if packet.pts is not None:
            end = packet.pts + (packet.duration or 0)
            self.reached_seconds = max(self.reached_seconds, float(end * packet.time_base))
        return packet

    def _refuse_cut_packet(self) -> None:
        if self._cut is not None:
            pts, self._cut = self._cut.pts, None
            self.video_packets += 1  # it is there, though broken: it counts as failed, not as missing
            raise DecodeError(f"{self._name}: the last video packet (pts {pts}) is cut off")

    def _pass_on(self, packet: Packet[Stream]) -> None:
        number = packet.stream_index
        if number not in self._known and number not in self._late:
            self._late.add(number)
            self._notes.append(LeftOut(f"stream {number}, which begins later, is left out"))
        if packet.size and number in self._known:
            self._clock.correct(packet)
            self._other_tracks.put(packet)

    def _line_up(self, packet: Packet[Stream]) -> None:
        if not packet.size:
            return  # "same picture again" in AVI: nothing to decode, and it would end the decoder
        self._clock.correct(packet)
        # A packet cut off by the end of the file would take pictures with it that a threaded decoder still
        # holds (PyAV stops at the first failure while flushing, seen in 18.1): wait whether something comes
        # after it.
        if self._cut is not None:
            self._ready.append(self._cut)
        self._cut = packet if packet.is_corrupt else None
        if self._cut is None:
            self._ready.append(packet)

    def _decode(self, packet: Packet[Stream]) -> None:
        self.video_packets += 1
        try:
            self._take(picture for picture in self._decoded(packet) if isinstance(picture, VideoFrame))
        except av.FFmpegError as error:
            raise DecodeError(
                f"{self._name}: video packet {self.video_packets} (pts {packet.pts}) cannot be decoded: "
                f"{error.strerror}"
            ) from error

    def _decoded(self, packet: Packet[Stream]) -> Iterable[object]:
        return self._decoder.decode(packet)

    def _end(self) -> None:
        """At the end of the data: get what the decoder still holds."""
        self._ended = True
        # At the end of broken data there may be nothing left to get.
        with contextlib.suppress(av.FFmpegError):
            self._take(self._decoder.decode(None))
        if self._prepared is not None:
            self._pictures.extend(self._prepared.rest())

    def _take(self, pictures: Iterable[VideoFrame]) -> None:
        for picture in pictures:
            picture.time_base = self._video.time_base  # those that a decoder still held come without one
            self._pictures.extend([picture] if self._prepared is None else self._prepared.push(picture))
