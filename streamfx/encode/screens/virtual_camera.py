"""The virtual camera: what is written shows as a camera in every meeting program (pyvirtualcam)."""

from __future__ import annotations

import platform
from fractions import Fraction
from typing import Any

from streamfx.encode.pixels import Packer
from streamfx.errors import SinkError
from streamfx.media.frame import Frame, VideoFormat

_USUAL_FPS = Fraction(
    30
)  # what the device announces where the source states no rate; no picture waits for it
_HINTS = {
    "Linux": (
        "install v4l2loopback (apt install v4l2loopback-dkms), then: "
        "sudo modprobe v4l2loopback devices=1 exclusive_caps=1 card_label=streamfx"
    ),
    "Windows": "install OBS Studio (obsproject.com), which brings a virtual camera; start it once",
    "Darwin": "install OBS Studio 30 or newer (obsproject.com), and start its virtual camera once",
}


class VirtualCameraSink:
    """Shows frames through a virtual camera (pyvirtualcam); ``virtual:`` or ``virtual:/dev/video4``.

    Args:
        text: the output as the user wrote it.
        video: format of the frames.
        module: pyvirtualcam; None: import it.

    Raises:
        SinkError: pyvirtualcam is missing, or there is no virtual camera here; it says what to install.
    """

    def __init__(self, text: str, video: VideoFormat, module: Any = None) -> None:
        self.name = text
        self.notes: list[str] = []
        self.frames_written = self.packets_written = 0
        self._packer = Packer(video, "", video.colour.code_range)
        module = module or virtual_camera_library(text)
        device = text.partition(":")[2] or None
        height, width = video.size
        try:
            self._camera = module.Camera(
                width=width, height=height, fps=float(video.rate_fps or _USUAL_FPS),
                fmt=module.PixelFormat.RGB, device=device,
            )  # fmt: skip
        except (RuntimeError, ValueError, OSError) as error:
            # pyvirtualcam lists what each way of making one said: all of it helps.
            reasons = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
            raise SinkError(f"{text}: no virtual camera here ({reasons}); {install_hint()}") from error
        self.notes.append(f"the virtual camera is {self._camera.device}")

    def write(self, frame: Frame) -> None:
        """Show one frame, at once: the pace is the source's."""
        picture = self._packer.to_rgb(self._packer.own_picture(frame), "rgb24")
        try:
            self._camera.send(picture.to_ndarray())
        except (RuntimeError, OSError) as error:
            raise SinkError(f"{self.name}: the virtual camera is gone: {error}") from error
        self.frames_written += 1
        self.packets_written += 1

    def finish(self) -> None:
        """Take the camera away."""
        self._camera.close()

    def abort(self) -> None:
        """Take the camera away."""
        self._camera.close()


def install_hint(system: str | None = None) -> str:
    """Return what to install on ``system`` (as ``platform.system`` calls it; None: this one)."""
    return _HINTS.get(system or platform.system(), "see the documentation of pyvirtualcam for this system")


def virtual_camera_library(text: str) -> Any:
    """Return pyvirtualcam.

    Raises:
        SinkError: it is missing; says what to install.
    """
    try:
        import pyvirtualcam
    except ImportError as error:
        raise SinkError(
            f"{text}: needs pyvirtualcam: pip install 'streamfx[virtual-camera]'; then {install_hint()}"
        ) from error
    return pyvirtualcam
