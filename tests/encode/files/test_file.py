from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamfx.capture.files.file import FileSource
from streamfx.capture.pattern import PatternSource, read_stamp
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.file import FileSink
from streamfx.encode.files.verify import verify_output
from streamfx.encode.opening import open_sink
from streamfx.errors import ConfigError, SinkError
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Frame, Matrix, VideoFormat
from streamfx.media.hdr import HdrMetadata
from streamfx.media.notes import left_out
from tests.media import make_clip
from tests.passing import pass_file


def packets_of(path: Path) -> dict[int, list[tuple[Fraction, int]]]:
    """Return (time in seconds, size in bytes) of every packet, by stream."""
    found: dict[int, list[tuple[Fraction, int]]] = {}
    with av.open(str(path)) as file:
        for packet in file.demux():
            if packet.size and packet.pts is not None:
                found.setdefault(packet.stream_index, []).append((packet.pts * packet.time_base, packet.size))
    return found


def pictures_of(path: Path) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    with av.open(str(path)) as file:
        return [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in file.decode(video=0)]


def pattern_format() -> VideoFormat:
    return PatternSource("test:bars?size=128x72&frames=20").format


def write_pattern(sink: FileSink, count: int) -> None:
    source = PatternSource("test:bars?size=128x72&frames=0")
    for _ in range(count):
        frame = source.read()
        assert frame is not None
        sink.write(frame)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".ts"])
def test_pictures_sound_and_times_come_through(tmp_path: Path, ending: str) -> None:
    clip = make_clip(tmp_path / f"clip{ending}", audio=2, frames=30, b_frames=2, audio_delay_seconds=0.3)
    out = tmp_path / f"out{ending}"
    sink = pass_file(clip, out)
    assert verify_output(out, sink.expected()) == []
    assert sink.frames_written == sink.packets_written == 30
    assert [read_stamp(picture) for picture in pictures_of(out)] == list(range(30))
    before, after = packets_of(clip), packets_of(out)
    for index in (1, 2):
        assert [size for _, size in after[index]] == [size for _, size in before[index]]
        offset_before = before[index][0][0] - min(time for time, _ in before[0])
        offset_after = after[index][0][0] - min(time for time, _ in after[0])
        assert abs(offset_after - offset_before) <= Fraction(1, 1000)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_sound_of_a_transport_stream_leaves_its_adts_headers_behind(tmp_path: Path, ending: str) -> None:
    clip = make_clip(tmp_path / "clip.ts", frames=30, audio_codec="aac")
    sink = pass_file(clip, tmp_path / f"out{ending}")
    assert verify_output(sink.path, sink.expected()) == []
    before, after = packets_of(clip)[1], packets_of(sink.path)[1]
    bare_bytes = 7 if ending != ".mkv" else before[0][1] - after[0][1]
    assert [size for _, size in after] == [size - bare_bytes for _, size in before]
    with av.open(str(sink.path)) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) >= 1024 * (len(after) - 1)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_uneven_times_come_through_exactly(tmp_path: Path, ending: str) -> None:
    times = [0, 40, 120, 130, 500, 501, 2000]
    clip = make_clip(tmp_path / "vfr.mkv", times=times, audio=False)
    out = tmp_path / f"out{ending}"
    pass_file(clip, out)
    assert sorted(time * 1000 for time, _ in packets_of(out)[0]) == times


@pytest.mark.parametrize("seed", range(4))
def test_no_picture_is_hidden_by_an_edit_list(tmp_path: Path, seed: int) -> None:
    # B-frames and uneven times put the last picture to be shown into any fragment, not only the last one.
    steps = np.random.default_rng(seed).choice([1, 10, 40, 80, 300], 59)
    times = [70 * (seed % 2), *(70 * (seed % 2) + np.cumsum(steps)).tolist()]
    clip = make_clip(tmp_path / "vfr.mkv", times=times, audio=False)
    sink = pass_file(clip, tmp_path / "out.mp4", preset="medium")
    assert verify_output(sink.path, sink.expected()) == []
    assert [read_stamp(picture) for picture in pictures_of(sink.path)] == list(range(60))


