"""On device: what a video file asks of whoever takes its pictures over where they are decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from streamfx.media.frame import DevicePixels

if TYPE_CHECKING:
    from av import VideoFrame
    from av.codec.hwaccel import HWAccel


class PicturesOnDevice(Protocol):
    """Decodes pictures on a device and takes them over there; `streamfx.capture.files.gpu_decode` has one."""

    def hwaccel(self) -> HWAccel | None:
        """Return what to open a container with."""

    def problem(self, picture: VideoFrame) -> str | None:
        """Return why pictures like this cannot be taken over; None where they can."""

    def hold(self, picture: VideoFrame) -> DevicePixels:
        """Return the picture's pixels in memory of our own; the picture may be let go."""
