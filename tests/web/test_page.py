"""The page as viewers find it: pictures, controls, figures, snapshots and recordings; without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import struct
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import av
import cv2
import numpy as np
import pytest
from yarl import URL

import streamfx
from streamfx.capture.pattern import PatternSource, read_stamp
from streamfx.config.live import LiveConfig, WebConfig
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import open_sink
from streamfx.errors import SinkError
from streamfx.media.frame import Frame
from streamfx.media.tracks import OtherTracks
from streamfx.pipeline.fan_out import OutputBranch
from streamfx.pipeline.stats import Snapshot, Times
from streamfx.web.commands import MOST_COMMAND_BYTES
from streamfx.web.sink import PageSink
from tests.fakes import FakeSink
from tests.media import make_clip
from tests.run_controls import Bench, bench
from tests.servers import wait_until
from tests.web.lookers import Looker, live_with

pytestmark = pytest.mark.usefixtures("place_of_its_own")


@dataclass
class Page:
    """A page, the controls behind it, and what drives both by hand."""

    table: Bench
    sink: PageSink

    def step(self) -> Frame:
        """Let one frame through, and return it as it went out."""
        done = self.table.controls.process(self.table.frame())
        self.sink.write(done)
        return done


@contextmanager
def page(*effects: str, **settings: object) -> Iterator[Page]:
    """Open a page over effects."""
    with bench(*effects) as table:

        def open_file(path: Path, tracks: OtherTracks | None) -> Any:
            encoding = Encoding(preset="ultrafast", overwrite=False)
            return open_sink(str(path), format=table.source.format, other_tracks=tracks, encoding=encoding)

        config = WebConfig.model_validate({"token": False} | settings)
        sink = PageSink("web:0", "bars", table.source.format, table.controls, config, open_file)
        try:
            yield Page(table, sink)
        finally:
            sink.finish()


class Visitor:
    """A viewer that is a program."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **message: object) -> None:
        await self.socket.send_json(message)

    async def picture(self, *, shown: bool = True) -> tuple[int, bytes, bytes]:
        """Return number, after and before of the next picture, and say that it is shown."""
        while True:
            message = await self.socket.receive(60)
            if message.type is aiohttp.WSMsgType.BINARY:
                break
            assert message.type is aiohttp.WSMsgType.TEXT, message
        number, after, before = struct.unpack(">III", message.data[:12])
        assert len(message.data) == 12 + after + before
        if shown:
            await self.send(type="shown", number=number)
        return number, message.data[12 : 12 + after], message.data[12 + after :]

    async def told(
        self, kind: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Return the next message of a kind that fits."""
        while True:
            message = await self.socket.receive(60)
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
            if message.type is aiohttp.WSMsgType.TEXT:
                told: dict[str, Any] = json.loads(message.data)
                if told["type"] == kind and fits(told):
                    return told


@asynccontextmanager
async def visiting(page: Page) -> AsyncIterator[Visitor]:
    """Open the page."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{page.sink.address}live", max_msg_size=1 << 26) as socket,
    ):
        visitor = Visitor(socket)
        await visitor.told("state")
        yield visitor


def go(script: Coroutine[Any, Any, None]) -> None:
    """Run what visitors do; fails when it takes longer than two minutes."""

    async def limited() -> None:
        async with asyncio.timeout(120):
            await script

    asyncio.run(limited())


def written(branch: OutputBranch, count: int) -> bool:
    """Return whether so many frames are in a recording."""
    return branch.frames_written == count


