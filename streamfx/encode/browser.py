"""A visitor's browser as a sink: pictures go to the connection when it has time for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from streamfx.encode.pixels import Packer
from streamfx.media.frame import Frame, VideoFormat

if TYPE_CHECKING:
    from av import VideoFrame

Give: TypeAlias = "Callable[[VideoFrame], str | None]"


class BrowserSink:
    """Sends frames back to the browser they came from.

    Args:
        name: name for messages and the report.
        video: format of the frames.
        give: function that hands a picture to the connection; waits until that has time for one, so that no
            picture is made to be thrown away; returns why it was not taken, None when it was.
    """

    def __init__(self, name: str, video: VideoFormat, give: Give) -> None:
        self.name = name
        self.notes: list[str] = []
        self.frames_written = self.packets_written = 0
        self._packer, self._give = Packer(video, "yuv420p", video.colour.code_range), give

    def write(self, frame: Frame) -> str | None:
        """Send one frame; return why it was dropped, None when it was not."""
        cause = self._give(self._packer.pack(frame))
        if cause is None:
            self.frames_written += 1
            self.packets_written += 1
        return cause

    def finish(self) -> None:
        """Do nothing: the connection belongs to who opened it."""

    def abort(self) -> None:
        """Do nothing: the connection belongs to who opened it."""
