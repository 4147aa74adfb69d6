"""Who may come in, and how the server comes and goes."""

from __future__ import annotations

import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from streamfx.errors import ConfigError, SinkError
from streamfx.web.listen_address import Access, ListenAddress, place_of
from streamfx.web.site import Site


@contextmanager
def site(folder: Path, place: ListenAddress | None = None) -> Iterator[Site]:
    """Offer a page that says hello."""
    (folder / "index.html").write_text("<!doctype html><title>hello</title>")
    (folder / "look.css").write_text("p {}")
    (folder / "secret.txt").write_text("not offered")
    running = Site("web:0", place or place_of("web:0", token=False), [folder])
    running.start()
    try:
        yield running
    finally:
        running.stop()


def ask(address: str, path: str = "", **headers: str) -> tuple[int, str, dict[str, str]]:
    """Return status, text and headers of what a request gives."""
    base, _, query = address.partition("?")
    url = base.rstrip("/") + "/" + path + (f"?{query}" if query else "")
    request = urllib.request.Request(
        url, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read().decode(), dict(response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def test_a_page_is_offered_to_this_machine_alone_unless_told_otherwise() -> None:
    assert place_of("web:8080").host == "127.0.0.1"
    assert place_of("web:localhost:8080").host == "127.0.0.1"
    assert place_of("web:[::1]:8080").host == "::1"


@pytest.mark.parametrize(
    "text",
    ["web:8080", "web:[::1]:8080", "web:0.0.0.0:8080", "web:[::]:8080", "web:192.168.1.5:8080", "web:box:80"],
)
def test_a_page_has_a_token_that_nobody_can_guess(text: str) -> None:
    first, second = place_of(text), place_of(text)
    assert first.token is not None
    assert len(first.token) >= 32
    assert first.token != second.token
    assert f"?token={first.token}" in first.address(8080)
    assert first.token not in repr(first)


def test_a_page_has_another_token_for_those_who_only_look_on() -> None:
    place = place_of("web:8080")
    assert place.token is not None
    assert place.look_token not in (None, place.token)
    assert f"?token={place.look_token}" in place.address(8080, Access.LOOK)
    assert str(place.look_token) not in repr(place)
    assert place.access(place.token) is Access.CHANGE
    assert place.access(place.look_token) is Access.LOOK
    assert [place.access(wrong) for wrong in (None, "", "x", f"{place.token}x")] == [None] * 4
    assert ListenAddress(token="t").access("") is None, "no token for looking is no open door"
    assert ListenAddress().access(None) is Access.CHANGE


def test_a_page_of_this_machine_alone_may_do_without_a_token_where_that_is_asked_for() -> None:
    assert place_of("web:8080", token=False).token is None
    assert place_of("web:localhost:8080", token=False).address(8080) == "http://127.0.0.1:8080/"
    with pytest.raises(ConfigError, match="other machines can reach this page, so it needs its token"):
        place_of("web:0.0.0.0:8080", token=False)


@pytest.mark.parametrize(
    "text", ["web:", "web:http", "web:70000", "web:a b:80", "web:127.0.0.1", "web:::1:80"]
)
def test_what_is_no_place_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no place for a page; write web:8080, or web:0\.0\.0\.0:8080"):
        place_of(text)


@pytest.mark.parametrize(
    ("place", "host", "answers"),
    [
        (ListenAddress(), "localhost:8080", True),
        (ListenAddress(), "127.0.0.1:9000", True),  # a forwarded port
        (ListenAddress(), "[::1]:8080", True),
        (ListenAddress(), "evil.example:8080", False),
        (ListenAddress(), "127.0.0.1.evil.example", False),
        (ListenAddress(), "192.168.1.5", False),
        (ListenAddress(), "", False),
        (ListenAddress(), "[::1", False),
        (ListenAddress(), "localhost@evil.example", False),
        (ListenAddress(names=("box.example",)), "box.example", True),
        (ListenAddress("0.0.0.0", token="t"), "192.168.1.5:8080", True),
        (ListenAddress("0.0.0.0", token="t"), "evil.example", False),
    ],
)
def test_a_page_answers_to_addresses_and_known_names_only(
    place: ListenAddress, host: str, answers: bool
) -> None:
    assert place.answers_to(host) is answers


def test_files_of_the_page_are_served_with_headers_that_let_nothing_else_in(tmp_path: Path) -> None:
    with site(tmp_path) as running:
        status, text, headers = ask(running.address)
        assert (status, text) == (200, "<!doctype html><title>hello</title>")
        assert ask(running.address, "look.css")[0] == 200
        assert ask(running.address, "secret.txt")[0] == 404
        assert ask(running.address, "../conftest.py")[0] == 404
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert ask(running.address, "nothing")[2]["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, 200),  # a link to the page
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_sites_get_nothing(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    with site(tmp_path) as running:
        assert ask(running.address, **headers)[0] == status


@pytest.mark.parametrize("text", ["web:0", "web:0.0.0.0:0"])
def test_without_the_token_nobody_comes_in_and_with_it_a_cookie_does_from_then_on(
    tmp_path: Path, text: str
) -> None:
    with site(tmp_path, place_of(text)) as running:
        port = int(running.address.split(":")[2].split("/")[0])
        home, token = f"http://127.0.0.1:{port}/", running.place.token
        status, text, _ = ask(home)
        assert status == 403
        assert "Open the whole address" in text
        assert ask(home, "look.css")[0] == 403
        assert ask(f"{home}?token=wrong")[0] == 403
        status, _, headers = ask(f"{home}?token={token}")
        cookie = headers["Set-Cookie"]
        assert status == 200
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert ask(home, Cookie=cookie.partition(";")[0])[0] == 200
        assert ask(home, Cookie=f"streamfx-{port}=wrong")[0] == 403


def test_a_port_that_is_taken_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with site(tmp_path) as running:
        port = running.address.rsplit(":", 1)[1].partition("/")[0]
        other = Site(f"web:{port}", place_of(f"web:{port}"), [tmp_path])
        with pytest.raises(SinkError, match=f"web:{port}: cannot listen at 127.0.0.1, port {port}: .*in use"):
            other.start()
        other.stop()


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    for host in ("nowhere.invalid", "a..b"):
        nowhere = Site("web:x", ListenAddress(host, 0, token="t"), [tmp_path])
        with pytest.raises(SinkError, match="web:x: cannot listen at "):
            nowhere.start()
        nowhere.stop()


def test_a_site_that_was_stopped_leaves_no_thread_and_no_port(tmp_path: Path) -> None:
    with site(tmp_path) as running:
        address = running.address
        running.stop()
        running.stop()
        running.call(lambda: None)  # too late, and no failure
        deadline = time.monotonic() + 30
        while [thread for thread in threading.enumerate() if thread.name.startswith("streamfx-site")]:
            assert time.monotonic() < deadline
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(address)


@pytest.mark.parametrize("page", ["page", "camera"])
def test_every_module_and_element_that_a_page_names_is_there(page: str) -> None:
    web = files("streamfx.web")
    folders = [web / "camera", web / "page"] if page == "camera" else [web / "page"]
    sources = {file.name: file for folder in reversed(folders) for file in folder.iterdir()}
    text = sources["index.html"].read_text("utf-8")
    ids = set(re.findall(r' id="([a-z0-9-]+)"', text))
    assert len(ids) == len(re.findall(r' id="', text)), "each once"
    wanted, seen = ["camera.js" if page == "camera" else "live.js"], set[str]()
    named: dict[str, str] = {}
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        module = sources[name].read_text("utf-8")
        wanted += re.findall(r'from "\./([a-z]+\.js)"', module)
        named |= dict.fromkeys(re.findall(r'\bat\("([a-z0-9-]+)"\)', module), name)
        ids |= set(re.findall(r'tool\("([a-z]+)"', module)) | set(re.findall(r'\.id = "([a-z-]+)"', module))
    assert {each: module for each, module in named.items() if each not in ids} == {}
    assert not re.search(r'(src|href)="(https?:)?//', text), "nothing is fetched from elsewhere"
    assert not re.search(r"<style| style=| on[a-z]+=", text), "nothing is inline"
