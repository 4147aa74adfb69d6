"""Decode on a device: pictures of NVIDIA's decoder taken over where they are, through PyAV and DLPack."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

import av
from av import VideoFrame
from av.codec.hwaccel import HWAccel
from torch.utils.dlpack import from_dlpack

from streamfx.capture.source import Source
from streamfx.errors import DecodeError
from streamfx.gpu.streams import decoder_event
from streamfx.gpu.transfer import DeviceContext
from streamfx.media.frame import DevicePixels, Subsampling
from streamfx.media.surface import Surface

log = logging.getLogger(__name__)

SEMI_PLANAR = {"nv12": (8, False), "p010le": (10, True)}
"""What is taken of decoders of GPUs: bits per sample, and whether values lie in the high ones of 16. P016 is
left out: it does not say how many bits its values have."""

_COMPARED_FRAMES = 48
_CPU_ADVANTAGE = 1.5  # the GPU's decoder leaves the processor to the encoder, and needs no copy


class DevicePictures:
    """Takes decoded pictures over into a pool, so that the decoder has its own back at once.

    Args:
        device_context: destination; on the CPU FFmpeg's decoders for it decode, and the rest is the same.
    """

    def __init__(self, device_context: DeviceContext) -> None:
        self._device_context, self._hardware = device_context, device_context.device.type == "cuda"

    def hwaccel(self) -> HWAccel | None:
        """Return what to open a container with."""
        return cuda_decoder() if self._hardware else None

    def problem(self, picture: VideoFrame) -> str | None:
        """Return why pictures like this cannot be taken over; None where they can."""
        if self._hardware and picture.sw_format is None:
            return "NVIDIA's decoder does not know this coding"
        name = (picture.sw_format or picture.format).name
        if self._hardware and name not in SEMI_PLANAR:
            return f"NVIDIA's decoder gives {name}; known here: {', '.join(SEMI_PLANAR)}"
        if picture.width % 2 or picture.height % 2:
            return f"{picture.width}x{picture.height} is odd"
        return None

    def hold(self, picture: VideoFrame) -> DevicePixels:
        """Return the picture's pixels in memory of our own; the picture may be let go."""
        ready = decoder_event(self._device_context.device)
        return self._device_context.taken_over(surface_of(picture), ready)


def cuda_decoder() -> HWAccel:
    """Return what makes FFmpeg decode on the GPU and leave pictures there."""
    return HWAccel("cuda", device="0", allow_software_fallback=False, is_hw_owned=True)


def decoder_missing() -> str | None:
    """Return None where FFmpeg can set up decoding on a GPU, else why not."""
    try:
        av.CodecContext.create("h264", "r", hwaccel=cuda_decoder())
    except (av.FFmpegError, NotImplementedError, RuntimeError, ValueError) as error:
        return f"FFmpeg cannot use NVIDIA's decoder: {getattr(error, 'strerror', None) or error}"
    return None


def surface_of(picture: VideoFrame) -> Surface:
    """Return a decoded picture as a surface over the decoder's memory, which it keeps alive: read only.

    PyAV neither waits for the decoder nor takes a stream; ``torch.from_dlpack(plane)`` would pass one, so it
    is given the capsule. See `streams.decoder_event`.
    """
    form = picture.sw_format or picture.format
    planes = tuple(from_dlpack(plane.__dlpack__())[None] for plane in picture.planes)
    if form.name in SEMI_PLANAR:
        depth, high = SEMI_PLANAR[form.name]
        return Surface(planes, Subsampling.YUV420, depth, high)  # type: ignore[arg-type]
    luma, chroma = form.components[0], form.components[1]
    steps = (luma.height // chroma.height, luma.width // chroma.width)
    subsampling = next(each for each in Subsampling if each.steps == steps)
    return Surface(planes, subsampling, luma.bits)  # type: ignore[arg-type]


def faster(device: Callable[[], Source], processor: Callable[[], Source]) -> bool:
    """Return whether the device decodes a video fast enough to be taken; small ones the processor often does.

    Args:
        device: function that opens the source decoded on the device.
        processor: function that opens it decoded by the processor.
    """
    there, here = _frames_per_second(device), _frames_per_second(processor)
    log.info("decoding: %.0f frames a second on the device, %.0f on the processor", there, here)
    return there * _CPU_ADVANTAGE >= here


def _frames_per_second(opened: Callable[[], Source]) -> float:
    source = opened()
    try:
        _read(source)
        started, count = time.perf_counter(), 0
        while count < _COMPARED_FRAMES and _read(source):
            count += 1
        return count / (time.perf_counter() - started)
    finally:
        source.close()


def _read(source: Source) -> bool:
    """Return whether there was another frame, broken or not: what to do about that the run decides."""
    with contextlib.suppress(DecodeError):
        return source.read() is not None
    return True
