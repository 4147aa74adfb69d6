"""Which codec and pixel format an output gets: what players play, or every sample; and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamfx.capture.files.file import FileSource
from streamfx.capture.pattern import PatternSource
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.verify import verify_output
from streamfx.encode.plan import OutputPlan, plan_output
from streamfx.errors import ConfigError
from streamfx.media.frame import Colour, VideoFormat
from streamfx.media.hdr import HdrMetadata
from streamfx.media.notes import Converted, left_out
from tests.media import make_clip, stamped_planes
from tests.passing import pass_file

HDR = HdrMetadata(content_light_nits=(1000, 400))


def video(options: str = "", size: str = "128x72") -> VideoFormat:
    return PatternSource(f"test:bars?size={size}{options}").format


def planned(form: VideoFormat, target: str, **settings: str) -> OutputPlan:
    return plan_output(Path(target), form, Encoding(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "target", "codec", "pix_fmt"),
    [
        ("", "out.mp4", "h264", "yuv420p"),
        ("&subsampling=444", "out.mp4", "h264", "yuv420p"),  # GIF, PNG and screen recordings come so
        ("&subsampling=422", "out.m4v", "h264", "yuv420p"),
        ("&depth=10", "out.mp4", "hevc", "yuv420p10le"),
        ("&depth=12&subsampling=422", "out.mp4", "hevc", "yuv420p10le"),
        ("&depth=16&subsampling=444", "out.ts", "hevc", "yuv420p10le"),
        ("&subsampling=444", "out.mov", "h264", "yuv420p"),
        ("&depth=10&subsampling=422", "out.mov", "prores", "yuv422p10le"),
        ("&depth=12&subsampling=444", "out.mov", "prores", "yuv444p10le"),
        ("&depth=10", "out.mov", "hevc", "yuv420p10le"),
        ("&subsampling=444", "out.webm", "vp9", "yuv420p"),
        ("&depth=10", "out.webm", "av1", "yuv420p10le"),
        ("&depth=12", "out.webm", "av1", "yuv420p10le"),
        ("&subsampling=444", "out.mkv", "h264", "yuv444p"),
        ("&depth=12&subsampling=422", "out.mkv", "hevc", "yuv422p12le"),
        ("&depth=16", "out.mkv", "ffv1", "yuv420p16le"),
        ("", "out.gif", "gif", "pal8"),
    ],
)
def test_who_names_no_codec_gets_one_that_players_of_the_file_play(
    options: str, target: str, codec: str, pix_fmt: str
) -> None:
    plan = planned(video(options), target)
    assert (plan.codec.name, plan.pix_fmt) == (codec, pix_fmt)
    converted = [note for note in plan.conversions() if isinstance(note, Converted)]
    assert bool(converted) == (pix_fmt != planned(video(options), "out.mkv", codec="ffv1").pix_fmt)


def test_hdr_in_8_bits_gets_a_codec_that_carries_it(tmp_path: Path) -> None:
    form = replace(video(), colour=Colour(transfer=16))
    assert planned(form, "out.mp4").codec.name == "hevc"
    deep = replace(video("&depth=10"), hdr=HDR)
    assert left_out(planned(deep, "out.mp4").conversions()) == []
    lost = left_out(planned(deep, "out.mp4", codec="h264", pixel_format="yuv420p").conversions())
    assert lost == ["HDR metadata is left out: h264 in yuv420p does not carry it"]


@pytest.mark.parametrize(
    ("options", "target", "settings", "pix_fmt"),
    [
        ("&subsampling=444", "out.mp4", {"codec": "h264"}, "yuv444p"),
        ("&depth=12", "out.mkv", {"codec": "h264"}, "yuv420p10le"),
        ("&depth=10&subsampling=444", "out.webm", {"codec": "vp9"}, "yuv444p"),
        ("&depth=10", "out.mkv", {"codec": "mjpeg"}, "yuvj420p"),
        ("&depth=10", "out.mp4", {"pixel_format": "yuv420p10le"}, "yuv420p10le"),
    ],
)
def test_who_names_a_codec_gets_the_samples_or_the_nearest_and_it_is_said(
    options: str, target: str, settings: dict[str, str], pix_fmt: str
) -> None:
    plan = planned(video(options), target, **settings)
    assert plan.pix_fmt == pix_fmt


def test_a_pixel_format_that_a_codec_does_not_take_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"codec vp9 does not take pixel format 'yuv410p'; it takes: .*yuv420p"
    ):
        planned(video(), "out.webm", codec="vp9", pixel_format="yuv410p")


@pytest.mark.parametrize("size", [(71, 127), (72, 127), (71, 128)])
@pytest.mark.parametrize("options", [{}, {"codec": "hevc"}, {"pixel_format": "yuv444p"}])
def test_an_odd_size_gains_a_row_or_column_where_the_codec_wants_even_ones(
    tmp_path: Path, size: tuple[int, int], options: dict[str, str]
) -> None:
    height, width = size
    sink = pass_file(f"test:bars?size={width}x{height}&frames=3", tmp_path / "out.mp4", quality=1, **options)
    assert verify_output(sink.path, sink.expected()) == []
    whole = "444" in options.get("pixel_format", "")
    coded = size if whole else (height + height % 2, width + width % 2)
    source = FileSource(str(sink.path))
    frame = source.read()
    assert frame is not None
    assert frame.size == coded
    exact = stamped_planes(size, 0)[0].astype(int)
    luma = frame.planes[0].astype(int)
    assert np.abs(luma[:height, :width] - exact).mean() < 2
    assert np.abs(luma[-1, :width] - exact[-1]).mean() < 4
    source.close()
    said = f"pictures are {coded[1]}x{coded[0]} instead of {width}x{height}, the last row or column repeated"
    assert any(said in note for note in sink.notes) == (not whole)


def test_codecs_that_hold_odd_sizes_keep_them(tmp_path: Path) -> None:
    for target, codec in (("out.webm", None), ("out.mkv", "ffv1"), ("out.mov", "prores")):
        sink = pass_file("test:bars?size=127x71&frames=2", tmp_path / target, codec=codec)
        assert sink.expected().size == (71, 127)
        assert verify_output(sink.path, sink.expected()) == []


@pytest.mark.parametrize("shape", [Fraction(16, 11), Fraction(10, 11), Fraction(64, 45)])
@pytest.mark.parametrize(
    ("target", "codec"),
    [("out.mkv", "ffv1"), ("out.mkv", "h264"), ("out.webm", "vp9"), ("out.mp4", "vp9"), ("out.ts", "h264")],
)
def test_pixels_that_are_not_square_keep_their_shape(
    tmp_path: Path, shape: Fraction, target: str, codec: str
) -> None:
    clip = make_clip(
        tmp_path / "clip.mkv", frames=5, size=(72, 88), sample_aspect_ratio=shape, codec="libx264"
    )
    sink = pass_file(clip, tmp_path / target, codec=codec)
    assert verify_output(sink.path, sink.expected()) == []
    assert left_out(sink.notes) == []
    with av.open(str(sink.path)) as file:
        found = file.streams.video[0].sample_aspect_ratio
        assert found is not None
        assert abs(found / shape - 1) < (0.006 if target == "out.webm" else 1e-9)
        assert sum(1 for _ in file.decode(video=0)) == 5
        file.seek(0)
        assert sum(1 for packet in file.demux(audio=0) if packet.size) > 5


def test_a_rounded_shape_is_said_and_square_pixels_of_gif_are_too(tmp_path: Path) -> None:
    form = replace(video(size="100x70"), sample_aspect_ratio=Fraction(64, 45))
    assert "pixels are 1.4200 wide to high, not 1.4222" in planned(form, "out.webm").conversions()
    assert left_out(planned(form, "out.gif").conversions()) == [
        "that pixels are 64/45 wide to high is left out: gif has square ones"
    ]
