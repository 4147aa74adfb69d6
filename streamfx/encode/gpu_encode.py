"""Encode on a device: pictures handed to NVIDIA's encoder where they are, through DLPack and PyAV."""

from __future__ import annotations

from collections.abc import Sequence

import av
from av import VideoFrame
from av.codec.hwaccel import HWAccel
from av.video.frame import CudaContext
from av.video.stream import VideoStream

from streamfx.encode.pixels import Packer
from streamfx.errors import SinkError
from streamfx.gpu.layout import Layout
from streamfx.gpu.pool import DevicePicture
from streamfx.gpu.streams import Stream
from streamfx.gpu.transfer import DeviceContext, device_picture_of
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import CodeRange, Frame, VideoFormat
from streamfx.media.surface import Surface


class DevicePacker:
    """Makes AVFrames of frames on a device, without a copy.

    Each frame stays held, and so its place in the pool, until the encoder has returned its packet: encoders
    look ahead, and read their input until then.

    Args:
        device_context: place where the frames are.
        video: format of the frames.
        pix_fmt: FFmpeg's name of the format the encoder takes: nv12 or p010le.
        code_range: the range the encoder takes; that of the frames.
    """

    def __init__(
        self, device_context: DeviceContext, video: VideoFormat, pix_fmt: str, code_range: CodeRange
    ) -> None:
        self._device = device_context.device
        self._labels, self._pix_fmt = Packer(video, pix_fmt, code_range), pix_fmt
        self._stream = Stream(self._device, "encode")
        self._context = CudaContext(cuda_stream=self._stream.handle) if self._stream.handle else None
        self._pictures: dict[int, DevicePicture] = {}

    @property
    def hwaccel(self) -> HWAccel | None:
        """What to open the encoder with."""
        # The context that torch uses, so that the encoder finds the frames in it.
        return HWAccel("cuda", device="0", options={"primary_ctx": "1"}) if self._context else None

    @property
    def in_flight(self) -> int:
        """How many frames the encoder has and has not returned."""
        return len(self._pictures)

    def pack(self, frame: Frame) -> VideoFrame:
        """Return ``frame`` as the encoder wants it, with its time and colour tags.

        Raises:
            SinkError: the frame is not of the format the output was opened with.
        """
        self._labels.check(frame)
        picture = device_picture_of(frame)
        if (found := pixel_format(picture.surface)) != self._pix_fmt:
            raise SinkError(f"frame {frame.index} is {found}; the output was opened for {self._pix_fmt}")
        coded = picture_of(picture.surface, self._context, self._stream.handle)
        self._labels.tag(coded)
        self._pictures[frame.pts] = picture
        return self._labels.timed(coded, frame)

    def returned(self, packets: Sequence[av.Packet[VideoStream]]) -> None:
        """Let go of the frames that the packets are made of."""
        for packet in packets:
            if packet.pts is not None:
                self._pictures.pop(packet.pts, None)


def pixel_format(surface: Surface) -> str:
    """Return FFmpeg's name of how a surface lies."""
    if surface.paired:
        return {8: "nv12", 10: "p010le"}.get(surface.depth, "p016le")
    return planar_name(surface.subsampling, surface.depth)


def picture_of(surface: Surface, context: CudaContext | None = None, stream: int | None = None) -> VideoFrame:
    """Return a surface as an AVFrame over the same memory, which it keeps alive.

    Args:
        surface: any on the CPU; on a GPU NV12 or P010, its chroma right behind its luma (`Layout`).
        context: context of the GPU, one for all frames: a new one each would be a device context each.
        stream: stream in which the encoder works, CUDA's handle.
    """
    planes = [plane[0] for plane in surface.planes]
    if context is None:
        return VideoFrame.from_dlpack(planes, format=pixel_format(surface))
    return VideoFrame.from_dlpack(
        planes, format=pixel_format(surface), device_id=0, cuda_context=context, stream=stream
    )


def device_format(video: VideoFormat) -> str | None:
    """Return FFmpeg's name of the format in which encoders of GPUs take a video; None where none does."""
    form = Layout(video.size, video.subsampling, video.depth)
    even = all(side % 2 == 0 for side in video.size)
    if not even or video.subsampling.steps != (2, 2):
        return None
    return {8: "nv12", 10: "p010le"}.get(form.depth)