def test_times_finer_than_the_container_holds_are_rounded_and_it_is_said(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", rate=Fraction(30000, 1001), audio=False)
    sink = pass_file(clip, tmp_path / "out.mkv")
    assert verify_output(sink.path, sink.expected()) == []
    assert sink.notes == ["19 times are rounded to the 1 ms of .mkv"]


def test_what_the_file_says_about_the_picture_comes_through(tmp_path: Path) -> None:
    colour = Colour(Matrix.BT709, CodeRange.FULL, 1, 1)
    clip = make_clip(
        tmp_path / "clip.mov",
        colour=colour,
        sample_aspect_ratio=Fraction(64, 45),
        rotation_degrees=90,
        metadata={"title": "A title", "com.apple.quicktime.make": "Maker"},
        chapters=["One", "Two"],
        audio_language="eng",
    )
    for ending in (".mov", ".mp4", ".mkv"):
        out = tmp_path / f"out{ending}"
        pass_file(clip, out)
        source = FileSource(str(out))
        assert replace(source.format.colour, chroma_location=ChromaLocation.UNKNOWN) == colour
        assert source.format.sample_aspect_ratio == Fraction(64, 45)
        assert source.format.rotation_degrees == 90
        assert source.other_tracks is not None
        assert [chapter["metadata"]["title"] for chapter in source.other_tracks.chapters] == ["One", "Two"]
        tags = {key.lower(): value for key, value in source.other_tracks.metadata.items()}
        assert tags["title"] == "A title"
        assert source.other_tracks.streams[0].template.metadata["language"] == "eng"
        source.close()


def test_subtitles_come_through_untouched(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", subtitles=["first", "second"], frames=50)
    out = tmp_path / "out.mkv"
    sink = pass_file(clip, out)
    assert verify_output(out, sink.expected()) == []
    with av.open(str(out)) as file:
        texts = [bytes(packet) for packet in file.demux(file.streams.subtitles[0]) if packet.size]
    assert texts == [b"first", b"second"]


def test_attachments_come_through_or_are_left_out_with_a_note(tmp_path: Path) -> None:
    clip, with_font = make_clip(tmp_path / "clip.mkv", frames=3), tmp_path / "font.mkv"
    with av.open(str(clip)) as source, av.open(str(with_font), "w") as out:
        targets = {
            stream.index: out.add_stream_from_template(stream, opaque=True) for stream in source.streams
        }
        out.add_attachment("sans.ttf", "font/ttf", b"not really a font")
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = targets[packet.stream_index]
                out.mux(packet)
    sink = pass_file(with_font, tmp_path / "out.mkv")
    assert verify_output(sink.path, sink.expected()) == []
    with av.open(str(sink.path)) as file:
        assert [each.data for each in file.streams.attachments] == [b"not really a font"]
    sink = pass_file(with_font, tmp_path / "out.mp4")
    assert left_out(sink.notes) == ["stream 2 (attachment, sans.ttf) is left out: mp4 holds no attachments"]
    sink = pass_file(with_font, tmp_path / "out.webm")
    assert left_out(sink.notes) == ["stream 2 (attachment, sans.ttf) is left out: webm holds no attachments"]


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "target", "settings"),
    [
        ("yuv420p10le", "libx265", "out.mp4", {"codec": "hevc"}),
        ("yuv422p10le", "libx264", "out.mkv", {}),
        ("yuv444p", "libx264", "out.mp4", {"codec": "h264"}),
        ("yuv420p10le", "ffv1", "out.webm", {"codec": "av1", "preset": "13"}),
        ("yuv420p", "libx264", "out.webm", {"preset": "8"}),
        ("yuv422p", "libx264", "out.mov", {"codec": "prores"}),
        ("yuv444p16le", "ffv1", "out.mkv", {"codec": "ffv1"}),
        ("yuv420p", "libx264", "out.mkv", {"codec": "mjpeg"}),
        ("yuv420p", "libx264", "out.mp4", {"codec": "av1", "preset": "13"}),
    ],
)
def test_codecs_keep_depth_and_subsampling(
    tmp_path: Path, pix_fmt: str, codec: str, target: str, settings: dict[str, str]
) -> None:
    clip = make_clip(tmp_path / "clip.mkv", pix_fmt=pix_fmt, codec=codec, frames=6, audio=False)
    sink = pass_file(clip, tmp_path / target, **settings)
    assert verify_output(sink.path, sink.expected()) == []
    before, after = FileSource(str(clip)), FileSource(str(sink.path))
    if settings.get("codec") == "prores":
        assert sink.notes == ["pictures are converted from yuv422p to yuv422p10le for prores"]
    else:
        assert (after.format.depth, after.format.subsampling) == (
            before.format.depth,
            before.format.subsampling,
        )
    stamps = []
    while (frame := after.read()) is not None:
        stamps.append(read_stamp(frame.planes[0]))
    assert stamps == list(range(6))
    before.close()
    after.close()


