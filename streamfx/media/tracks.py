"""What travels from the source file to the output beside the pictures: sound, subtitles, chapters, tags.

The capture thread demuxes everything once and puts every packet that is not of the video stream into a
queue; the file sink takes them out and interleaves them with the pictures. Nothing is decoded, and nothing is
read twice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

from streamfx.errors import ConfigError

if TYPE_CHECKING:
    import av
    from av.container.core import Chapter
    from av.stream import Stream

    TrackPacket: TypeAlias = av.Packet[Stream]

_DEFAULT = 1  # FFmpeg's flag of a stream that is played unless told otherwise


@dataclass(frozen=True, slots=True)
class OtherTrack:
    """A stream of the source other than the video.

    Attributes:
        index: number in the source file.
        kind: audio, subtitle, data, attachment or video (a cover picture).
        codec: FFmpeg's name of the coding; "unknown" where there is none.
        template: the stream itself, or a copy of its parameters; valid while the source is open.
        default: whether it is to be played unless told otherwise; None: what the source says.
    """

    index: int
    kind: str
    codec: str
    template: Stream
    default: bool | None = None

    @property
    def disposition(self) -> int:
        """FFmpeg's flags that the stream is to have."""
        flags = int(self.template.disposition)
        return flags if self.default is None else flags & ~_DEFAULT | _DEFAULT * self.default

    def __str__(self) -> str:
        language = self.template.metadata.get("language", "und")
        return (
            f"stream {self.index} ({self.kind}, {self.codec}{'' if language == 'und' else ', ' + language})"
        )


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture file beside its pixels.

    Attributes:
        name: name of the file, without its folder.
        exif: metadata of camera and programs, laid out as a TIFF file; empty without.
        icc: the colour profile; empty without.
    """

    name: str
    exif: bytes = b""
    icc: bytes = b""


@dataclass(slots=True)
class Span:
    """The part of a film that its tracks are cut to, on the clock of the source.

    What is copied can only be cut between packets: sound begins with the first packet that begins within the
    part, and ends with the last. Subtitles that reach into it are clipped. Covers have no time.

    Attributes:
        begin_seconds: beginning of the part; None: that of the film.
        end_seconds: end of the part; None: that of the film.
        over: numbers of the streams that have come to the end.
    """

    begin_seconds: Fraction | None
    end_seconds: Fraction | None
    over: set[int] = field(default_factory=set)

    def takes(self, packet: av.Packet[Stream], stream: OtherTrack) -> bool:
        """Return whether a packet is in the part; a subtitle is clipped to it in place."""
        at = packet.pts if packet.pts is not None else packet.dts
        if at is None or stream.kind not in ("audio", "subtitle", "data"):
            return True
        start, base = at * packet.time_base, packet.time_base
        if self.end_seconds is not None and start >= self.end_seconds:
            self.over.add(stream.index)
            return False
        begin = start if self.begin_seconds is None else self.begin_seconds
        if stream.kind != "subtitle" or not packet.duration:
            return start >= begin
        end = start + packet.duration * base
        if end <= begin:
            return False
        packet.pts = packet.dts = round(max(start, begin) / base)
        packet.duration = max(round(min(end, self.end_seconds or end) / base) - packet.pts, 1)
        return True

    def clipped(self, chapters: list[Chapter]) -> list[Chapter]:
        """Return the chapters that are in the part, as far as they are."""
        kept = []
        for chapter in chapters:
            base = chapter["time_base"] or Fraction(1, 1000)
            begin, end = chapter["start"], chapter["end"]
            if self.begin_seconds is not None:
                begin = max(begin, round(self.begin_seconds / base))
            if self.end_seconds is not None:
                end = min(end, round(self.end_seconds / base))
            if begin < end:
                part = chapter.copy()
                part["start"], part["end"] = begin, end
                kept.append(part)
        return kept


@dataclass(slots=True)
class OtherTracks:
    """The streams and tags of a source that are copied, and the queue their packets wait in.

    A sink claims the queue before the first frame is read; an unclaimed queue stays empty, so that nothing
    piles up when the output is not a file. Putting and taking may happen in different threads.

    Attributes:
        streams: every stream but the video.
        metadata: tags of the file.
        video_metadata: tags of the video stream.
        video_disposition: FFmpeg's disposition flags of the video stream.
        chapters: chapters as PyAV gives them.
        shift_seconds: offset subtracted from every time, of pictures and sound alike, because the source's
            clock does not start at zero (MPEG-TS); ``take`` does so with the packets.
        display_matrix: nine fixed-point numbers, rotation and mirroring asked of the player; None without.
        most_waiting: most packets that wait for a sink; the oldest go when there are more. None: no limit, as
            for files, where nothing may be lost and the sink sets the pace.
    """

    streams: tuple[OtherTrack, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    video_metadata: dict[str, str] = field(default_factory=dict)
    video_disposition: int = 0
    chapters: list[Chapter] = field(default_factory=list)
    shift_seconds: Fraction = Fraction(0)
    display_matrix: tuple[int, ...] | None = None
    most_waiting: int | None = None
    unwanted_end_seconds: Fraction | None = None
    _unwanted: frozenset[int] = frozenset()
    _waiting: deque[tuple[int, av.Packet[Stream]]] = field(default_factory=deque, repr=False)
    _branches: list[OtherTracks] = field(default_factory=list, repr=False)
    _claimed: bool = False
    _started: bool = False
    _span: Span | None = None

    def claim(self) -> None:
        """Say that somebody takes the packets. Whoever has done so may do so again.

        Raises:
            ConfigError: the source is being read already, so packets are gone.
        """
        if self._started and not self._claimed:
            raise ConfigError(
                "the output must be opened before the first frame is read, or its sound is incomplete"
            )
        self._claimed = True

    def start(self) -> None:
        """Called by the source when reading begins: from here on an unclaimed queue stays empty."""
        self._started = True
        if not self._claimed:
            self._waiting.clear()
        for branch in self._branches:
            branch.start()

    def branch(self) -> OtherTracks:
        """Return the same streams with a queue of their own, for one of several sinks."""
        branch = replace(self, _waiting=deque(), _branches=[], _claimed=False)
        self._branches.append(branch)
        return branch

    def apart(self) -> OtherTracks:
        """Return the same streams with what waits now, which nothing more comes to: to try an output with."""
        waiting = deque((index, _copy(packet)) for index, packet in self._waiting)
        return replace(self, _waiting=waiting, _branches=[], _claimed=False)

    def cut(self, span: Span) -> None:
        """Keep what is within a part of the film, also of what waits already; its beginning becomes zero."""
        self._span = span
        if span.begin_seconds is not None:
            self.shift_seconds = span.begin_seconds
        self.chapters = span.clipped(self.chapters)
        self._put_again()

    def keep(self, streams: tuple[OtherTrack, ...], *, chapters: bool) -> None:
        """Keep what is wanted: packets of other streams are let go, also those that wait already.

        Args:
            streams: streams among ``streams`` that are wanted, in their order.
            chapters: whether chapters are.
        """
        kept = {stream.index for stream in streams}
        self._unwanted |= {stream.index for stream in self.streams} - kept
        self.streams = streams
        self.chapters = self.chapters if chapters else []
        self._put_again()

    def _put_again(self) -> None:
        waiting = [*self._waiting]
        self._waiting.clear()
        for index, packet in waiting:
            self.put(packet, index)

    def _pass_over(self, packet: av.Packet[Stream]) -> None:
        if packet.pts is not None:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base - self.shift_seconds
            self.unwanted_end_seconds = max(end, self.unwanted_end_seconds or end)

    def is_sound_over(self) -> bool:
        """Return whether every sound has come to the end of the part that the film is cut to."""
        over = set() if self._span is None else self._span.over
        return all(stream.index in over for stream in self.streams if stream.kind == "audio")

    def forget(self) -> None:
        """Let go of what waits: the source is read from another place."""
        self._waiting.clear()

    def put(self, packet: av.Packet[Stream], index: int | None = None) -> None:
        """Called by the source with each packet of ``streams``, in file order.

        Args:
            packet: packet of one of the streams.
            index: number of the stream in ``streams``; None: the packet's own number says so.
        """
        index = packet.stream_index if index is None else index
        if index in self._unwanted:
            self._pass_over(packet)
            return
        if self._span is not None:
            stream = next((each for each in self.streams if each.index == index), None)
            if stream is None or not self._span.takes(packet, stream):
                return
        for branch in self._branches:
            branch.put(_copy(packet), index)
        if self._claimed or not self._started:
            self._waiting.append((index, packet))
            if self.most_waiting is not None and len(self._waiting) > self.most_waiting:
                self._waiting.popleft()

    def waiting(self, index: int) -> list[av.Packet[Stream]]:
        """Return copies of the packets of a stream that wait, for a look at what is to come."""
        return [_copy(packet) for number, packet in self._waiting if number == index]

    def take(self) -> list[tuple[int, av.Packet[Stream]]]:
        """Return the packets that came in since the last call, in file order, their times shifted.

        Each comes with the number of its stream in ``streams``.
        """
        packets = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if self.shift_seconds:
            for _, packet in packets:
                ticks = round(self.shift_seconds / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - ticks
                packet.dts = None if packet.dts is None else packet.dts - ticks
        return packets


def _copy(packet: av.Packet[Stream]) -> av.Packet[Stream]:
    """Return a packet of its own for one of several sinks: each sets times and stream as it needs them."""
    import av

    copy: av.Packet[Stream] = av.Packet(bytes(packet))
    copy.time_base = packet.time_base
    copy.pts, copy.dts = packet.pts, packet.dts
    copy.duration, copy.is_keyframe = packet.duration, packet.is_keyframe
    return copy
