"""Stream encoder: makes the pictures of a run a stream of video, once for all who watch it.

A picture that is sent as JPEG costs each viewer all of its bytes; a stream has a tenth of them or less. The
encoders are those of FFmpeg; what they make is handed to each connection as it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av import CodecContext, VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from streamfx.encode.pixels import AV_RANGES, Packer
from streamfx.errors import SinkError
from streamfx.media.av_planes import plane_array
from streamfx.media.frame import Frame, VideoFormat
from streamfx.web.pictures import shown_size

_WIDEST_PIXELS = 1920  # two pictures of that width, one above the other, are what browsers decode
_USUAL_FPS = 30
_KEY_SECONDS = 4  # between key frames that nobody asked for: some players ask for none
_PAIR_SECONDS = 1.0
_RTP_TICK_SECONDS = Fraction(1, 90_000)
_MOST_FORMATS = 4
_FAILURES = (av.FFmpegError, ValueError, MemoryError)


class Coding(StrEnum):
    """A coding of video that browsers take, as SDP names it."""

    H264 = "H264"
    VP8 = "VP8"


@dataclass(frozen=True, slots=True)
class StreamKind:
    """What one stream shows, and how it is coded.

    Attributes:
        coding: coding of the video.
        before: whether each picture has what it was before the effects below it, as large.
    """

    coding: Coding
    before: bool = False


@dataclass(frozen=True, slots=True)
class StreamPacket:
    """A coded picture.

    Attributes:
        kind: stream that it belongs to.
        packet: the bytes; its time is that at which it was made.
        key: whether a viewer can begin with it.
    """

    kind: StreamKind
    packet: av.Packet[Any]
    key: bool


class StreamEncoder:
    """Codes the pictures of a run for every kind of stream that somebody watches. For one thread.

    Args:
        video: format of the frames; those that differ from it are shown at the size that these are.
        width_pixels: the pictures are made no wider than this.
        most_kbps: bits a second that a stream may take, in thousands.
    """

    def __init__(self, video: VideoFormat, width_pixels: int, most_kbps: int) -> None:
        self.size = shown_size(video, min(width_pixels, _WIDEST_PIXELS))
        self._rate_fps = video.rate_fps or Fraction(_USUAL_FPS)
        self._most_kbps = most_kbps
        self._packers: dict[VideoFormat, Packer] = {}
        self._reformatter = VideoReformatter()
        self._encoders: dict[StreamKind, _Encoder] = {}
        self._pair_until = 0.0

    def encode(
        self, frame: Frame, before: Frame | None, kinds: frozenset[StreamKind], keys: frozenset[StreamKind]
    ) -> list[StreamPacket]:
        """Return the frame as each kind of stream has it.

        Args:
            frame: the frame.
            before: same frame before the effects; None: nothing changed it.
            kinds: streams that are watched; the encoders of others are let go.
            keys: streams of which a key frame is asked for.

        Raises:
            SinkError: the frame cannot be coded.
        """
        for kind in self._encoders.keys() - kinds:
            del self._encoders[kind]
        # A stream that shows two pictures goes on to do so for a while: another size begins it anew.
        now = time.monotonic()
        if before is not None:
            self._pair_until = now + _PAIR_SECONDS
        made, found = _Pictures(self, frame, before, pairs=now < self._pair_until), []
        for kind in kinds:
            encoder = self._encoders.setdefault(kind, _Encoder(kind.coding, self._rate_fps, self._most_kbps))
            try:
                packet = encoder.encode(made.picture(kind), key=kind in keys)
            except _FAILURES as error:
                del self._encoders[kind]
                raise SinkError(
                    f"frame {frame.index} cannot be made {kind.coding} for the page: {error}"
                ) from error
            if packet is not None:
                found.append(StreamPacket(kind, packet, packet.is_keyframe))
        return found

    def shown(self, frame: Frame, *, matrix: bool) -> VideoFrame:
        """Return a frame at the size of the stream, as 4:2:0 of 8 bits; ``matrix``: in that of BT.601."""
        packer = self._packers.get(frame.format)
        if packer is None:
            if len(self._packers) >= _MOST_FORMATS:
                self._packers.clear()
            packer = self._packers[frame.format] = Packer(frame.format, "", frame.format.colour.code_range)
        picture = packer.own_picture(frame)
        colour = frame.colour.assumed(frame.size[0])
        picture.colorspace, picture.color_range = int(colour.matrix), AV_RANGES[colour.code_range]
        return self._reformatter.reformat(
            picture,
            width=self.size[1],
            height=self.size[0],
            format="yuv420p",
            dst_color_range=ColorRange.MPEG,
            dst_colorspace=Colorspace.ITU601 if matrix else None,
            interpolation=Interpolation.BILINEAR if self.size == frame.size else Interpolation.AREA,
        )


class _Pictures:
    """The pictures of one frame, each made once, whichever streams have it."""

    def __init__(self, encoder: StreamEncoder, frame: Frame, before: Frame | None, *, pairs: bool) -> None:
        self._encoder, self._frame, self._before, self._pairs = encoder, frame, before, pairs
        self._made: dict[tuple[bool, bool], VideoFrame] = {}

    def picture(self, kind: StreamKind) -> VideoFrame:
        # VP8 does not say which matrix its pictures have; players take BT.601 for granted.
        matrix = kind.coding is Coding.VP8
        after = self._single(self._frame, matrix=matrix, before=False)
        if not (kind.before and self._pairs):
            return after
        if self._before is None:
            return _one_above_the_other(after, after)
        return _one_above_the_other(after, self._single(self._before, matrix=matrix, before=True))

    def _single(self, frame: Frame, *, matrix: bool, before: bool) -> VideoFrame:
        if (before, matrix) not in self._made:
            self._made[before, matrix] = self._encoder.shown(frame, matrix=matrix)
        return self._made[before, matrix]


class _Encoder:
    """One of FFmpeg's encoders, set to give each picture at once; opened anew for another size."""

    def __init__(self, coding: Coding, rate_fps: Fraction, most_kbps: int) -> None:
        self._coding, self._rate_fps, self._most_kbps = coding, rate_fps, most_kbps
        self._context: VideoCodecContext | None = None
        self._count = 0

    def encode(self, picture: VideoFrame, *, key: bool) -> av.Packet[Any] | None:
        context = self._context
        if context is None or (context.width, context.height) != (picture.width, picture.height):
            context = self._context = self._opened(picture)
        picture.pts, picture.time_base = self._count, 1 / self._rate_fps
        picture.pict_type = PictureType.I if key else PictureType.NONE
        self._count += 1
        packets = context.encode(picture)
        if not packets:
            return None
        # The time it is sent, as for visitors: by the source's, a browser takes the time that a picture
        # spends here for an unsteady network, and holds pictures back.
        packets[0].pts, packets[0].time_base = round(time.monotonic() / _RTP_TICK_SECONDS), _RTP_TICK_SECONDS
        return packets[0]

    def _opened(self, picture: VideoFrame) -> VideoCodecContext:
        h264 = self._coding is Coding.H264
        context = CodecContext.create("libx264" if h264 else "libvpx", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = picture.width, picture.height, "yuv420p"
        context.framerate, context.time_base = self._rate_fps, 1 / self._rate_fps
        context.colorspace, context.color_range = picture.colorspace, ColorRange.MPEG
        context.gop_size = max(1, round(self._rate_fps * _KEY_SECONDS))
        context.thread_count = 1  # the others are for the effects
        most = self._most_kbps * 1000
        if h264:
            context.profile = "Constrained Baseline"
            context.options = {
                "preset": "superfast",
                "tune": "zerolatency",
                "crf": "23",
                "maxrate": str(most),
                "bufsize": str(most // 2),
                "forced-idr": "1",
            }
        else:
            context.bit_rate = most
            context.options = {
                "deadline": "realtime",
                "cpu-used": "12",
                "lag-in-frames": "0",
                "error-resilient": "default",
                "crf": "12",
            }
        return context


def _one_above_the_other(above: VideoFrame, below: VideoFrame) -> VideoFrame:
    pair = VideoFrame(above.width, 2 * above.height, "yuv420p")
    pair.colorspace, pair.color_range = above.colorspace, above.color_range
    for whole, upper, lower in zip(pair.planes, above.planes, below.planes, strict=True):
        rows = plane_array(whole, 8)
        np.copyto(rows[: upper.height], plane_array(upper, 8))
        np.copyto(rows[upper.height :], plane_array(lower, 8))
    return pair