@pytest.mark.parametrize(
    ("target", "codec", "good", "poor"),
    [("out.mp4", "h264", 10, 45), ("out.mkv", "mjpeg", 2, 31), ("out.webm", "vp9", 10, 60)],
)
def test_quality_changes_the_size(tmp_path: Path, target: str, codec: str, good: int, poor: int) -> None:
    sizes = []
    for quality in (good, poor):
        sink = pass_file("test:bars?size=256x144&frames=10", tmp_path / target, codec=codec, quality=quality)
        sizes.append(sink.path.stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]


def test_hdr_metadata_comes_through(tmp_path: Path) -> None:
    hdr = HdrMetadata(
        primaries=(
            (Fraction(17, 25), Fraction(8, 25)),
            (Fraction(53, 200), Fraction(69, 100)),
            (Fraction(3, 20), Fraction(3, 50)),
        ),
        white_point=(Fraction(3127, 10000), Fraction(329, 1000)),
        luminance_nits=(Fraction(1, 10000), Fraction(1000)),
        content_light_nits=(1000, 203),
    )
    source = PatternSource("test:bars?size=128x72&frames=4&depth=10")
    video = replace(source.format, hdr=hdr, colour=Colour(Matrix.BT2020_NCL, CodeRange.LIMITED, 9, 16))
    out = tmp_path / "hdr.mp4"
    sink = open_sink(str(out), format=video, encoding=Encoding(codec="hevc", preset="ultrafast"))
    while (frame := source.read()) is not None:
        sink.write(frame)
    sink.finish()
    found = FileSource(str(out))
    assert found.format.hdr == hdr
    assert found.format.colour.transfer == 16
    found.close()


def test_the_index_of_an_mp4_is_at_the_front_and_hevc_has_apples_tag(tmp_path: Path) -> None:
    sink = pass_file(make_clip(tmp_path / "clip.mp4"), tmp_path / "out.mp4", codec="hevc", preset="ultrafast")
    data = sink.path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"moof" not in data[: data.index(b"mdat")]
    assert b"hvc1" in data


def test_gif_is_written_with_a_palette_and_without_sound(tmp_path: Path) -> None:
    sink = pass_file(make_clip(tmp_path / "clip.mp4", rate=10), tmp_path / "out.gif")
    assert verify_output(sink.path, sink.expected()) == []
    assert "stream 1 (audio, aac) is left out: .gif holds pictures only" in left_out(sink.notes)
    assert [read_stamp(picture) for picture in pictures_of(sink.path)] == list(range(20))


