"""Colours as pictures are tagged with them."""

from __future__ import annotations

import av
import pytest

from streamfx.capture.planar import colour_of


@pytest.mark.parametrize("number", [1, 4, 9])
def test_numbers_with_a_meaning_are_kept(number: int) -> None:
    picture = av.VideoFrame(64, 64, "yuv420p")
    picture.color_primaries = picture.color_trc = number
    colour = colour_of(picture, "prores")
    assert (colour.primaries, colour.transfer) == (number, number)


@pytest.mark.parametrize("number", [0, 3, 19, 200])
def test_reserved_numbers_are_unknown(number: int) -> None:
    picture = av.VideoFrame(64, 64, "yuv420p")
    picture.color_primaries = picture.color_trc = number
    colour = colour_of(picture, "prores")
    assert (colour.primaries, colour.transfer) == (2, 2)
