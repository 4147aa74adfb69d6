"""A run that kills itself at a moment of choice: ``python killed.py MOMENT COUNT INPUT OUTPUT``.

What a kill from outside would meet by chance, this meets each time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import streamfx
from streamfx.encode.files.file import FileSink
from streamfx.resume.packets import PacketFile
from streamfx.resume.segments import SegmentSink
from streamfx.resume.work import Work

MOMENTS: dict[str, tuple[type, str]] = {
    "frame": (SegmentSink, "write"),  # between two frames of a segment
    "packet": (PacketFile, "write"),  # within one: the file is torn
    "segment": (Work, "add"),  # a segment was noted
    "end": (Work, "complete"),  # the last segment is there, and the output not begun
    "joining": (FileSink, "write_coded"),  # within the output
    "renamed": (FileSink, "finish"),  # the output is there, and the work not yet removed
}


def kill_at(moment: str, count: int) -> None:
    """Have this process killed right after something happened for the ``count``th time."""
    owner, name = MOMENTS[moment]
    original: Callable[..., Any] = getattr(owner, name)
    left = count

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        result = original(*arguments, **named)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)


if __name__ == "__main__":
    kill_at(sys.argv[1], int(sys.argv[2]))
    config = streamfx.load_config(
        overrides=["resume=true", "segment_seconds=0.5", *sys.argv[5:]],
        options={"input": sys.argv[3], "output": sys.argv[4]},
    )
    streamfx.run_config(config)
