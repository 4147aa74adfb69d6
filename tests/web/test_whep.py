"""The stream of a run for players (WHEP), and the stream by which the page gets its pictures."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from streamfx.capture.opening import open_source
from streamfx.capture.pattern import PatternSource, read_stamp
from streamfx.config.live import WebConfig
from streamfx.encode.sink import Sink
from streamfx.errors import SinkError
from streamfx.media.av_planes import plane_array
from streamfx.media.frame import Frame
from streamfx.media.tracks import OtherTracks
from streamfx.web import sdp, whep
from streamfx.web.listen_address import Access
from streamfx.web.sink import PageSink
from streamfx.web.stream_encoder import Coding, StreamEncoder, StreamKind
from streamfx.web.stream_sound import StreamSound
from tests.media import make_clip
from tests.run_controls import bench
from tests.servers import wait_until
from tests.web.lookers import looking
from tests.web.players import HEADERS, Player, playing

pytestmark = pytest.mark.usefixtures("place_of_its_own")

H264, VP8 = StreamKind(Coding.H264), StreamKind(Coding.VP8)
STEP_SECONDS = 1 / 60


def _no_file(path: Path, _tracks: OtherTracks | None) -> Sink:
    raise SinkError(f"{path}: nothing is recorded here")


@contextmanager
def page(*effects: str, **settings: object) -> Iterator[PageSink]:
    """Open a page; frames are written all the time."""
    with bench(*effects) as table:
        config = WebConfig.model_validate({"token": False} | settings)
        sink = PageSink("web:0", "bars", table.source.format, table.controls, config, _no_file)
        ended = threading.Event()

        def write() -> None:
            while not ended.wait(STEP_SECONDS):
                sink.write(table.controls.process(table.frame()))

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield sink
        finally:
            ended.set()
            thread.join()
            sink.finish()


def go(script: Coroutine[Any, Any, None]) -> None:
    """Run what players do; fails when it takes longer than a minute."""

    async def limited() -> None:
        async with asyncio.timeout(60):
            await script

    asyncio.run(limited())


async def until(happened: Any) -> None:
    """Wait until something has happened in the thread of the page."""
    await asyncio.to_thread(wait_until, happened)


async def stamps(player: Player, count: int) -> list[int | None]:
    """Return the numbers of the next pictures."""
    return [read_stamp(plane_array((await player.picture()).planes[0], 8)) for _ in range(count)]


@pytest.mark.parametrize("coding", [None, *Coding])
def test_a_player_gets_the_pictures_in_the_coding_that_it_takes(coding: Coding | None) -> None:
    async def play(shown: PageSink) -> None:
        async with playing(shown.address, coding) as player:
            assert player.status == 201, player.said
            assert "a=setup:passive" in player.said, "players whose certificate is for RSA can begin"
            found = await stamps(player, 6)
            assert None not in found
            assert found == sorted(set(found), key=lambda number: number or 0), "every one, in order"
            assert {kind.coding for kind in shown._stream.watchers.kinds} == {coding or Coding.H264}
            assert await player.leave() == 200
            assert await player.leave() == 404
        await until(lambda: not shown._stream.watchers.kinds)

    with page() as shown:
        go(play(shown))
    assert any(note.startswith("watched by WebRTC: 1 at a time") for note in shown.notes)


def test_pictures_are_coded_once_however_many_watch_and_who_comes_later_begins_with_a_key_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coded: list[tuple[int, int, bool]] = []
    encode = StreamEncoder.encode

    def counting(self: StreamEncoder, frame: Frame, *rest: Any) -> Any:
        found = encode(self, frame, *rest)
        coded.append((frame.index, len(found), any(each.key for each in found)))
        return found

    async def play(shown: PageSink) -> None:
        async with playing(shown.address) as one, playing(shown.address) as other:
            assert None not in await stamps(one, 3)
            assert None not in await stamps(other, 3)
            async with playing(shown.address) as late:
                assert None not in await stamps(late, 1)
        assert {count for _, count, _ in coded} == {1}

    monkeypatch.setattr(StreamEncoder, "encode", counting)
    with page() as shown:
        go(play(shown))
    keys = [index for index, _, key in coded if key]
    assert 2 <= len(keys) < len(coded) / 2, "for those who came, and not all the time"


def test_a_page_that_follows_a_stream_gets_before_below_after_and_no_pictures_beside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look(shown: PageSink) -> None:
        async with (
            looking(shown.address) as viewer,
            playing(shown.address, question="before=true") as player,
        ):
            await viewer.seen()
            await viewer.send("view", pictures=True, before=True, stream=player.place.rpartition("/")[2])
            await until(lambda: not shown._viewers.wanted)
            picture = await player.picture()
            while picture.height != 2 * 96:
                picture = await player.picture()
            rows = plane_array(picture.planes[0], 8).astype(int)
            after, before = rows[:96], rows[96:]
            assert read_stamp(before.astype(np.uint8)) is not None
            assert np.abs(after - before).mean() > 3
            assert (await viewer.heard("state"))["viewers"] == 1, "the page and its stream are one"
            await viewer.send("view", pictures=True, before=False, stream=player.place.rpartition("/")[2])
            while picture.height != 96:
                picture = await player.picture()
            await viewer.send("view", pictures=True, before=False)
            await viewer.seen()
        await until(lambda: not shown._stream.watchers._watchers)

    with page("tiny") as shown:
        go(look(shown))


def test_a_page_that_goes_ends_its_stream() -> None:
    async def look(shown: PageSink) -> None:
        async with playing(shown.address, question="before=false") as player:
            await player.picture()
            async with looking(shown.address) as viewer:
                await viewer.send("view", pictures=True, before=True, stream=player.place.rpartition("/")[2])
                await until(lambda: not shown._viewers.wanted)
            await until(lambda: not shown._stream.watchers._watchers)

    with page() as shown:
        go(look(shown))


def test_players_count_as_viewers_and_more_than_may_are_told_so() -> None:
    async def play(shown: PageSink) -> None:
        async with looking(shown.address) as viewer, playing(shown.address) as player:
            await viewer.heard("state", lambda told: told["viewers"] == 2)
            async with playing(shown.address) as other:
                assert other.status == 503
                assert "1 watch by WebRTC already, as many as may (the setting web.streams)" in other.said
            await player.leave()
            async with playing(shown.address) as other:
                assert other.status == 201

    with page(streams=1) as shown:
        go(play(shown))


@pytest.mark.parametrize(
    ("offer", "headers", "status", "text"),
    [
        (b"v=0", {"Content-Type": "text/plain"}, 415, "An offer is posted as application/sdp, and this came"),
        (b"", HEADERS, 400, "the offer has no media; it must have one video"),
        (b"\xff\xfe", HEADERS, 400, "The offer is no text in UTF-8"),
        (b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", HEADERS, 400, "the offer cannot be used"),
        (b"v=0\r\nm=video x\r\n", HEADERS, 400, "the offer cannot be used"),
        (b"v=0\r\n" + b"m=video 9 RTP 96\r\n" * 500, HEADERS, 400, "the offer has 500 video; it"),
        (
            b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
            HEADERS,
            400,
            "the offer has 1 application; it",
        ),
        (b"v" * (1 << 17), HEADERS, 413, "Maximum request body size 65536 exceeded"),
    ],
)
def test_what_is_no_offer_is_refused_with_the_reason_and_leaves_nothing(
    offer: bytes, headers: dict[str, str], status: int, text: str
) -> None:
    async def ask(shown: PageSink) -> None:
        async with aiohttp.ClientSession() as session:
            address = f"{shown.address}whep"
            async with session.post(address, data=offer, headers=headers) as answer:
                said = await answer.text()
            assert (answer.status, text in said) == (status, True), said
            assert len(said) < 400
            async with session.get(address) as answer:
                assert answer.status == 405
        assert not shown._stream.watchers._watchers

    with page() as shown:
        go(ask(shown))


def test_an_offer_without_a_coding_of_ours_is_refused() -> None:
    async def ask(shown: PageSink) -> None:
        async with playing(shown.address) as player:
            offer = player.connection.localDescription.sdp
            strange = offer.replace("VP8/", "AV1/").replace("H264/", "H265/")
            async with player.session.post(f"{shown.address}whep", data=strange, headers=HEADERS) as answer:
                assert answer.status == 400
                assert "the offer cannot be used" in await answer.text()
            assert None not in await stamps(player, 2), "the others go on"

    with page() as shown:
        go(ask(shown))


def test_a_player_whose_addresses_nobody_can_find_is_answered_and_comes_by_itself() -> None:
    async def ask(shown: PageSink) -> None:
        async with playing(shown.address, hidden=True) as player:
            assert "a=candidate" in player.said, "it must know where to go"
            assert None not in await stamps(player, 2)

    with page() as shown:
        go(ask(shown))


def test_an_offer_that_does_not_come_and_a_stream_that_nobody_takes_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sdp, "_OFFER_SECONDS", 0.1)
    monkeypatch.setattr(whep, "_OPEN_SECONDS", 0.1)

    @asynccontextmanager
    async def slow(session: aiohttp.ClientSession, address: str) -> AsyncIterator[aiohttp.ClientResponse]:
        go_on = asyncio.Event()

        async def letters() -> AsyncIterator[bytes]:
            yield b"v=0\r\n"
            await go_on.wait()

        async with session.post(f"{address}whep", data=letters(), headers=HEADERS) as answer:
            yield answer
            go_on.set()

    async def ask(shown: PageSink) -> None:
        async with aiohttp.ClientSession() as session, slow(session, shown.address) as answer:
            assert answer.status == 408
            assert await answer.text() == "The offer did not come within 0.1 s.\n"
        async with playing(shown.address) as player:
            offer = player.connection.localDescription.sdp
            async with player.session.post(f"{shown.address}whep", data=offer, headers=HEADERS) as answer:
                name = answer.headers["Location"].rpartition("/")[2]
            assert name in shown._stream.watchers._watchers
            await until(lambda: name not in shown._stream.watchers._watchers)

    with page() as shown:
        go(ask(shown))


def test_who_has_no_token_gets_nothing_and_a_link_for_looking_on_is_enough() -> None:
    async def ask(shown: PageSink) -> None:
        place = shown._site.place
        home = shown.address.partition("?")[0]
        for headers, status in (
            ({}, 403),
            ({"Authorization": "Bearer wrong"}, 403),
            ({"Authorization": f"Bearer {place.look_token}"}, 201),
            ({"Authorization": f"bearer {place.token}"}, 201),
            ({"Authorization": f"Bearer {place.token}", "Origin": "http://evil.example"}, 403),
        ):
            async with playing(home, headers=headers) as player:
                assert player.status == status
        async with playing(shown._site.look_address) as player:
            assert player.status == 201
            assert player.place.endswith(f"?token={place.look_token}"), "it can be deleted as it stands"
            assert await player.leave() == 200
        async with (
            aiohttp.ClientSession() as session,
            session.get(shown.address.replace("/?", "/share?")) as answer,
        ):
            links = await answer.json()
        assert links["player"] == shown._site.look_address.replace("/?", "/whep?")
        assert place.access(links["player"].partition("token=")[2]) is Access.LOOK

    with page(token=True) as shown:
        go(ask(shown))


def test_without_streams_the_page_is_told_so() -> None:
    async def look(shown: PageSink) -> None:
        async with looking(shown.address) as viewer, playing(shown.address) as player:
            assert (await viewer.heard("hello"))["streams"] is False
            assert player.status == 503
            await viewer.send("view", pictures=True, before=True, stream="none")
            await viewer.seen(3)

    with page(streams=0) as shown:
        go(look(shown))


def test_the_end_of_the_run_ends_the_streams() -> None:
    async def play(shown: PageSink) -> None:
        async with playing(shown.address) as player:
            await stamps(player, 1)
            await asyncio.to_thread(shown.finish)
            async with asyncio.timeout(10):
                while player.connection.connectionState != "closed":
                    await asyncio.sleep(0.01)

    with page() as shown:
        go(play(shown))


def test_key_frames_come_when_asked_for_and_of_each_stream_alone() -> None:
    source = PatternSource("test:bars?size=160x96&fps=30")
    encoder = StreamEncoder(source.format, 1280, 1000)

    def keys(kinds: set[StreamKind], asked: set[StreamKind]) -> set[StreamKind]:
        frame = source.read()
        assert frame is not None
        found = encoder.encode(frame, None, frozenset(kinds), frozenset(asked))
        assert {each.kind for each in found} == kinds
        return {each.kind for each in found if each.key}

    assert keys({H264, VP8}, set()) == {H264, VP8}
    assert keys({H264, VP8}, set()) == set()
    assert keys({H264, VP8}, {VP8}) == {VP8}
    assert keys({H264, VP8}, {H264}) == {H264}
    assert keys({H264}, set()) == set()
    assert keys({H264, VP8}, set()) == {VP8}, "one that was let go begins anew"


def test_a_stream_is_no_wider_than_asked_for_and_a_frame_of_any_size_fits_into_it() -> None:
    source, other = (PatternSource(f"test:bars?size={size}&fps=30") for size in ("160x96", "320x300"))
    encoder = StreamEncoder(source.format, 80, 1000)
    assert encoder.size == (48, 80)
    for pattern in (source, other, source):
        frame = pattern.read()
        assert frame is not None
        assert encoder.encode(frame, frame, frozenset({H264, VP8}), frozenset())


def test_a_frame_that_cannot_be_shown_is_in_the_report_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = threading.Event()
    encode = StreamEncoder.encode

    def failing(self: StreamEncoder, frame: Frame, *rest: Any) -> Any:
        if not broken.is_set():
            broken.set()
            raise SinkError("frame 7 cannot be made H264 for the page: no memory")
        return encode(self, frame, *rest)

    async def play(shown: PageSink) -> None:
        async with playing(shown.address) as player:
            assert None not in await stamps(player, 2)

    monkeypatch.setattr(StreamEncoder, "encode", failing)
    with page() as shown:
        go(play(shown))
    assert any("1 frames could not be shown, the last: frame 7 cannot" in note for note in shown.notes)


def test_sound_comes_with_the_pictures_of_its_time_and_only_while_somebody_listens(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=25)
    source = open_source(str(clip))
    assert source.other_tracks is not None
    sound = StreamSound(source.other_tracks, Fraction(1, 25))
    assert sound.there
    base = source.format.time_base
    heard: list[tuple[Fraction, Fraction]] = []
    times = []
    while (frame := source.read()) is not None:
        times.append(frame.pts * base)
        listens = times[-1] >= Fraction(2, 5)
        packets = sound.take(times[-1], wanted=listens)
        assert listens or packets == []
        heard += [(times[-1], (packet.pts or 0) * packet.time_base) for packet in packets]
    source.close()
    assert len(heard) > 20
    assert [begin for _, begin in heard] == sorted(begin for _, begin in heard)
    assert all(abs(picture - begin) <= Fraction(6, 100) for picture, begin in heard)
