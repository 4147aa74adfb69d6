"""A browser's camera is a live source as any other: gaps, another size, a camera that was away."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest

from streamfx.capture.live.browser import IncomingPictures, open_browser
from streamfx.capture.live.settings import Gap, LiveSettings
from streamfx.capture.live.source import LiveSource
from streamfx.capture.pattern import read_stamp
from streamfx.errors import ConfigError, SourceLostError, SourceOpenError
from streamfx.media.backoff import Backoff
from streamfx.media.frame import Frame, Matrix
from tests.media import video_frame
from tests.servers import wait_until

SIZE = (96, 160)
QUICK = LiveSettings(0.5, 0.5, Gap.PAUSE, Backoff(attempts=1, first_seconds=0.01), jitter_seconds=0.0)


def opened(arrivals: IncomingPictures, settings: LiveSettings = QUICK, **more: Any) -> LiveSource:
    arrivals.put(video_frame(SIZE, 0, "yuv420p"))
    return open_browser("browser:1", arrivals, settings, **more)


def put_when_read(source: LiveSource, arrivals: IncomingPictures, *pictures: Any) -> None:
    """Hand pictures over as soon as the source is read: before, they are thrown away."""

    def put() -> None:
        wait_until(lambda: not source._receiver._unwanted.is_set())
        for picture in pictures:
            arrivals.put(picture)
            time.sleep(0.02)

    threading.Thread(target=put).start()


def read_until(source: LiveSource, stamp: int) -> Frame:
    while (frame := source.read()) is not None:
        if read_stamp(frame.planes[0]) == stamp:
            return frame
    raise AssertionError(f"the source ended before picture {stamp}")


def test_pictures_come_out_in_the_size_that_the_camera_is_said_to_have() -> None:
    arrivals = IncomingPictures()
    source = opened(arrivals, size=(192, 320))
    assert (source.format.size, source.format.colour.matrix) == ((192, 320), Matrix.SMPTE170M)
    put_when_read(source, arrivals, video_frame((192, 320), 1, "yuv420p"))
    assert read_until(source, 1).size == (192, 320)
    source.close()


def test_a_picture_of_another_size_is_noted_once() -> None:
    arrivals = IncomingPictures()
    source = opened(arrivals)
    others = [video_frame((48, 80), number, "yuv420p") for number in (1, 2)]
    put_when_read(source, arrivals, *others, video_frame(SIZE, 3, "yuv420p"))
    read_until(source, 3)
    assert [note for note in source.notes if "too" in note] == [
        "pictures came as 80x48 too; they are scaled into 160x96"
    ]
    source.close()


def test_a_browser_that_stands_still_is_bridged_with_black_where_that_is_asked_for() -> None:
    source = opened(IncomingPictures(), replace(QUICK, gap=Gap.BLACK))
    frame = source.read()
    while frame is not None and not frame.repeated:
        frame = source.read()
    assert frame is not None
    assert set(np.unique(frame.planes[0])) == {16}
    source.close()


def test_a_browser_that_sends_nothing_for_too_long_is_lost_and_one_that_does_again_is_not() -> None:
    arrivals = IncomingPictures()
    source = opened(arrivals, replace(QUICK, reconnect=Backoff(attempts=None, first_seconds=0.01)))
    threading.Timer(1.0, arrivals.put, (video_frame(SIZE, 7, "yuv420p"),)).start()
    read_until(source, 7)
    assert [outage.reason for outage in source.outages] == [
        "no picture came for 0.5 s; was the camera taken away?"
    ]
    source.close()
    source = opened(IncomingPictures())
    with pytest.raises(SourceLostError, match="not back after 1 attempt; the last: no picture"):
        read_until(source, 1)
    source.close()


def test_a_picture_that_is_too_large_ends_the_visit() -> None:
    arrivals = IncomingPictures()
    source = opened(arrivals, largest=SIZE)
    put_when_read(source, arrivals, av.VideoFrame(3840, 3840, "yuv420p"))
    with pytest.raises(SourceLostError, match="a picture of 3840x3840 came, larger than is allowed"):
        read_until(source, 1)
    source.close()


def test_who_leaves_before_a_picture_came_is_told_and_options_are_refused() -> None:
    arrivals = IncomingPictures()
    arrivals.end()
    with pytest.raises(SourceOpenError, match="it left before a picture came"):
        open_browser("browser:1", arrivals, QUICK)
    with pytest.raises(SourceOpenError, match=r"connected, but no picture came in 0\.5 s"):
        open_browser("browser:1", IncomingPictures(), QUICK)
    with pytest.raises(ConfigError, match=r"has no options; leave out the setting source\.options"):
        open_browser("browser:1", IncomingPictures(), replace(QUICK, options=(("exposure", "1"),)))
