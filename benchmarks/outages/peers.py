"""The other ends of a server, each a process of its own that tries again whenever it is cut off.

    python -m benchmarks.outages.peers publish ADDRESS LOG FPS 320x180 [MORE SIZES]
    python -m benchmarks.outages.peers view ADDRESS LOG

Every picture carries its number, so that what arrives can be told from what is shown again. A publisher
numbers pictures by the clock that all processes share: the number says when it was made. Both write a line of
fixed length for each connection (publish) or picture (view) to their log.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TextIO

import av
import numpy as np

from streamfx.capture.pattern import PatternSource, read_stamp
from streamfx.media.av_planes import plane_array

AGAIN_SECONDS = 0.3
LINE_BYTES = 48


@dataclass(frozen=True, slots=True)
class ReceivedPicture:
    """One picture that a viewer got.

    Attributes:
        connection: number of the viewer's connection.
        at_seconds: time by the clock that all processes share.
        time_seconds: time in the stream.
        stamp: number of the picture; None where none could be read.
    """

    connection: int
    at_seconds: float
    time_seconds: float
    stamp: int | None

    def line(self) -> str:
        """Return it as a line of ``LINE_BYTES`` bytes."""
        stamp = -1 if self.stamp is None else self.stamp
        text = f"{self.connection} {self.at_seconds:.4f} {self.time_seconds:.4f} {stamp}"
        return f"{text:<{LINE_BYTES - 1}}\n"


def read_log(path: Path) -> list[ReceivedPicture]:
    """Return what a viewer has written."""
    seen = []
    for line in path.read_text().splitlines():
        connection, at, moment, stamp = line.split()
        seen.append(
            ReceivedPicture(int(connection), float(at), float(moment), None if stamp == "-1" else int(stamp))
        )
    return seen


def publish(address: str, log: TextIO, rate_fps: int, sizes: list[str]) -> None:
    """Send the test picture, at the next of the sizes with each connection; never returns."""
    for connection, size in enumerate(itertools.cycle(sizes)):
        while not _sent(address, log, rate_fps, size, connection):
            time.sleep(AGAIN_SECONDS)


def _sent(address: str, log: TextIO, rate_fps: int, size: str, connection: int) -> bool:
    """Send until cut off; return whether there was a connection at all."""
    pattern = PatternSource(f"test:bars?size={size}&fps={rate_fps}&frames=0")
    height, width = pattern.format.size
    rtsp = address.startswith("rtsp")
    connected = False
    try:
        with av.open(
            address,
            "w",
            format="rtsp" if rtsp else "flv",
            container_options={"rtsp_transport": "tcp"} if rtsp else {"flvflags": "no_duration_filesize"},
        ) as out:
            options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(rate_fps)}
            video = out.add_stream("libx264", rate=rate_fps, options=options)
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            out.start_encoding()
            connected = True
            log.write(ReceivedPicture(connection, time.monotonic(), 0.0, None).line())
            log.flush()
            first = number = round(time.monotonic() * rate_fps)
            while True:
                time.sleep(max(number / rate_fps - time.monotonic(), 0))
                picture = av.VideoFrame(width, height, "yuv420p")
                for plane, samples in zip(picture.planes, pattern.planes(number), strict=True):
                    np.copyto(plane_array(plane, 8), samples)
                picture.pts, picture.time_base = number - first, Fraction(1, rate_fps)
                out.mux(video.encode(picture))
                number += 1
    except (av.FFmpegError, OSError):
        return connected


def view(address: str, log: TextIO) -> None:
    """Read and note every picture; never returns."""
    for connection in itertools.count():
        for time_seconds, stamp in _pictures(address):
            log.write(ReceivedPicture(connection, time.monotonic(), time_seconds, stamp).line())
            log.flush()
        time.sleep(AGAIN_SECONDS)


def _pictures(address: str) -> Iterator[tuple[float, int | None]]:
    options = {"analyzeduration": "500000", "flags": "low_delay"}
    options |= {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {"rtmp_live": "live"}
    try:
        with av.open(address, "r", options=options, timeout=(8, 4)) as container:
            container.streams.video[0].thread_count = 1
            for picture in container.decode(video=0):
                if picture.pts is not None and picture.time_base is not None:
                    stamp = read_stamp(plane_array(picture.planes[0], 8))
                    yield float(picture.pts * picture.time_base), stamp
    except (av.FFmpegError, OSError, IndexError):
        return


def main() -> None:
    """Run what the command line says."""
    what, address, path, *rest = sys.argv[1:]
    with open(path, "a", encoding="ascii") as log:
        if what == "publish":
            publish(address, log, int(rest[0]), rest[1:])
        else:
            view(address, log)


if __name__ == "__main__":
    main()
