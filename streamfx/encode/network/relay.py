"""Relay: the process that holds the connection of a network sink.

FFmpeg, called through PyAV 18.1, connects to a server while it holds the interpreter's lock: a server that
does not answer would bring the whole program to a halt. In a process of its own it halts nobody, and can be
ended at any time. It reads coded streams (NUT) from standard input and muxes them to the server.

Run as ``python -m streamfx.encode.network.relay``. The first line of standard input is what to do, as JSON
(every user of the machine could read an address on the command line). On standard output it says ``ready``
when the server has accepted the stream, or ``error REASON`` before it ends.
"""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from typing import IO


@dataclass(frozen=True, slots=True)
class Task:
    """What a relay is to do.

    Attributes:
        address: destination.
        muxer: FFmpeg's name.
        options: options of the muxer.
        sample: a stream of the same kind with next to nothing in it, base64. The relay connects on the
            strength of it, before there is a picture.
    """

    address: str
    muxer: str
    options: dict[str, str]
    sample: str

    def line(self) -> bytes:
        """Return the task as the first line of a relay's input."""
        return json.dumps(asdict(self)).encode() + b"\n"


def relay(task: Task, stream: IO[bytes], say: IO[str]) -> None:
    """Mux what ``stream`` holds to where the task says; returns at its end.

    Raises:
        FFmpegError, OSError, ValueError: the server is not there, refuses, or is gone.
    """
    import av

    out = av.open(task.address, "w", format=task.muxer, container_options=task.options)
    with av.open(io.BytesIO(base64.b64decode(task.sample)), "r", format="nut") as sample:
        targets = [out.add_stream_from_template(each, opaque=True) for each in sample.streams]
        out.start_encoding()
    say.write("ready\n")
    say.flush()
    # Everything is known from the header: nothing is read ahead to find out.
    options = {"analyzeduration": "0", "probesize": "32", "fpsprobesize": "0"}
    with av.open(stream, "r", format="nut", options=options, buffer_size=4096) as source:
        for packet in source.demux():
            if packet.size:
                packet.stream = targets[packet.stream_index]
                out.mux_one(packet)
        out.close()


def main() -> int:
    """Do what the first line of standard input says; return the exit code."""
    # Ctrl-C goes to the whole group of processes; the end comes from the one that feeds us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    line = b""
    while not line.endswith(b"\n"):
        if not (piece := source.read(1)):
            return 1
        line += piece
    import av

    try:
        relay(Task(**json.loads(line)), source, sys.stdout)
    except (av.FFmpegError, OSError, ValueError) as error:
        # Never the error itself: it holds the address, with its password.
        reason = getattr(error, "strerror", None) or type(error).__name__
        sys.stdout.write(f"error {reason}\n")
        sys.stdout.flush()
        os._exit(1)  # closing would try once more to reach the server
    return 0


if __name__ == "__main__":
    sys.exit(main())
