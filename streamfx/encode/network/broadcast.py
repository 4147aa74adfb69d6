"""One connection of a network sink: encoder, muxer, and the process that holds the connection."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import select
import subprocess
import sys
import threading
import time
from fractions import Fraction
from typing import IO

import av
from av import VideoFrame
from av.video.frame import PictureType

from streamfx.encode.network.relay import Task
from streamfx.encode.network.targets import NetworkTarget
from streamfx.encode.plan import OutputPlan
from streamfx.encode.tracks.copying import StreamCopier
from streamfx.encode.tracks.selection import Track
from streamfx.encode.video_stream import add_video_stream
from streamfx.errors import SinkAwayError, SinkError
from streamfx.media.paths import import_path
from streamfx.media.tracks import OtherTrack, OtherTracks

_ROUNDING = 1e-6
_LOOK_SECONDS = 0.1
# What FFmpeg says where it makes no sense to try again later.
_FINAL = (
    "Invalid argument",
    "Option not found",
    "Protocol not found",
    "Server returned 400 Bad Request",
    "Server returned 401 Unauthorized (authorization failed)",
    "Server returned 403 Forbidden (access denied)",
)


class Broadcast:
    """A connection to an output, open and ready. It is not used again once something has failed.

    Args:
        route: destination.
        plan: codec, pixel format and settings of the encoder.
        other_tracks: place where sound comes from; None for none.
        streams: tracks that are sent.
        open_seconds: give up opening after this time.
        write_seconds: a server that takes nothing for so long is gone.
        closing: set when nobody wants it any more, while it is being opened.

    Attributes:
        packets_written: video packets handed over.

    Raises:
        SinkAwayError: nobody answers; another time somebody may.
        SinkError: it cannot be opened.
    """

    def __init__(
        self,
        route: NetworkTarget,
        plan: OutputPlan,
        other_tracks: OtherTracks | None,
        streams: list[OtherTrack],
        *,
        open_seconds: float,
        write_seconds: float,
        closing: threading.Event | None = None,
    ) -> None:
        self.packets_written = 0
        self._name = route.name
        self._last_keyframe: Fraction | None = None
        self._relay: Relay | None = None
        self._asked = False  # the server, whatever it answered
        try:
            if route.relayed:
                self._relay = Relay(write_seconds)
                options = {"flush_packets": "1", "max_interleave_delta": "500000"}
                self._out = av.open(self._relay, "w", format="nut", container_options=options)
            else:
                container = plan.container
                self._out = av.open(
                    route.address, "w", format=container.muxer, container_options=container.options
                )
            self._video = add_video_stream(self._out, plan)
            # NUT, which goes to the relay, lets no two packets of a stream have the same time.
            equal_times = plan.container.equal_times and not route.relayed
            self._copier = (
                StreamCopier(self._out, map(Track, streams), other_tracks, equal_times=equal_times)
                if other_tracks is not None
                else None
            )
            self._out.start_encoding()
            if self._relay is not None:
                sample = base64.b64encode(sample_of(self._out)).decode()
                self._asked = True
                task = Task(route.address, plan.container.muxer, plan.container.options, sample)
                self._relay.connect(task, open_seconds, closing)
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = self.problem(error)
            self.abort()
            if isinstance(error, SinkError):
                raise
            away = route.relayed and self._asked and reason not in _FINAL
            kind = SinkAwayError if away else SinkError
            raise kind(f"{route.name}: cannot be opened: {reason}") from OSError(reason)

    def write(self, picture: VideoFrame, keyframe_seconds: float) -> None:
        """Encode and send one picture, and the sound that has come in.

        Raises:
            FFmpegError, OSError, ValueError: the connection is gone; ``problem`` says why.
        """
        assert picture.pts is not None
        assert picture.time_base is not None
        now = picture.pts * picture.time_base
        if self._last_keyframe is None or float(now - self._last_keyframe) > keyframe_seconds - _ROUNDING:
            picture.pict_type = PictureType.I
            self._last_keyframe = now
        self._mux(self._video.encode(picture))

    def finish(self) -> None:
        """Send what is left and end the stream properly.

        Raises:
            FFmpegError, OSError, ValueError: the connection is gone; ``problem`` says why.
        """
        self._mux(self._video.encode(None))
        self._out.close()
        if self._relay is not None:
            self._relay.finish()

    def abort(self) -> None:
        """Let the connection go at once. Safe to call twice, and half-way through opening."""
        if self._relay is not None:
            self._relay.end()
        if hasattr(self, "_out"):
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                self._out.close()

    def problem(self, error: Exception) -> str:
        """Return why the connection failed, in words, without the address."""
        said = self._relay.reason() if self._relay is not None else None
        if said is not None:
            return said
        if isinstance(error, SinkError):
            return str(error).removeprefix(f"{self._name}: ")
        return getattr(error, "strerror", None) or str(error) or type(error).__name__

    def _mux(self, packets: list[av.Packet[av.VideoStream]]) -> None:
        for extra in self._copier.packets() if self._copier else ():
            self._out.mux_one(extra)
        for packet in packets:
            self._out.mux_one(packet)
            self.packets_written += 1


def sample_of(out: av.container.OutputContainer) -> bytes:
    """Return a stream of the same kind as ``out`` with one packet of nothing in it."""
    data = io.BytesIO()
    with av.open(data, "w", format="nut") as sample:
        for stream in out.streams:
            sample.add_stream_from_template(stream, opaque=True)
        packet = av.Packet(bytes(8))
        packet.stream, packet.time_base = sample.streams[0], Fraction(1, 1000)
        packet.pts = packet.dts = 0
        sample.mux_one(packet)
    return data.getvalue()


class Relay:
    """The process that holds the connection (see ``relay.py``), as a file that is written to.

    Args:
        write_seconds: time for which a write may wait.
    """

    def __init__(self, write_seconds: float) -> None:
        self.name = "relay"  # PyAV puts it into its messages
        self._write_seconds = write_seconds
        self._said = b""
        self._header: bytearray | None = bytearray()  # what is written before it connects
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "streamfx.encode.network.relay"],
            env=os.environ | {"PYTHONPATH": import_path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        os.set_blocking(self._input.fileno(), False)
        os.set_blocking(self._output.fileno(), False)

    def write(self, data: bytes) -> int:
        """Hand ``data`` over and return its length.

        Raises:
            TimeoutError: it was not taken in time.
            OSError: the process has ended.
        """
        if self._header is not None:
            self._header += data
            return len(data)
        rest = memoryview(data)
        deadline = time.monotonic() + self._write_seconds
        while rest:
            try:
                rest = rest[os.write(self._input.fileno(), rest) :]
            except BlockingIOError:
                left_seconds = deadline - time.monotonic()
                if left_seconds <= 0 or not select.select((), (self._input,), (), left_seconds)[1]:
                    message = f"the other side took nothing for {self._write_seconds:g} s"
                    raise TimeoutError(message) from None
        return len(data)

    def connect(self, task: Task, limit_seconds: float, closing: threading.Event | None = None) -> None:
        """Let it connect, and wait until the server has accepted the stream.

        Args:
            task: destination, and what will be sent.
            limit_seconds: time for which that may take.
            closing: set when nobody wants it any more.

        Raises:
            OSError: it has not; the message says why.
        """
        assert self._header is not None
        header, self._header = bytes(self._header), None
        self.write(task.line())
        self.write(header)
        deadline = time.monotonic() + limit_seconds
        while not self._said.startswith(b"ready"):
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                raise TimeoutError(f"no answer within {limit_seconds:g} s")
            if closing is not None and closing.is_set():
                raise OSError("the output was closed meanwhile")
            if not select.select((self._output,), (), (), min(left_seconds, _LOOK_SECONDS))[0]:
                continue
            if not self._listen():
                raise OSError(self.reason() or "the process that connects ended without a reason")

    def reason(self) -> str | None:
        """Return why the process ended, as it said itself; None while it has not said."""
        while b"error" not in self._said and not self._output.closed and self._listen():
            pass
        _, error, reason = self._said.decode(errors="replace").partition("error ")
        return reason.strip() if error else None

    def finish(self) -> None:
        """Let it send what it has and end by itself; end it when that takes too long.

        Raises:
            OSError: what it had could not be sent; the message says why.
        """
        self._input.close()
        try:
            code = self._process.wait(self._write_seconds)
        except subprocess.TimeoutExpired:
            code = None
        reason = self.reason()
        self.end()
        if code != 0:
            raise OSError(reason or f"the other side took nothing for {self._write_seconds:g} s")

    def end(self) -> None:
        """End the process now. Safe to call twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            with contextlib.suppress(OSError):
                pipe.close()

    def _listen(self) -> bool:
        """Take in what the process says; False at the end of it."""
        try:
            said = os.read(self._output.fileno(), 4096)
        except BlockingIOError:
            return False
        self._said += said
        return bool(said)
