"""A source that listens: publishers send their video to it (WHIP), one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from typing import Any
from urllib.parse import urljoin

import av
import numpy as np
import pytest
from aiortc.mediastreams import AudioStreamTrack

import streamfx
from streamfx.capture.pattern import read_stamp
from streamfx.errors import ConfigError, SinkError, SourceAwayError
from streamfx.media.av_planes import plane_array
from streamfx.pipeline.stats import Snapshot
from streamfx.run.report import Report
from streamfx.web.publishing_peer import _Clock
from tests.web.browsers import TestCamera
from tests.web.players import Player, publishing

pytestmark = pytest.mark.usefixtures("place_of_its_own")

PICTURES = "test:bars?size=160x96&fps=30&frames=0&live=1"
SEEN = 30  # the progress of a run is told a few times a second


def receive(publish: Callable[[str, Callable[[], int]], Awaitable[None]], output: str = "out.mkv") -> Report:
    """Record what is published until the publisher has done what it came for; return the report.

    Args:
        publish: actions of the publisher; it is given the address, and what tells how many frames came.
        output: file that is written.
    """
    came = [0]
    visits: list[Future[None]] = []

    def until(snapshot: Snapshot) -> None:
        came[0] = snapshot.frames_in
        if visits and visits[0].done() and not snapshot.stopping:
            raise KeyboardInterrupt

    async def limited(address: str) -> None:
        async with asyncio.timeout(20):
            await publish(address, lambda: came[0])

    with ThreadPoolExecutor(1, "publisher") as pool:
        report = streamfx.live(
            "whip:0",
            output,
            threads=1,
            seconds=120,
            settings=["source.gap=pause", "preset=ultrafast"],
            progress=until,
            announce=lambda address: visits.append(pool.submit(asyncio.run, limited(address))),
        )
        visits[0].result()
    return report


async def frames(came: Callable[[], int], count: int) -> None:
    """Wait until so many more frames have come."""
    wanted = came() + count
    while came() < wanted:
        await asyncio.sleep(0.01)


def test_what_is_published_is_a_source_and_another_may_come_when_the_first_has_left() -> None:
    statuses: list[int] = []

    async def publish(address: str, came: Callable[[], int]) -> None:
        for _ in range(2):
            async with publishing(address, TestCamera(PICTURES), AudioStreamTrack()) as publisher:
                statuses.append(publisher.status)
                assert "a=setup:passive" in publisher.said
                await frames(came, SEEN)
                await is_alone(address)
                async with publisher.session.delete(publisher.place) as answer:
                    statuses.append(answer.status)

    async def is_alone(address: str) -> None:
        async with publishing(address, TestCamera(PICTURES)) as other:
            assert (other.status, other.said) == (
                409,
                "Somebody publishes here already; one at a time may.\n",
            )

    report = receive(publish)
    assert statuses == [201, 200] * 2
    assert not report.losses
    with closing(av.open("out.mkv")) as file:
        assert [stream.codec_context.name for stream in file.streams] == ["h264", "opus"]
        stamps = [read_stamp(plane_array(each.planes[0], 8)) for each in file.decode(video=0)]
    assert len(stamps) >= SEEN
    numbers = [stamp for stamp in stamps if stamp is not None]
    assert len(numbers) == len(stamps)
    assert sum(later < sooner for sooner, later in pairwise(numbers)) == 1, numbers


@pytest.mark.parametrize(
    ("offer", "status", "text"),
    [
        (b"", 400, "the offer has no media; it must have one video"),
        (b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", 400, "the offer cannot be used"),
        (b"v" * (1 << 17), 413, "Maximum request body size"),
    ],
)
def test_what_is_no_offer_is_refused_and_a_publisher_may_come_all_the_same(
    offer: bytes, status: int, text: str
) -> None:
    async def publish(address: str, came: Callable[[], int]) -> None:
        async def ask(publisher: Player, where: str) -> tuple[int, str]:
            headers = {"Content-Type": "application/sdp"}
            async with publisher.session.post(where, data=offer, headers=headers) as answer:
                return answer.status, await answer.text()

        async with publishing(f"{address}x", TestCamera(PICTURES)) as publisher:
            assert publisher.status == 403
            found, said = await ask(publisher, address)
            assert (found, text in said) == (status, True), said
            leaves_early = publisher.connection.localDescription.sdp
            headers = {"Content-Type": "application/sdp"}
            async with publisher.session.post(address, data=leaves_early, headers=headers) as answer:
                place = urljoin(address, answer.headers["Location"])
            await publisher.session.delete(place)
        async with publishing(address, TestCamera(PICTURES)):
            await frames(came, 1)

    assert not receive(publish, "null:").losses


def test_with_nobody_there_it_is_waited_for_or_refused() -> None:
    def refuse(**options: Any) -> None:
        streamfx.live("whip:0", "null:", wait=False, announce=lambda _: None, **options)

    with pytest.raises(SourceAwayError, match="whip:0: nobody publishes"):
        refuse(settings=["source.open_seconds=0.1"])
    with pytest.raises(ConfigError, match="whip:0: this source has no options"):
        refuse(settings=["source.options={a: b}"])


@pytest.mark.parametrize(("source", "error"), [("whip:x", ConfigError), ("whip:256.1.1.1:80", SinkError)])
def test_a_place_that_is_none_is_refused(source: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=source.partition(":")[0]):
        streamfx.live(source, "null:", announce=lambda _: None)


def test_times_come_forward_to_where_frames_come_soonest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic_ns", lambda: round(now[0] * 1e9))
    clock, found = _Clock(Fraction(1, 10)), []
    for number in range(100):
        frame = av.VideoFrame.from_ndarray(np.zeros((3, 2), np.uint8), "yuv420p")
        frame.pts, frame.time_base = 5000 + number * 3000, Fraction(1, 90_000)
        now[0] = 100 + number / 30 + (0.05 if number == 0 else number % 3 * 0.01)
        clock.correct(frame)
        assert frame.pts is not None
        found.append(float(frame.pts * frame.time_base) - 100 - number / 30)
    assert found[0] == pytest.approx(-0.05, abs=1e-3)
    assert found[-1] == pytest.approx(-0.1, abs=1e-3), "held back for a tenth of a second"
    assert all(sooner - later <= 0.0021 for sooner, later in pairwise(found))
