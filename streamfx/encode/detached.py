"""The encoder of an output without the output, for packets that go elsewhere."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import av
from av.video.stream import VideoStream

from streamfx.encode.files.picture_times import LEAST_PICTURES, state_decoding_times
from streamfx.encode.pixels import Packing
from streamfx.encode.plan import OutputPlan
from streamfx.encode.video_stream import add_video_stream
from streamfx.media.frame import Frame

if TYPE_CHECKING:
    from av.packet import Packet


class DetachedEncoder:
    """Encodes frames as they would be in a container, and returns the packets.

    Only a container's stream tells the encoder how that container wants its parameters; so there is one in
    memory, to which nothing is written.

    Args:
        plan: codec, pixel format and settings of the frames.
        packing: function that makes the packing that hands them to the encoder.

    Attributes:
        context: FFmpeg's codec context of the encoder.
        times: times of the frames so far, in units of the video's time base.

    Raises:
        ConfigError, SinkError: see ``add_video_stream``.
    """

    def __init__(self, plan: OutputPlan, packing: Packing) -> None:
        self._packer = packing(plan.video, plan.pix_fmt, plan.colour.code_range)
        self._scratch = av.open(io.BytesIO(), "w", format=plan.container.muxer)
        self._stream = add_video_stream(self._scratch, plan, self._packer.hwaccel)
        self.context = self._stream.codec_context
        self.times: list[int] = []

    def encode(self, frame: Frame) -> list[Packet[VideoStream]]:
        """Return the packets that a frame completes."""
        picture = self._packer.pack(frame)
        self.times.append(picture.pts if picture.pts is not None else frame.pts)
        return self._returned(self._stream.encode(picture))

    def rest(self) -> list[Packet[VideoStream]]:
        """Return the packets of the frames that are still with the encoder."""
        left = self._stream.encode(None)
        if len(self.times) < LEAST_PICTURES:
            state_decoding_times(left)
        return self._returned(left)

    def close(self) -> None:
        """Let go of the encoder. Safe to call twice."""
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            self._scratch.close()

    def _returned(self, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
        self._packer.returned(packets)
        return packets