def counted(shown: Page, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that the number of each frame is put into of which a JPEG is made."""
    made: list[int] = []
    jpeg = shown.sink._maker.jpeg

    def counting(frame: Frame) -> bytes:
        made.append(frame.index)
        return jpeg(frame)

    monkeypatch.setattr(shown.sink._maker, "jpeg", counting)
    return made


def luma(jpeg: bytes) -> Any:
    """Return the luma of a picture."""
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)


def test_before_and_after_in_a_message_are_the_same_frame() -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as visitor:
            for _ in range(3):
                frame = shown.step()
                number, after, before = await visitor.picture()
                assert number == frame.index
                assert luma(after).shape == luma(before).shape == (96, 160)
                assert read_stamp(luma(before)) == frame.index
                assert abs(luma(after).astype(int) - luma(before)).mean() > 3

    with page("tiny") as shown:
        go(visit(shown))


def test_pictures_are_no_wider_than_asked_for_and_colours_are_right() -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as visitor:
            shown.table.controls.set_bypass(True)
            shown.step()
            _, after, before = await visitor.picture()
            assert before == b"", "nothing changed it"
            pixels = cv2.imdecode(np.frombuffer(after, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None
            assert pixels.shape[:2] == (48, 80)
            # The second bar is yellow at 75 percent: 191, 191, 0 by BT.709.
            blue, green, red = pixels[20, 16].astype(int)
            assert blue < 20
            assert abs(green - 191) < 12
            assert abs(red - 191) < 12

    with page("tiny", width=80, quality=2) as shown:
        go(visit(shown))


def test_without_viewers_no_picture_is_made_and_frames_count_as_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with page("tiny") as shown:
        made = counted(shown, monkeypatch)
        for _ in range(3):
            shown.step()
        assert shown.sink.frames_written == shown.sink.packets_written == 3
        assert made == []


def test_a_picture_is_made_once_however_many_look(monkeypatch: pytest.MonkeyPatch) -> None:
    async def visit(shown: Page, made: list[int]) -> None:
        async with visiting(shown) as one, visiting(shown) as other:
            shown.step()
            assert (await one.picture())[1] == (await other.picture())[1]
            assert made == [0, 0], "after and before, for both viewers together"
            for visitor in (one, other):
                await visitor.send(type="view", pictures=True, before=False)
            await asyncio.to_thread(wait_until, lambda: not shown.sink._viewers.before)
            shown.step()
            assert (await one.picture())[2] == b""
            assert made == [0, 0, 1], "nobody wants to see what it was before"

    with page("tiny") as shown:
        made = counted(shown, monkeypatch)
        go(visit(shown, made))


def test_a_viewer_that_is_slow_misses_pictures_and_holds_nobody() -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as slow, visiting(shown) as quick:
            first = (await seen(shown, quick, 1))[0]
            assert (await slow.picture(shown=False))[0] == first
            numbers = await seen(shown, quick, 9)
            assert numbers == list(range(first + 1, first + 10)), "the quick one sees every frame"
            assert (await slow.picture(shown=False))[0] == first + 1
            waiting = shown.sink._viewers._viewers[0]
            assert waiting.sent == 2
            await slow.send(type="shown", number=first + 1)
            newest = (await seen(shown, quick, 1))[0]
            assert (await slow.picture())[0] in (newest, newest - 1), "then it gets the newest"
            assert waiting.skipped >= 7
        assert shown.sink.frames_written == newest + 1

    async def seen(shown: Page, visitor: Visitor, count: int) -> list[int]:
        numbers = []
        for _ in range(count):
            shown.step()
            numbers.append((await visitor.picture())[0])
            await asyncio.to_thread(wait_until, lambda: shown.sink._viewers.ready)
        return numbers

    with page("tiny") as shown:
        go(visit(shown))


def test_what_one_viewer_changes_acts_between_two_frames_and_all_viewers_are_told() -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as one, visiting(shown) as other:
            old = shown.step()
            source = shown.table.source
            assert isinstance(source, PatternSource)
            await one.send(type="control", effect=0, name="strength", value=0.0)
            for visitor in (one, other):
                state = await visitor.told(
                    "state", lambda told: told["effects"][0]["controls"][0]["value"] == 0
                )
                assert state["effects"][0]["name"] == "tiny"
            new = shown.step()
            assert not np.array_equal(old.planes[0], source.planes(old.index)[0])
            assert np.array_equal(new.planes[0], source.planes(new.index)[0])
            await other.send(type="bypass", on=True)
            await one.told("state", lambda told: bool(told["bypass"]))
            await one.send(type="effect", effect=0, name="other")
            await other.told("state", lambda told: told["effects"][0]["name"] == "other")
            assert [each.what for each in shown.table.controls.changes] == [
                "tiny: strength 0",
                "bypass on",
                "effect tiny → other",
            ]

    with page("tiny") as shown:
        go(visit(shown))


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("nonsense", "the page sent what is no command: message: Invalid JSON"),
        ('{"type": "format", "disk": true}', "the page sent what is no command"),
        ('{"type": "bypass", "on": "yes"}', "bypass.on: Input should be a valid boolean"),
        ('{"type": "bypass", "on": true, "off": 1}', "bypass.off: Extra inputs are not permitted"),
        (
            '{"type": "control", "effect": 0, "name": "strength", "value": 7}',
            "strength must be 0 to 1, found 7",
        ),
        (
            '{"type": "control", "effect": 0, "name": "strength", "value": NaN}',
            "the page sent what is no comm",
        ),
        ('{"type": "effect", "effect": 0, "name": "/etc"}', "there is no effect '/etc'"),
        ('{"type": "snapshot"}', "there is no picture yet"),
    ],
)
def test_what_a_page_may_not_ask_is_told_to_that_viewer_and_changes_nothing(asked: str, text: str) -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as visitor:
            await visitor.socket.send_str(asked)
            assert text in (await visitor.told("problem"))["text"]
        assert shown.table.controls.changes == []

    with page("tiny") as shown:
        go(visit(shown))


def test_a_chain_is_changed_from_the_page_and_everybody_is_told() -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as one, visiting(shown) as other:
            chain = [{"name": "other", "controls": {"strength": 0.5}}, {"name": "tiny"}]
            await one.send(type="chain", effects=chain)
            state = await other.told("state", lambda told: len(told["effects"]) == 2)
            assert [effect["name"] for effect in state["effects"]] == ["other", "tiny"]
            assert state["effects"][0]["controls"][0]["value"] == 0.5
            await one.send(type="chain", effects=chain * 5)
            assert "at most 8 items" in (await one.told("problem"))["text"]

    with page("tiny") as shown:
        go(visit(shown))


def test_the_page_is_told_of_each_effect_what_it_does_and_gets_its_picture() -> None:
    async def visit(shown: Page) -> None:
        address = shown.sink.address
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{address}effects") as response:
                found = {each["name"]: each for each in await response.json()}
            tiny = found["tiny"]
            assert (tiny["title"], tiny["group"], tiny["words"], tiny["picture"]) == (
                "Tiny",
                "look",
                "",
                None,
            )
            assert tiny["controls"][0] == {"name": "strength", "low": 0, "high": 1, "default": 1}
            assert found["upscale"]["group"] == "enlarge"
            async with session.get(f"{address}{found['upscale']['picture']}") as response:
                assert response.content_type == "image/jpeg"
                assert (await response.read())[:2] == b"\xff\xd8"
            async with session.get(f"{address}thumbnails/tiny") as response:
                assert response.status == 404

    with page("tiny") as shown:
        go(visit(shown))


def test_a_message_that_is_too_long_ends_that_viewer_only() -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as rude, visiting(shown) as other:
            with contextlib.suppress(ConnectionError):  # it may be thrown out before all of it is sent
                await rude.socket.send_str("x" * (MOST_COMMAND_BYTES + 1))
            while (await rude.socket.receive(60)).type not in (
                aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR,
            ):  # fmt: skip
                pass
            shown.step()
            assert (await other.picture())[0] == 0

    with page("tiny") as shown:
        go(visit(shown))


def test_who_came_by_the_link_for_looking_sees_everything_and_changes_nothing() -> None:
    async def visit(shown: Page) -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            address = shown.sink._site.look_address
            assert "?token=" in address
            async with session.get(address) as answer:  # the token is in a cookie from here on
                assert answer.status == 200
            base = address.partition("?")[0]
            async with session.ws_connect(f"{base}live", max_msg_size=1 << 26) as socket:
                visitor = Visitor(socket)
                assert (await visitor.told("hello"))["may_change"] is False
                shown.step()
                assert (await visitor.picture())[0] == 0
                for message in ({"type": "bypass", "on": True}, {"type": "record", "on": True}):
                    await visitor.send(**message)
                    assert "this link is for looking on" in (await visitor.told("problem"))["text"]
            async with session.get(f"{base}share") as answer:
                assert answer.status == 403
        assert shown.table.controls.changes == []

    with page("tiny", token=True) as shown:
        go(visit(shown))


def test_who_may_change_the_run_is_given_both_links_with_their_codes() -> None:
    async def visit(shown: Page) -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(shown.sink.address):
                pass
            async with session.get(f"{shown.sink.address.partition('?')[0]}share") as answer:
                told = await answer.json()
        assert told["here"] is True
        links = {access: link["address"] for access, link in told["links"].items()}
        assert links == {"look": shown.sink._site.look_address, "change": shown.sink.address}
        for link in told["links"].values():
            rows = [[0 if square == "1" else 255 for square in row] for row in link["code"]]
            large: Any = np.kron(np.array(rows, np.uint8), np.ones((8, 8), np.uint8))
            assert cv2.QRCodeDetector().detectAndDecode(large)[0] == link["address"]

    with page("tiny", token=True) as shown:
        go(visit(shown))


def test_figures_come_while_somebody_looks() -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as visitor:
            shown.table.controls.look(snapshot_of_a_run())
            told = await visitor.told("figures")
            assert told["frames_in"] == 12
            assert told["stale_seconds"] is None, "no frame has come yet"
            shown.step()
            told = await visitor.told("figures", lambda told: told["stale_seconds"] is not None)
            assert told["stale_seconds"] >= 0
            assert told["drops"] == {"queue full, oldest dropped": 2}
            assert told["factor"] == {"factor": 2.0, "why": "as asked for"}
            assert told["stages_ms"] == {"generate": 20.0}

    with page("tiny") as shown:
        go(visit(shown))


def snapshot_of_a_run() -> Snapshot:
    times = {"generate": Times(10, 0.02, 0.02, 0.02, 0.02, 0.02)}
    drops = {"queue full, oldest dropped": 2}
    return Snapshot(12, 10, 2, 0, None, 1.0, 10.0, None, {}, times, drops=drops)


def test_a_snapshot_is_the_whole_picture_before_and_after() -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as visitor, aiohttp.ClientSession() as session:
            frame = shown.step()
            await visitor.send(type="snapshot")
            told = await visitor.told("snapshot")
            assert told["frame"] == frame.index
            found = {}
            for what, link in told["pictures"].items():
                async with session.get(shown.sink.address.rstrip("/") + link["url"]) as response:
                    assert response.content_type == "image/png"
                    found[what] = luma(await response.read())
                assert link["file"] == f"streamfx_frame{frame.index}_{what}.png"
            assert found["after"].shape == found["before"].shape == (96, 160)
            assert read_stamp(found["before"]) == frame.index
            assert not np.array_equal(found["after"], found["before"])
            async with session.get(f"{shown.sink.address}snapshots/none.png") as response:
                assert response.status == 404

    with page("tiny", width=64) as shown:
        go(visit(shown))


def test_a_recording_is_started_and_stopped_by_hand_and_plays(tmp_path: Path) -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as one, visiting(shown) as other:
            for _ in range(3):
                shown.step()
            await one.send(type="record", on=True)
            state = await other.told("state", lambda told: bool(told["recording"]["on"]))
            branch = shown.sink._recorder._branch
            assert branch is not None
            for count in range(1, 6):
                shown.step()
                await asyncio.to_thread(wait_until, partial(written, branch, count))
            await one.told("state", lambda told: bool(told["recording"]["on"]))
            await other.send(type="record", on=False)
            await one.told("state", lambda told: not told["recording"]["on"])
            with av.open(state["recording"]["file"]) as file:
                frames = list(file.decode(video=0))
            assert len(frames) == 5
            assert frames[0].time == 0, "its time begins with it"
            await downloads(shown, Path(state["recording"]["file"]))

    async def downloads(shown: Page, file: Path) -> None:
        (tmp_path / "other.mkv").write_bytes(b"not of this page")
        base = f"{shown.sink.address}recordings/"
        async with aiohttp.ClientSession() as session:
            async with session.get(base + file.name) as response:
                assert response.headers["Content-Disposition"] == f'attachment; filename="{file.name}"'
                assert await response.read() == file.read_bytes()
            for name in ("other.mkv", "..%2Fother.mkv", "%2Fetc%2Fpasswd"):
                async with session.get(URL(base + name, encoded=True)) as response:
                    assert response.status == 404

    with page("tiny", recordings=str(tmp_path)) as shown:
        go(visit(shown))
    assert len(list(tmp_path.glob("streamfx_*.mkv"))) == 1
    assert any("recorded 5 frames to " in note for note in shown.sink.notes)
    assert [each.what.split()[-1] for each in shown.table.controls.changes] == ["started", "stopped"]


def test_a_recording_has_the_sound_of_its_pictures_from_its_first_frame_on(tmp_path: Path) -> None:
    async def come(viewer: Looker) -> None:
        assert (await viewer.heard("hello"))["sound"]
        await viewer.seen(12)
        await viewer.send("record", on=True)
        await viewer.heard("state", lambda told: told["recording"]["on"])
        await viewer.seen(25)
        await viewer.send("record", on=False)
        await viewer.heard("state", lambda told: told["recording"]["file"] and not told["recording"]["on"])

    make_clip("clip.mkv", frames=250)
    report = live_with(
        come, "clip.mkv", ["web:0"], effects=["tiny"], backend="eager", factor=4, threads=1,
        settings=[f"web.recordings={tmp_path}"],
    )  # fmt: skip
    assert report.losses == []
    (recording,) = tmp_path.glob("streamfx_*.mkv")
    with av.open(str(recording)) as file:
        video, sound = file.streams.video[0], file.streams.audio[0]
        times: dict[str, list[float]] = {"video": [], "audio": []}
        for packet in file.demux(video, sound):
            if packet.pts is not None and packet.time_base is not None:
                times[packet.stream.type].append(float(packet.pts * packet.time_base))
    assert min(times["video"]) == 0
    assert 0 <= min(times["audio"]) < 0.1, "there is no gap before the sound"
    assert abs(max(times["audio"]) - max(times["video"])) < 0.3


def test_a_recording_that_goes_on_at_the_end_is_completed(tmp_path: Path) -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as visitor:
            shown.step()
            await visitor.send(type="record", on=True)
            await visitor.told("state", lambda told: bool(told["recording"]["on"]))
            shown.step()

    with page("tiny", recordings=str(tmp_path)) as shown:
        go(visit(shown))
        shown.sink.abort()
    (file,) = tmp_path.glob("*.mkv")
    with av.open(str(file)) as recorded:
        assert len(list(recorded.decode(video=0))) == 1


def test_a_recording_that_breaks_is_told_and_another_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as visitor:
            await visitor.send(type="record", on=True)
            await visitor.told("state", lambda told: bool(told["recording"]["on"]))
            branch = shown.sink._recorder._branch
            assert branch is not None
            branch.sink.abort()
            monkeypatch.setattr(branch, "sink", FakeSink(fail_at=0))
            shown.step()
            told = await visitor.told("state", lambda told: not told["recording"]["on"])
            assert told["recording"]["problem"] == "fake-out: no space left on device"
            await visitor.send(type="record", on=True)
            await visitor.told("state", lambda told: bool(told["recording"]["on"]))
            shown.step()

    with page("tiny", recordings=str(tmp_path)) as shown:
        go(visit(shown))
    assert [note.partition(" to ")[0] for note in shown.sink.notes[1:]] == [
        "recorded 0 frames",
        "recorded 1 frames",
    ]
    assert "it ended early: fake-out: no space left" in shown.sink.notes[1]
    assert [each.failure for each in shown.sink.recordings] == ["fake-out: no space left on device", None]


def test_a_recording_that_cannot_be_written_is_told_and_the_page_goes_on(tmp_path: Path) -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as visitor:
            await visitor.send(type="record", on=True)
            told = await visitor.told("problem")
            assert "the recording cannot be started: " in told["text"]
            assert "there is no folder" in told["text"]
            shown.step()
            assert (await visitor.picture())[0] == 0

    with page("tiny", recordings=str(tmp_path / "nowhere")) as shown:
        go(visit(shown))


def test_a_closed_tab_frees_everything_of_it() -> None:
    async def running(shown: Page) -> int:
        site, counts = shown.sink._site, list[int]()
        site.call(lambda: counts.append(len(asyncio.all_tasks(site.loop))))
        await asyncio.to_thread(wait_until, lambda: bool(counts))
        return counts[0]

    async def visit(shown: Page) -> None:
        of_the_server = await running(shown)
        for _ in range(3):
            async with visiting(shown) as visitor:
                shown.step()
                await visitor.picture()
                assert shown.table.controls.sources.watchers == 1
            await asyncio.to_thread(wait_until, lambda: len(shown.sink._viewers) == 0)
        await asyncio.to_thread(wait_until, lambda: shown.table.controls.sources.watchers == 0)
        assert await running(shown) == of_the_server
        assert shown.sink._telling is None

    with page("tiny") as shown:
        go(visit(shown))
        gc.collect()
        assert shown.sink.notes[0] == (
            "viewers of the page: 1 at a time, 3 pictures sent, 0 skipped for those that were not ready"
        )


def test_the_end_of_the_run_is_told_and_nobody_is_waited_for() -> None:
    async def visit(shown: Page) -> None:
        async with visiting(shown) as visitor:
            shown.step()
            ending = asyncio.to_thread(shown.sink.finish)
            await asyncio.gather(ending, visitor.told("ended"))
            assert (await visitor.socket.receive(60)).type is aiohttp.WSMsgType.CLOSE
        assert not shown.sink._site._thread.is_alive()

    with page("tiny") as shown:
        go(visit(shown))


def test_a_page_of_another_site_cannot_open_the_connection() -> None:
    async def visit(shown: Page) -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{shown.sink.address}live", origin="http://evil.example")
            assert refused.value.status == 403

    with page("tiny") as shown:
        go(visit(shown))


def test_a_page_is_one_of_several_outputs_of_a_live_run_and_its_changes_are_in_the_report(
    tmp_path: Path,
) -> None:
    addresses: list[str] = []
    threads: list[threading.Thread] = []

    async def visit(address: str) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{address}live", max_msg_size=1 << 26) as socket,
        ):
            visitor = Visitor(socket)
            await visitor.picture()
            await visitor.send(type="bypass", on=True)
            await visitor.told("state", lambda told: bool(told["bypass"]))
            figures = await visitor.told("figures", lambda told: told["fps_in"] is not None)
            assert {"generate", "encode"} <= set(figures["stages_ms"])
            assert figures["latency_ms"]["p50"] <= figures["latency_ms"]["p95"]
            await visitor.told("ended")

    def come(address: str) -> None:
        addresses.append(address)
        threads.append(threading.Thread(target=lambda: go(visit(address)), name="visitor"))
        threads[0].start()

    report = streamfx.live(
        "test:bars?size=160x96&fps=30&live=1&frames=150",
        ["web:0", "out.mkv"],
        effects=["tiny"],
        factor=2,
        threads=1,
        announce=come,
        settings=["web.token=false"],
    )
    threads[0].join()
    assert report.exit_code == 0, report.summary()
    assert addresses[0].startswith("http://127.0.0.1:")
    assert [each.what for each in report.changes] == ["bypass on"]
    assert "changed while running: once, at last bypass on" in report.summary()
    assert {each.name for each in report.outputs} == {"web:0", "out.mkv"}
    assert any(note.startswith("web:0: viewers of the page: 1 at a time") for note in report.notes)


def test_a_page_alone_is_an_output_too() -> None:
    report = streamfx.live(
        "test:bars?size=160x96&fps=30&live=1&frames=5", "web:0", effects=["tiny"], factor=2, threads=1
    )
    assert report.exit_code == 0, report.summary()
    assert report.result.account.encoded + report.result.account.frames_dropped == 5


@pytest.mark.parametrize("library", ["aiohttp", "aiortc", "cv2"])
def test_a_missing_library_is_named_with_how_to_install_it(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(SinkError, match=r"web:8080: pages need .*: pip install 'streamfx\[web\]'"):
        streamfx.live("test:bars?size=160x96", "web:8080", effects=["tiny"], factor=2)


def test_the_settings_of_pages_are_documented_and_closed() -> None:
    assert set(WebConfig.model_fields) == {
        "width", "quality", "streams", "stream_kbps", "recordings", "token", "names",
    }  # fmt: skip
    assert LiveConfig.model_fields["web"].annotation is WebConfig