def test_nothing_bears_the_name_until_it_is_complete_and_abort_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"the old one")
    sink = FileSink(out, pattern_format())
    write_pattern(sink, 3)
    assert out.read_bytes() == b"the old one"
    sink.abort()
    sink.abort()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    sink = FileSink(out, pattern_format())
    write_pattern(sink, 3)
    sink.finish()
    sink.abort()
    assert len(pictures_of(out)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    with pytest.raises(SinkError, match="is finished; no more frames"):
        write_pattern(sink, 1)


def test_a_sink_without_frames_leaves_no_file(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mp4", pattern_format())
    with pytest.raises(SinkError, match="no frame was written; there is no file"):
        sink.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_format_is_refused(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mp4", pattern_format())
    other = PatternSource("test:bars?size=64x64").read()
    assert other is not None
    with pytest.raises(SinkError, match="frame 0 is 64x64 4:2:0 8 bit; the output was opened for 128x72"):
        sink.write(other)
    sink.abort()


def test_the_encoder_keeps_its_own_copy_of_a_frame(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mkv", pattern_format())
    source = PatternSource("test:bars?size=128x72&frames=20")
    while (frame := source.read()) is not None:
        planes = tuple(plane.copy() for plane in frame.planes)
        sink.write(Frame(planes, frame.subsampling, 8, frame.colour, frame.index, frame.pts, frame.time_base))  # type: ignore[arg-type]
        for plane in planes:
            plane.flags.writeable = True
            plane[:] = 0
    sink.finish()
    assert [read_stamp(picture) for picture in pictures_of(sink.path)] == list(range(20))


REFUSED: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("out.webm", {"codec": "h264"}, ConfigError, ".webm does not hold h264 video, but vp9, av1, vp8"),
    ("out.mp4", {"codec": "h265x"}, ConfigError, "codec 'h265x' is unknown; did you mean 'h265'?"),
    (
        "out.mp4",
        {"preset": "ultrfast"},
        ConfigError,
        "did you mean 'ultrafast'? there are: ultrafast, superfast",
    ),
    ("out.mkv", {"codec": "ffv1", "preset": "fast"}, ConfigError, "codec ffv1 has no presets"),
    (
        "out.mp4",
        {"quality": 52},
        ConfigError,
        "quality for codec h264 must be 0 (best) to 51 (smallest), found 52",
    ),
    ("out.mkv", {"codec": "ffv1", "quality": 2}, ConfigError, "codec ffv1 has no quality setting"),
    (
        "out.mp4",
        {"pixel_format": "rgb9"},
        ConfigError,
        "codec h264 does not take pixel format 'rgb9'; it takes: ",
    ),
    ("out.mp4", {"options": {"nosuch": "1"}}, ConfigError, "encoder libx264 has no option nosuch"),
    (
        "out.mp4",
        {"options": {"profile": "nosuch"}},
        SinkError,
        "libx264 does not start with preset=veryfast crf=20",
    ),
    ("out.xyz", {}, ConfigError, "the ending '.xyz' stands for no kind of video file; there are: .mp4"),
    ("out", {}, ConfigError, "it has no ending that says the kind of video file"),
    ("none/out.mp4", {}, SinkError, "create it first"),
    ("old.mp4", {"overwrite": False}, SinkError, "old.mp4: exists already; allow overwriting"),
    ("clip.mkv", {}, ConfigError, "clip.mkv: is the source itself"),
    ("link.mkv", {}, ConfigError, "link.mkv: is the source itself"),
    ("web:8080", {}, ConfigError, "web:8080: a page shows what is live; write: streamfx live INPUT web:8080"),
    ("", {}, ConfigError, "no output given"),
]


@pytest.mark.parametrize(("name", "settings", "kind", "message"), REFUSED)
def test_what_cannot_be_written_is_refused_before_the_first_frame(
    tmp_path: Path, name: str, settings: dict[str, Any], kind: type[Exception], message: str
) -> None:
    clip = make_clip(tmp_path / "clip.mkv", subtitles=["one"], frames=3)
    (tmp_path / "link.mkv").symlink_to(clip)
    (tmp_path / "old.mp4").write_bytes(b"old")
    before = sorted(path.name for path in tmp_path.iterdir())
    source = FileSource(str(clip))
    target = f"{tmp_path}/{name}" if name and not name.startswith("web:") else name
    other_tracks = None if "settings" in name or settings else source.other_tracks
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(kind) as caught:
        open_sink(
            target,
            format=source.format,
            other_tracks=other_tracks,
            source_path=clip,
            encoding=Encoding(**settings),
        )
    assert message in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert len(os.listdir("/proc/self/fd")) == descriptors
    source.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SinkError, match="no permission to write"):
        FileSink(tmp_path / "out.mp4", pattern_format())
    tmp_path.chmod(0o700)


_LIMITED = """
import resource, sys
from streamfx.capture.pattern import PatternSource
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import open_sink
from streamfx.errors import SinkError
source = PatternSource("test:bars?size=640x360&frames=400&fps=25")
sink = open_sink(sys.argv[1], format=source.format, encoding=Encoding(preset="ultrafast", quality=1))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    while (frame := source.read()) is not None:
        sink.write(frame)
    sink.finish()
except SinkError as error:
    print(error)
sink.abort()
"""


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_when_no_more_can_be_written_what_is_there_stays_and_plays(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out{ending}"
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(out)], capture_output=True, text=True, check=True
    )
    kept = tmp_path / f"out.partial{ending}"
    assert "the file size limit is reached; what was written up to there is in" in done.stdout
    assert str(kept) in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    source = FileSource(str(kept))
    first = source.read()
    assert first is not None
    assert read_stamp(first.planes[0]) == 0
    source.close()


_KILLED = """
import os, sys
from streamfx.capture.pattern import PatternSource
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import open_sink
source = PatternSource("test:bars?size=128x72&frames=200&fps=25")
sink = open_sink(sys.argv[1], format=source.format, encoding=Encoding(preset="ultrafast"))
while (frame := source.read()) is not None:
    sink.write(frame)
os._exit(9)
"""


def test_an_mp4_cut_short_by_a_crash_plays_up_to_there(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path / "out.mp4")], capture_output=True, check=False
    )
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.partial-")
    stamps = [read_stamp(picture) for picture in pictures_of(left)]
    assert stamps == list(range(len(stamps)))
    assert len(stamps) >= 25


