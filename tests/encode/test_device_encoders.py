"""Encoders of devices: offered wherever their codec is, opened to find out, refused with what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

import streamfx
from streamfx.capture.pattern import PatternSource
from streamfx.encode.available_codecs import encoders
from streamfx.encode.codecs import CODECS, Codec, on_devices
from streamfx.encode.containers import CONTAINERS
from streamfx.encode.pixel_format import choose_pixel_format, encoder_formats, usual_codec
from streamfx.errors import SinkError
from streamfx.media.frame import VideoFormat
from tests.media import make_clip


def video(options: str = "") -> VideoFormat:
    return PatternSource(f"test:bars?size=128x72{options}").format


DEVICES = [codec for codec in CODECS.values() if codec.device is not None]


def test_a_container_that_holds_a_codec_takes_it_from_devices_too() -> None:
    assert {"h264_qsv", "h264_amf", "h264_v4l2m2m", "h264_videotoolbox"} <= set(on_devices(("h264",)))
    for ending in (".mp4", ".mkv", ".mov", ".ts"):
        held = CONTAINERS[ending].codecs
        assert {codec.name for codec in DEVICES if codec.software in held} <= set(held)


def test_no_device_encodes_unless_it_was_asked_to() -> None:
    for container in CONTAINERS.values():
        assert usual_codec(container, video()).device is None


@pytest.mark.parametrize(
    "codec", [codec for codec in DEVICES if encoder_formats(codec)], ids=lambda c: c.name
)
def test_each_gets_pictures_in_a_format_that_it_takes(codec: Codec) -> None:
    for played in (False, True):
        chosen = choose_pixel_format(codec, video(), None, played=played)
        assert chosen in ("yuv420p", "nv12")
        assert chosen in encoder_formats(codec)


def test_devices_that_take_no_planes_get_u_and_v_in_one() -> None:
    assert choose_pixel_format(CODECS["h264_qsv"], video(), None) == "nv12"
    deep = video("&depth=10")
    assert choose_pixel_format(CODECS["hevc_qsv"], deep, None) == "p010le"
    fine = video("&subsampling=444")
    assert choose_pixel_format(CODECS["h264_qsv"], fine, None) == "nv12"


def test_what_does_not_open_here_is_told_with_the_device_that_is_missing(tmp_path: Path) -> None:
    found = encoders()
    assert found["h264"] is None
    missing = [codec for codec in DEVICES if found[codec.name] is not None]
    for codec in missing:
        assert str(found[codec.name]).startswith(f"no {codec.device} (")
    clip = make_clip(tmp_path / "clip.mkv", size=(48, 64), frames=2)
    for codec in missing:
        if codec.preset is None or not encoder_formats(codec):
            continue
        with pytest.raises(SinkError, match=rf"{codec.encoder} does not start .*no {codec.device}"):
            streamfx.transcode(clip, tmp_path / "out.mp4", codec=codec.name)
        assert not (tmp_path / "out.mp4").exists()
