"""Connections that bring nothing keep nobody out, and do not stay."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from streamfx.web.connection_limits import ConnectionLimits
from streamfx.web.listen_address import place_of
from streamfx.web.site import Site
from tests.servers import wait_until
from tests.web.certificates import self_signed

PATIENT, HASTY = 120.0, 0.2  # nobody is sent away for being slow; everybody is
BEGINNING = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


@contextmanager
def site(folder: Path, limits: ConnectionLimits, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Offer a page; gives its port."""
    (folder / "index.html").write_text("hello")
    running = Site("web:0", place_of("web:0", token=False), [folder], limits=limits, tls=tls)
    running.start()
    try:
        yield int(running.address.rsplit(":", 1)[1].strip("/"))
    finally:
        running.stop()


def ask(connection: http.client.HTTPConnection) -> str:
    """Return what a request on a connection gives."""
    connection.request("GET", "/")
    with connection.getresponse() as response:
        return response.read().decode()


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side has closed a connection, waiting for that."""
    connection.settimeout(60)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("said", [b"", BEGINNING], ids=["silent", "slow"])
@pytest.mark.parametrize(
    "limits", [ConnectionLimits(100, 8, PATIENT), ConnectionLimits(8, 100, PATIENT)], ids=["of one", "all"]
)
def test_a_crowd_that_asks_for_nothing_keeps_nobody_out(
    tmp_path: Path, limits: ConnectionLimits, said: bytes
) -> None:
    with site(tmp_path, limits) as port, ExitStack() as held:
        crowd = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(40)]
        for each in crowd[:20]:
            assert is_closed(each), "the oldest go"
        for each in crowd[32:]:
            each.sendall(said)
        visitor = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        assert ask(visitor) == "hello"
        visitor.close()


def test_who_has_asked_stays_while_a_crowd_comes(tmp_path: Path) -> None:
    with site(tmp_path, ConnectionLimits(8, 8, PATIENT)) as port, ExitStack() as held:
        visitor = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        assert ask(visitor) == "hello"
        own = visitor.sock
        crowd = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(20)]
        assert is_closed(crowd[0])
        assert ask(visitor) == "hello"
        assert visitor.sock is own, "on the same connection"
        visitor.close()


def test_where_everybody_has_asked_one_more_is_turned_away(tmp_path: Path) -> None:
    with site(tmp_path, ConnectionLimits(3, 3, PATIENT, PATIENT)) as port, ExitStack() as held:
        for _ in range(3):
            visitor = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            held.callback(visitor.close)
            assert ask(visitor) == "hello"
        with socket.create_connection(("127.0.0.1", port)) as one_more:
            assert is_closed(one_more)


@pytest.mark.parametrize("said", [b"", BEGINNING], ids=["silent", "slow"])
def test_a_connection_that_brings_no_request_in_time_is_closed(tmp_path: Path, said: bytes) -> None:
    with (
        site(tmp_path, ConnectionLimits(head_seconds=HASTY)) as port,
        socket.create_connection(("127.0.0.1", port)) as slow,
    ):
        slow.sendall(said)
        assert is_closed(slow)


def test_one_that_asks_for_nothing_more_is_closed(tmp_path: Path) -> None:
    with site(tmp_path, ConnectionLimits(idle_seconds=HASTY)) as port:
        visitor = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        assert ask(visitor) == "hello"
        assert is_closed(visitor.sock)
        visitor.close()


def test_one_that_does_not_even_begin_with_tls_is_closed_too(tmp_path: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(self_signed(tmp_path))
    with site(tmp_path, ConnectionLimits(4, 4, PATIENT), tls) as port, ExitStack() as held:
        crowd = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(10)]
        assert is_closed(crowd[0])
        trust = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
        visitor = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=trust)
        assert ask(visitor) == "hello"
        visitor.close()


def test_a_stranger_without_the_token_keeps_no_connection(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello")
    running = Site("web:0", place_of("web:0"), [tmp_path])
    running.start()
    try:
        port = int(running.address.split(":")[2].partition("/")[0])
        stranger = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        stranger.request("GET", "/")
        with stranger.getresponse() as response:
            assert (response.status, response.getheader("Connection")) == (403, "close")
        stranger.close()
    finally:
        running.stop()


def test_a_crowd_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "streamfx")
    with site(tmp_path, ConnectionLimits(2, 2, PATIENT)) as port, ExitStack() as held:
        crowd = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(30)]
        assert is_closed(crowd[27])
        wait_until(lambda: bool(caplog.records))
    assert sum("brought no request" in record.getMessage() for record in caplog.records) == 1
