"""Tiny servers and listeners on this machine, for sources and sinks of the network."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av

from tests.media import video_frame


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port that nobody listens on."""
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def sending(
    address: str, size: tuple[int, int] = (96, 160), fps: int = 25, at_once: int = 1
) -> Iterator[None]:
    """Send the stamped test picture to a UDP address in real time, so many pictures ``at_once``, until the
    block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=_send, args=(address, size, fps, stop, at_once), name="sender")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _send(address: str, size: tuple[int, int], fps: int, stop: threading.Event, at_once: int) -> None:
    with av.open(f"{address}?pkt_size=1316", "w", format="mpegts") as out:
        _send_pictures(out, size, fps, stop, at_once=at_once)


def _send_pictures(
    out: Any, size: tuple[int, int], fps: int, stop: threading.Event, waiting: int = 0, at_once: int = 1
) -> None:
    """Send pictures at their times, or several ``at_once``; first so many, that are ``waiting``."""
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
    video: Any = out.add_stream("libx264", rate=fps, options=options)
    video.codec_context.height, video.codec_context.width = size
    video.codec_context.pix_fmt = "yuv420p"
    number, started = 0, time.monotonic()
    while not stop.wait(max(started + (number // at_once * at_once - waiting) / fps - time.monotonic(), 0)):
        picture = video_frame(size, number, "yuv420p")
        picture.pts, picture.time_base = number, Fraction(1, fps)
        out.mux(video.encode(picture))
        number += 1


@contextmanager
def catching_up(waiting: int, fps: int) -> Iterator[str]:
    """Send the test picture to whom connects, so many pictures at once and then in real time; the address."""
    server, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        try:
            with (
                server.accept()[0] as joined,
                joined.makefile("wb", buffering=0) as file,
                av.open(file, "w", format="mpegts", options={"flush_packets": "1"}) as out,
            ):
                _send_pictures(out, (96, 160), fps, stop, waiting)
        except OSError:
            return  # the other side has gone

    thread = threading.Thread(target=serve, name="server")
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@contextmanager
def offering(folder: Path) -> Iterator[str]:
    """Offer a folder over HTTP; gives the address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    handler = partial(Quiet, directory=str(folder))
    with _serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as address:
        yield address


@contextmanager
def _serving(server: http.server.ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def breaking_off(file: Path, share: float) -> Iterator[str]:
    """Offer a file over HTTP, and close each connection after a part of it; gives the address."""

    class BreakingOff(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: round(len(data) * share)])

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with _serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), BreakingOff)) as address:
        yield f"{address}/{file.name}"


@contextmanager
def silent() -> Iterator[int]:
    """Accept connections and never answer; gives the port."""
    server = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        try:
            while True:
                held.append(server.accept()[0])
        except OSError:
            return

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for each in held:
            each.close()


@dataclass
class Listener:
    """What somebody who listens has received."""

    packets: dict[str, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    problem: str | None = None


@contextmanager
def listening(address: str, options: dict[str, str] | None = None) -> Iterator[Listener]:
    """Read what comes to an address, and after the block what is still under way."""
    heard, sent = Listener(), threading.Event()
    thread = threading.Thread(target=_listen, args=(address, options or {}, heard, sent), name="listener")
    thread.start()
    try:
        yield heard
    finally:
        sent.set()
        thread.join()


def _listen(address: str, options: dict[str, str], heard: Listener, sent: threading.Event) -> None:
    """Read to the end of a connection; what comes by UDP has none, and is read until nothing more comes."""
    without_end = address.startswith("udp:")
    options = {"analyzeduration": "500000", **options}  # FFmpeg looks at a stream for 5 s else
    while True:
        try:
            with av.open(
                address, "r", options=options, timeout=(60, 0.5 if without_end else 10)
            ) as container:
                _hear(container, heard)
        except av.FFmpegError as error:
            heard.problem = str(error)
        if sent.is_set() or not without_end:
            return


def _hear(container: Any, heard: Listener) -> None:
    for packet in container.demux():
        kind = packet.stream.type
        if packet.size:
            heard.packets[kind] = heard.packets.get(kind, 0) + 1
            if kind == "video" and packet.pts is not None:
                heard.times.append(float(packet.pts * packet.time_base))


def wait_until(happened: Callable[[], bool], limit_seconds: float = 120) -> None:
    """Wait for something that must happen."""
    deadline = time.monotonic() + limit_seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
