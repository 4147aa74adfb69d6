"""Visitors whose browser is another aiortc in this process: what a run for each of them must do."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection

from streamfx.capture.pattern import PatternSource
from streamfx.config.loading import load_config
from streamfx.config.serve import ServeConfig, VisitorsConfig
from streamfx.errors import ConfigError, FrameError, SinkError
from streamfx.generate.effect import Effect
from streamfx.media.frame import Frame
from streamfx.serving import serving
from streamfx.web.peer import IceServer, Peer
from streamfx.web.visitors import VisitorCapacity, capacity, ice_servers
from tests.web.browsers import Browser, browser, luma_of, stamp_of
from tests.web.certificates import self_signed

pytestmark = pytest.mark.usefixtures("place_of_its_own")

CAMERA = "test:bars?size=160x96&fps=30&frames=0&live=1"
SIZE = {"width": 160, "height": 96, "fps": 30.0}


def settings(**options: object) -> ServeConfig:
    """Return settings for one visitor at any free port."""
    given = {"port": 0, "token": False, "effect": "tiny", "threads": 1, "visitors": {"most": 1}} | options
    return load_config(None, (), given, model=ServeConfig)


def test_the_picture_comes_back_changed_in_its_size_and_the_run_is_accounted_for() -> None:
    told: list[str] = []

    async def visit(address: str) -> None:
        async with browser(address, CAMERA) as tab:
            await tab.join(camera=SIZE)
            changed = await tab.seen(20)
            assert (changed.width, changed.height) == (160, 96)
            assert not is_plain(changed)
            stages = await tab.until(lambda: tab.latest("figures").get("stages_ms"))
            assert {"waiting", "generate", "latency", "send"} <= stages.keys()

    with serving(settings(report="reports"), told.append) as address:
        asyncio.run(visit(address))
    (report,) = (json.loads(path.read_text()) for path in Path("reports").iterdir())
    assert report["source"]["name"] == "browser:1"
    account = report["result"]["account"]
    assert account["encoded"] >= 20
    assert account["frames_in"] == account["encoded"] + sum(account["dropped"].values())
    assert told[0] == "visitor 1 came: 160x96 at 30 fps, tiny"
    assert told[1].startswith(
        f"visitor 1 left: {account['encoded']} of {account['frames_in']} frames changed"
    )


def test_effect_strength_and_bypass_are_turned_between_two_frames_and_noted() -> None:
    async def visit(address: str) -> None:
        async with browser(address, CAMERA) as tab:
            await tab.join(camera=SIZE, bypass=True)
            await tab.until(lambda: tab.pictures and is_plain(tab.pictures[-1]), "the picture as it came")
            await tab.heard("state")
            await tab.socket.send_json({"type": "bypass", "on": False})
            await tab.until(lambda: not is_plain(tab.pictures[-1]))
            strength = {"type": "control", "effect": 0, "name": "strength"}
            await tab.socket.send_json(strength | {"value": 0})
            await tab.until(lambda: is_plain(tab.pictures[-1]))
            await tab.socket.send_json({"type": "effect", "effect": 0, "name": "other"})
            await tab.until(lambda: tab.latest("state")["effects"][0]["name"] == "other")
            await tab.socket.send_json(strength | {"value": 1})
            await tab.until(lambda: not is_plain(tab.pictures[-1]))
            for wrong, answer in (
                ({"type": "effect", "effect": 0, "name": "../tiny"}, "there is no effect '../tiny'"),
                ({"type": "effect", "effect": 3, "name": "tiny"}, "a chain has at most 3 effects here"),
                ({"type": "chain", "effects": [{"name": "tiny"}] * 4}, "a chain has at most 3 effects here"),
                ({"type": "chain", "effects": [{"name": "/etc"}]}, "there is no effect '/etc'"),
                ({"type": "record", "on": True}, "this page has no such command"),
                (strength | {"value": 2}, "strength must be 0 to 1, found 2"),
                ({"volume": 1}, "the page sent what is no command"),
            ):
                tab.messages.clear()
                await tab.socket.send_json(wrong)
                assert answer in (await tab.heard("refused"))["text"]

    with serving(settings(report="reports")) as address:
        asyncio.run(visit(address))
    (report,) = (json.loads(path.read_text()) for path in Path("reports").iterdir())
    noted = [change["what"] for change in report["changes"]]
    assert noted == [
        "bypass on", "bypass off", "tiny: strength 0", "effect tiny → other", "other: strength 1"
    ]  # fmt: skip
    assert report["effects"][0]["name"] == "other"


def test_a_visitor_comes_with_a_chain_and_changes_it_as_a_whole() -> None:
    chain = [{"name": "other", "controls": {"strength": 0.5, "unknown": 1}}, {"name": "tiny"}]

    def names(tab: Browser) -> list[str]:
        return [effect["name"] for effect in tab.latest("state").get("effects", [])]

    async def visit(address: str) -> None:
        async with browser(address, CAMERA) as tab:
            await tab.join(camera=SIZE, effect=None, chain=chain)
            state = await tab.heard("state")
            assert names(tab) == ["other", "tiny"]
            assert state["effects"][0]["controls"][0]["value"] == 0.5
            await tab.socket.send_json({"type": "chain", "effects": chain[1:]})
            await tab.until(lambda: names(tab) == ["tiny"], "the shorter chain")
            await tab.socket.send_json({"type": "chain", "effects": []})
            await tab.until(lambda: tab.latest("state")["effects"] == [], "the empty chain")
            await tab.until(lambda: tab.pictures and is_plain(tab.pictures[-1]), "the picture as it came")

    told: list[str] = []
    with serving(settings(), told.append) as address:
        asyncio.run(visit(address))
        assert told[0] == "visitor 1 came: 160x96 at 30 fps, other + tiny"


def test_a_run_that_fails_here_is_a_loss_and_one_that_the_visitor_ends_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    losses: list[int] = []

    async def visit(address: str) -> None:
        async with browser(address, CAMERA) as tab:
            await tab.join(camera=SIZE)
            await tab.seen(2)
            assert losses == []
            monkeypatch.setattr(Effect, "process", failing)
            assert "not finite" in (await tab.heard("ended"))["text"]

    def failing(effect: Effect, frame: Frame) -> Frame:
        raise FrameError("the values are not finite")

    with serving(settings(visitors={"most": 1}), told.append, lambda: losses.append(1)) as address:
        asyncio.run(visit(address))
    assert losses == [1]
    assert "the values are not finite" in told[-1]


def test_pictures_of_another_size_are_scaled_into_that_of_the_camera() -> None:
    async def visit(address: str) -> None:
        async with browser(address, CAMERA.replace("160x96", "80x48"), CAMERA) as tab:
            await tab.join(camera=SIZE, bypass=True)
            first = await tab.seen(5)
            assert (first.width, first.height) == (160, 96)
            tab.camera.turn()
            await tab.until(lambda: is_plain(tab.pictures[-1]))
            last = tab.pictures[-1]
            assert (last.width, last.height) == (160, 96)

    with serving(settings(report="reports")) as address:
        asyncio.run(visit(address))
    (report,) = (json.loads(path.read_text()) for path in Path("reports").iterdir())
    assert "pictures came as 80x48 too; they are scaled into 160x96" in report["notes"]


@pytest.mark.parametrize("visits", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_who_leaves_frees_the_place_and_everything_that_belonged_to_the_visit(visits: int) -> None:
    async def come(address: str, number: int) -> None:
        async with browser(address, CAMERA) as tab:
            await tab.join(camera=SIZE)
            # Before the first picture, in the middle, or by a connection that breaks without a word.
            if number % 4 != 1:
                await tab.seen(3)
            if number % 4 == 2:
                await tab.connection.close()
                assert "frames changed" in (await tab.heard("ended"))["text"]

    async def come_and_go(address: str) -> None:
        for number in range(visits):
            await come(address, number)
            while not (await about(address))["room"]:
                await asyncio.sleep(0.05)
            gc.collect()
            counts.append(counted())

    counts: list[dict[str, int]] = []
    with serving(settings()) as address:
        gc.collect()
        before = counted()
        asyncio.run(come_and_go(address))
    assert len(counts) == visits
    assert counts[-1] == before | {"threads": counts[0]["threads"]}
    assert counts[0]["threads"] <= before["threads"] + 2  # the pool of visitors, and that of the kernels


def test_one_more_than_there_is_room_for_is_told_so_and_comes_in_later() -> None:
    async def visits(address: str) -> None:
        async with browser(address, CAMERA) as one:
            await one.join(camera=SIZE)
            await one.seen(3)
            async with browser(address, CAMERA) as other:
                assert await other.socket.receive_json(timeout=10) == {"type": "full", "most": 1}
                assert (await other.socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
            told = await about(address)
            assert told["room"] is False
            assert told["effect"] == "tiny"
            assert {"other", "tiny"} <= set(told["effects"])
            await one.seen(3)
        async with browser(address, CAMERA) as again:  # at once, as a page that is loaded anew
            await again.join(camera=SIZE)
            await again.seen(3)

    with serving(settings()) as address:
        asyncio.run(visits(address))


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("hello", "the page's first message is no offer: Invalid JSON"),
        ({"effect": "tiny"}, "the page's first message is no offer: type: Field required"),
        ({"type": "offer", "sdp": "v=0", "effect": "tiny"}, "the browser's offer cannot be used: "),
        (
            {"type": "offer", "sdp": "x" * 40, "effect": "none"},
            "there is no effect 'none'; there are: ",
        ),
        ({"type": "offer", "sdp": "x"}, "either 'effect' or 'chain' is needed"),
        (
            {"type": "offer", "sdp": "x", "chain": [{"name": "tiny"}] * 4},
            "a chain has at most 3 effects here",
        ),
        (
            {"type": "offer", "sdp": "x", "chain": [{"name": "tiny"}, {"name": "../tiny"}]},
            "there is no effect '../tiny'; there are: ",
        ),
        (
            {"type": "offer", "sdp": "x", "chain": [{"name": "upscale"}] * 2},
            "this chain would make pictures of 7680x4320, too large here",
        ),
        (
            {"type": "offer", "sdp": "x", "effect": "tiny", "camera": {"width": 1, "height": 1}},
            "camera.width: Input should",
        ),
    ],
)
def test_a_wrong_offer_is_refused_and_the_place_is_free_again(message: object, answer: str) -> None:
    async def visit(address: str) -> None:
        for _ in range(2):
            async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}visit") as socket:
                await socket.send_str(message if isinstance(message, str) else json.dumps(message))
                said = await socket.receive_json(timeout=10)
                assert answer in said["text"]

    with serving(settings()) as address:
        asyncio.run(visit(address))


def test_an_offer_of_sound_is_refused() -> None:
    async def visit(address: str) -> None:
        async with browser(address, CAMERA) as tab:
            tab.connection.addTransceiver("audio")
            await tab.offer()
            assert "it has video, audio, and not one video to send" in (await tab.heard("problem"))["text"]

    with serving(settings()) as address:
        asyncio.run(visit(address))


def test_a_visitor_who_sends_no_picture_is_sent_away() -> None:
    async def visit(address: str) -> None:
        async with browser(address, CAMERA.replace("frames=0", "frames=9")) as tab:
            await tab.join(camera=SIZE)
            assert "no picture came for 1 s; was the camera taken away?" in (await tab.heard("ended"))["text"]

    with serving(settings(visitors={"most": 1, "away_seconds": 1.0})) as address:
        asyncio.run(visit(address))


def test_the_end_of_the_server_ends_the_visits() -> None:
    async def come(address: str) -> None:
        async with browser(address, CAMERA) as tab:
            await tab.join(camera=SIZE)
            await tab.seen(3)
            seen.set()
            await tab.until(lambda: tab.socket.closed)

    seen = threading.Event()
    with serving(settings()) as address:
        visitor = threading.Thread(target=asyncio.run, args=(come(address),))
        visitor.start()
        assert seen.wait(60)
    visitor.join(30)
    assert not visitor.is_alive()


def test_the_processors_are_shared_out() -> None:
    assert capacity(ServeConfig(threads=8)) == VisitorCapacity(visitors=4, threads=2)
    assert capacity(ServeConfig(threads=1)) == VisitorCapacity(visitors=1, threads=1)
    assert capacity(ServeConfig(threads=8, visitors=VisitorsConfig(most=3))) == VisitorCapacity(
        visitors=3, threads=2
    )
    assert capacity(ServeConfig(threads=2, visitors=VisitorsConfig(most=5))) == VisitorCapacity(
        visitors=5, threads=1
    )


def test_what_cannot_work_is_refused_before_anybody_comes(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"there is no effect 'none'; there are: .*other, "),
        serving(settings(effect="none")),
    ):
        pass
    with (
        pytest.raises(ConfigError, match=r"none\.pem: there is no such file"),
        serving(settings(certificate="none.pem")),
    ):
        pass
    (tmp_path / "not.pem").write_text("nothing")
    with (
        pytest.raises(ConfigError, match=r"not\.pem: cannot be used as certificate and key"),
        serving(settings(certificate="not.pem")),
    ):
        pass
    with (
        pytest.raises(ConfigError, match="key: is of no use without a certificate"),
        serving(settings(key="not.pem")),
    ):
        pass
    with (
        pytest.raises(ConfigError, match=r"report: not\.pem cannot be a folder for reports"),
        serving(settings(report="not.pem")),
    ):
        pass
    with serving(settings()) as address:
        port = urlsplit(address).port
        with (
            pytest.raises(SinkError, match=f"cannot listen at 127.0.0.1, port {port}: "),
            serving(settings(port=port)),
        ):
            pass


@pytest.mark.parametrize("address", ["http://x", "x", "stun:", "stun://host", "stun:me@host", "turn:host"])
def test_what_is_no_stun_server_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"stun\.0: must be a STUN server, stun:HOST"):
        settings(stun=[address])


@pytest.mark.parametrize("address", ["stun:stun.example.org", "stun:10.0.0.1:3478", "stun:[fd00::1]:3478"])
def test_a_stun_server_is_taken(address: str) -> None:
    assert settings(stun=[address]).stun == (address,)


@pytest.mark.parametrize(
    "address", ["turn:turn.example.org", "turns:10.0.0.1:5349", "turn:host:3478?transport=tcp"]
)
def test_a_turn_server_is_told_to_visitors_with_its_user_and_password(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURN_PASSWORD", "secret")
    given = settings(stun=["stun:host"], turn=address, turn_user="me", turn_password="${TURN_PASSWORD}")
    assert ice_servers(given) == (IceServer("stun:host"), IceServer(address, "me", "secret"))
    assert "secret" not in repr(given) + repr(ice_servers(given))
    with serving(given) as page, urllib.request.urlopen(f"{page.partition('?')[0]}about") as answer:
        assert json.load(answer)["ice"] == [
            {"urls": "stun:host", "username": None, "credential": None},
            {"urls": address, "username": "me", "credential": "secret"},
        ]


@pytest.mark.parametrize("address", ["turn:me:secret@host", "stun:host", "turn:host?transport=sctp"])
def test_what_is_no_turn_server_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="turn: must be a TURN server, turn:HOST or turn:HOST:PORT"):
        settings(turn=address, turn_user="me", turn_password="secret")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"turn": "turn:host"}, "turn_user and turn_password"),
        ({"turn": "turn:host", "turn_user": "me"}, "turn_password"),
        ({"turn_user": "me", "turn_password": "secret"}, "turn"),
    ],
)
def test_a_turn_server_needs_its_user_and_its_password(given: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigError, match=rf"needs all three of .*; {missing} is missing"):
        ice_servers(settings(**given))


def test_with_a_certificate_the_page_comes_by_https(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)

    async def fetch(address: str) -> tuple[int, str]:
        trust = ssl.create_default_context(cafile=certificate)
        async with aiohttp.ClientSession() as session, session.get(address, ssl=trust) as response:
            return response.status, await response.text()

    with serving(settings(certificate=str(certificate))) as address:
        assert address.startswith("https://127.0.0.1:")
        status, text = asyncio.run(fetch(address))
    assert status == 200
    assert "camera.js" in text


def test_from_other_machines_nobody_comes_without_the_token() -> None:
    async def fetch(plain: str, token: str) -> list[int]:
        found = []
        async with aiohttp.ClientSession() as session:
            for asked in (plain, f"{plain}about", f"{plain}visit", f"{plain}?{token}"):
                async with session.get(asked) as response:
                    found.append(response.status)
        return found

    with serving(settings(host="0.0.0.0", token=True)) as address:
        shown = urlsplit(address)
        assert asyncio.run(fetch(f"http://127.0.0.1:{shown.port}/", shown.query)) == [403, 403, 403, 200]


def test_the_command_says_where_the_page_is_and_ends_well_with_ctrl_c() -> None:
    command = [
        sys.executable,
        "-m",
        "streamfx",
        "serve",
        "--port",
        "0",
        "--effect",
        "tiny",
        "--visitors",
        "2",
    ]
    where = Path(__file__).parent.parent.parent
    with subprocess.Popen(
        command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert re.fullmatch(r"open http://127\.0\.0\.1:\d+/\?token=\S+ in a browser; Ctrl-C ends\n", line)
        told = asyncio.run(about(line.split()[1]))
        assert (told["most"], told["effect"], told["room"]) == (2, "tiny", True)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 0
    assert said == "streamfx: visitors are sent away\n"


def test_without_the_libraries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamfx.web.camera_site", None)
    with pytest.raises(ConfigError, match=r"pip install 'streamfx\[web\]'"), serving(settings()):
        pass


async def about(address: str) -> dict[str, Any]:
    home, question, token = address.partition("?")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{home}about{question}{token}") as response,
    ):
        told: dict[str, Any] = await response.json()
        return told


def is_plain(picture: av.VideoFrame) -> bool:
    """Return whether a picture shows what the camera showed, unchanged but for compression."""
    number = stamp_of(picture)
    if number is None:
        return False
    truth = PatternSource(CAMERA).planes(number)[0].astype(float)
    return float(np.abs(luma_of(picture) - truth).mean()) < 12


def counted() -> dict[str, int]:
    """Return how many there are of what a visit needs; threads without the event loop's own pool."""
    kinds = {"effects": Effect, "peers": Peer, "connections": RTCPeerConnection, "pictures": av.VideoFrame}
    found = gc.get_objects()
    return {
        "threads": sum(not each.name.startswith("asyncio_") for each in threading.enumerate()),
        **{name: sum(type(each) is kind for each in found) for name, kind in kinds.items()},
    }
