from __future__ import annotations

import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from streamfx.capture.opening import open_source
from streamfx.capture.pattern import STAMP_LIMIT, PatternSource, read_stamp, write_stamp
from streamfx.errors import ConfigError
from tests.media import make_clip, stamped_planes, video_frame


@pytest.mark.parametrize(
    "text",
    [
        "test:bars?size=128x72&frames=3",
        "test:bars?size=427x239&frames=3",
        "test:bars?size=64x32&frames=3&depth=10&subsampling=422",
        "test:bars?size=131x97&frames=3&depth=16&subsampling=444",
    ],
)
def test_every_frame_carries_its_number(text: str) -> None:
    source = open_source(text)
    frames = [source.read() for _ in range(4)]
    assert frames[3] is None
    assert [frame and (frame.index, frame.pts, read_stamp(frame.planes[0])) for frame in frames[:3]] == [
        (0, 0, 0),
        (1, 1, 1),
        (2, 2, 2),
    ]


def test_the_same_number_gives_the_same_picture_and_another_number_another_one() -> None:
    source = PatternSource("test:bars?size=128x72")
    again = PatternSource("test:bars?size=128x72")
    for plane, same, other in zip(source.planes(7), again.planes(7), source.planes(8), strict=True):
        np.testing.assert_array_equal(plane, same)
        assert (plane != other).any()


@pytest.mark.parametrize("number", [0, 1, 299, 123_456, STAMP_LIMIT - 1])
def test_the_stamp_survives_scaling_noise_and_inversion(number: int) -> None:
    luma = stamped_planes((360, 640), 0)[0].copy()
    write_stamp(luma, number)
    noisy = luma + np.random.default_rng(1).normal(0, 30, luma.shape)
    assert read_stamp(np.clip(noisy, 0, 255).astype(np.uint8)) == number
    assert read_stamp(255 - luma) == number
    assert read_stamp((luma // 4 + 90).astype(np.uint8)) == number
    small = video_frame((360, 640), number, "yuv420p").reformat(160, 90)
    assert read_stamp(np.asarray(small.to_ndarray()[:90], np.uint8)) == number


def test_the_stamp_survives_hard_compression(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "hard.mp4", size=(144, 256), frames=8, audio=False, options={"crf": "45"})
    with av.open(str(clip)) as file:
        lumas = [np.asarray(frame.to_ndarray()[:144], np.uint8) for frame in file.decode(video=0)]
    assert [read_stamp(luma) for luma in lumas] == list(range(8))


@pytest.mark.parametrize("luma", [np.full((72, 128), 90, np.uint8), np.zeros((4, 4), np.uint8)])
def test_a_picture_without_stamp_reads_as_none(luma: np.ndarray) -> None:
    assert read_stamp(luma) is None


def test_a_damaged_stamp_reads_as_none() -> None:
    luma = stamped_planes((72, 128), 5)[0].copy()
    luma[:, 40:80] = 255 - luma[:, 40:80]
    assert read_stamp(luma) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test:snow", "test:snow: unknown test picture; there is: test:bars"),
        ("test:bars?sze=1x1", "unknown option 'sze'; did you mean 'size'?"),
        ("test:bars?size=10x10", "size must be at least 64x32"),
        ("test:bars?size=big", "size must be WIDTHxHEIGHT, as in 1280x720, found 'big'"),
        ("test:bars?size=ax720", "size must be a whole number, found 'a'"),
        ("test:bars?fps=0", "fps must be above 0 and at most 1000"),
        ("test:bars?fps=fast", "fps must be a rate such as 25 or 30000/1001, found 'fast'"),
        ("test:bars?depth=7", "depth must be 8 to 16, found 7"),
        ("test:bars?subsampling=411", "subsampling must be 420, 422 or 444, found 411"),
        ("test:bars?frames", "option 'frames' needs a value, as in frames=300"),
        ("test:bars?fps=30&fps=25", "option 'fps' is given twice"),
    ],
)
def test_a_wrong_option_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source(text)
    assert message in str(caught.value)


def test_a_live_pattern_keeps_its_rate_and_wakes_up_when_closed() -> None:
    source = PatternSource("test:bars?size=64x32&fps=1&frames=0&live=1")
    assert source.live
    assert source.read() is not None
    threading.Timer(0.05, source.close).start()
    started = time.monotonic()
    assert source.read() is None
    assert time.monotonic() - started < 0.9  # it would have slept for a second