def test_verify_names_every_difference(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", colour=Colour(Matrix.BT709, CodeRange.FULL, 1, 1))
    sink = pass_file(clip, tmp_path / "out.mp4")
    expected = sink.expected()
    sound = replace(expected.streams[0], packets=7, first_seconds=Fraction(1))
    wrong = replace(
        expected,
        packets=21,
        last_seconds=expected.last_seconds + 1,
        colour=Colour(Matrix.SMPTE170M, CodeRange.LIMITED, 6, 6),
        size=(70, 126),
        sample_aspect_ratio=Fraction(2),
        streams=(sound, sound),
    )
    found = verify_output(sink.path, wrong)
    for part in (
        "video packets: 21 sent, 20 found",
        "time from first to last picture: 1.7600 s sent, 0.7600 s found",
        "size: 126x70 sent, 128x72 found",
        "colour matrix: 6 sent, 1 found",
        "code range: limited sent, full found",
        "colour primaries: 6 sent, 1 found",
        "sample aspect ratio: 2 sent, 1 found",
        "streams beside the video: 2 sent, 1 found",
        "stream 1 (audio, aac): 7 packets sent",
        "ms off against the pictures",
    ):
        assert any(part in line for line in found), (part, found)
    sink.path.write_bytes(b"nothing")
    assert verify_output(sink.path, expected)[0].startswith("the file cannot be read again")
