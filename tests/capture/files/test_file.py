from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamfx.capture.files.file import FileSource
from streamfx.capture.opening import open_source
from streamfx.capture.pattern import read_stamp
from streamfx.capture.source import Source
from streamfx.errors import ConfigError, DecodeError, SourceOpenError
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Frame, Matrix, Subsampling
from tests.media import make_clip, stamped_planes


def frames_of(source: Source) -> Iterator[Frame]:
    while (frame := source.read()) is not None:
        yield frame


def read_all(path: Path | str) -> tuple[list[Frame], FileSource]:
    source = FileSource(str(path))
    frames = list(frames_of(source))
    source.close()
    return frames, source


def read_with_errors(source: Source) -> tuple[list[int | None], list[str]]:
    """Return the numbers stamped into the frames, and what was said about those that failed."""
    stamps: list[int | None] = []
    errors: list[str] = []
    while True:
        try:
            frame = source.read()
        except DecodeError as error:
            errors.append(str(error))
            continue
        if frame is None:
            return stamps, errors
        stamps.append(read_stamp(frame.planes[0]))


def open_descriptors() -> int:
    gc.collect()  # what earlier tests have left to it
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov", ".ts", ".avi"])
def test_every_frame_arrives_once_in_order_with_its_time(tmp_path: Path, ending: str) -> None:
    clip = make_clip(tmp_path / f"clip{ending}", frames=12, b_frames=0 if ending == ".avi" else 3)
    frames, source = read_all(clip)
    assert [read_stamp(frame.planes[0]) for frame in frames] == list(range(12))
    assert [frame.index for frame in frames] == list(range(12))
    start = frames[0].time_seconds
    assert [frame.time_seconds - start for frame in frames] == [Fraction(n, 25) for n in range(12)]
    assert source.format.rate_fps == 25
    assert source.shortfall == 0
    assert all(frame.captured_ns for frame in frames)


def test_uneven_times_are_kept_exactly(tmp_path: Path) -> None:
    times = [0, 40, 120, 130, 500, 501, 2000]
    frames, _ = read_all(make_clip(tmp_path / "vfr.mkv", times=times))
    assert [frame.time_seconds * 1000 for frame in frames] == times


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "subsampling", "depth"),
    [
        ("yuv420p", "libx264", Subsampling.YUV420, 8),
        ("yuv422p", "libx264", Subsampling.YUV422, 8),
        ("yuv444p", "libx264", Subsampling.YUV444, 8),
        ("yuv420p10le", "libx264", Subsampling.YUV420, 10),
        ("yuv422p12le", "libx265", Subsampling.YUV422, 12),
        ("yuv444p16le", "ffv1", Subsampling.YUV444, 16),
        ("yuv420p", "ffv1", Subsampling.YUV420, 8),
    ],
)
def test_planes_are_the_exact_samples(
    tmp_path: Path, pix_fmt: str, codec: str, subsampling: Subsampling, depth: int
) -> None:
    size = (71, 129) if codec == "ffv1" else (72, 128)
    clip = make_clip(
        tmp_path / "clip.mkv", size=size, frames=3, codec=codec, pix_fmt=pix_fmt, lossless=True, audio=False
    )
    frames, source = read_all(clip)
    assert (source.format.size, source.format.subsampling, source.format.depth) == (size, subsampling, depth)
    for number, frame in enumerate(frames):
        for plane, exact in zip(frame.planes, stamped_planes(size, number, subsampling, depth), strict=True):
            np.testing.assert_array_equal(plane, exact)


def test_planes_are_views_that_outlive_the_source(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", size=(70, 122), frames=30, lossless=True, audio=False)
    frames, _ = read_all(clip)
    assert all(plane.base is not None for plane in frames[0].planes)
    assert frames[0].planes[0].strides[0] > 122  # the decoder's own padding: nothing was copied
    gc.collect()
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.planes[0], stamped_planes((70, 122), number)[0])
    with pytest.raises(ValueError, match="read-only"):
        frames[0].planes[0][0, 0] = 1


def test_what_the_file_says_about_the_picture_is_passed_on(tmp_path: Path) -> None:
    colour = Colour(Matrix.BT2020_NCL, CodeRange.FULL, 9, 16)
    clip = make_clip(
        tmp_path / "tags.mov",
        colour=colour,
        sample_aspect_ratio=Fraction(64, 45),
        rotation_degrees=90,
        metadata={"title": "A title"},
    )
    frames, source = read_all(clip)
    assert source.format.colour == colour == frames[0].colour
    assert source.format.sample_aspect_ratio == Fraction(64, 45)
    assert source.format.rotation_degrees == 90
    assert source.format.frame_count == 20
    assert source.notes == []
    assert source.other_tracks is not None
    assert source.other_tracks.metadata["title"] == "A title"
    assert [stream.kind for stream in source.other_tracks.streams] == ["audio"]


def test_colours_that_are_not_tagged_stay_unknown_and_are_noted(tmp_path: Path) -> None:
    _, source = read_all(make_clip(tmp_path / "clip.mp4", frames=2))
    assert source.format.colour.matrix is Matrix.UNKNOWN
    assert source.notes == ["colours not fully tagged; assumed BT.601 matrix and limited range"]


def test_rgb_becomes_yuv_444_in_bt709_limited_range(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "rgb.mkv", codec="ffv1", pix_fmt="bgr0", audio=False, frames=2)
    frames, source = read_all(clip)
    assert source.format.subsampling is Subsampling.YUV444
    assert (source.format.colour.matrix, source.format.colour.code_range) == (Matrix.BT709, CodeRange.LIMITED)
    assert source.notes == ["bgr0 is converted to YUV 4:4:4, BT.709, limited range"]
    for plane, exact in zip(frames[1].planes, stamped_planes((72, 128), 1, Subsampling.YUV444), strict=True):
        assert np.abs(plane[:50].astype(int) - exact[:50]).max() <= 2  # there and back through 8-bit RGB


def test_grey_becomes_yuv_with_neutral_chroma(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "grey.mkv", codec="ffv1", pix_fmt="gray10le", audio=False, frames=2)
    frames, source = read_all(clip)
    assert (source.format.depth, source.format.subsampling) == (10, Subsampling.YUV420)
    assert source.format.colour.code_range is CodeRange.FULL
    assert {int(value) for plane in frames[0].planes[1:] for value in np.unique(plane)} == {512}


def test_full_range_of_motion_jpeg_is_seen(tmp_path: Path) -> None:
    _, source = read_all(make_clip(tmp_path / "clip.avi", codec="mjpeg", pix_fmt="yuvj422p"))
    assert source.format.colour.code_range is CodeRange.FULL
    assert source.format.colour.chroma_location is ChromaLocation.CENTER
    assert source.format.subsampling is Subsampling.YUV422


def test_a_truncated_file_gives_what_is_there_and_says_what_is_missing(tmp_path: Path) -> None:
    whole = make_clip(
        tmp_path / "whole.mp4", frames=50, audio=False, container_options={"movflags": "faststart"}
    )
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 6 // 10])
    source = FileSource(str(cut))
    assert source.format.frame_count == 50
    stamps, errors = read_with_errors(source)
    frames = len(stamps)
    assert stamps == list(range(frames))
    assert [error.endswith("is cut off") for error in errors] == [True]
    assert 5 < frames < 50
    assert source.shortfall == 50 - frames - len(errors)  # each promised picture is counted once
    assert source.notes[-1] == f"the file ends early: it promises 50 pictures and holds {frames + 1}"


def test_a_truncated_matroska_file_is_found_out_by_its_duration(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mkv", frames=100, audio=False)
    _, source = read_all(whole)
    assert source.shortfall == 0
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = FileSource(str(cut))
    stamps, _ = read_with_errors(source)
    assert source.format.frame_count is None
    assert 5 < len(stamps) < 100
    assert source.shortfall == 0  # frames are not counted in it, only time is
    assert source.notes[-1].startswith("the file ends early: it promises 4.00 s and ends at ")


@pytest.mark.parametrize("lost", [False, True])
def test_an_avi_file_promises_the_pictures_that_its_index_has(tmp_path: Path, lost: bool) -> None:
    """It counts turns: where nothing is stored for one, the picture before stays."""
    clip = make_clip(
        tmp_path / "clip.avi",
        codec="mpeg4",
        times=[0, 1, 2, 6, 7, 12, 13],
        time_base=Fraction(1, 25),
        audio=False,
    )
    data = bytearray(clip.read_bytes())
    if lost:
        third = [at for at in range(len(data)) if data[at : at + 4] == b"00dc" and data[at + 4]][2]
        data[third : third + 4] = b"XXXX"
        clip.write_bytes(data)
    source = FileSource(str(clip))
    stamps, _ = read_with_errors(source)
    assert source.format.frame_count == 7
    assert (len(stamps), source.shortfall) == ((6, 1) if lost else (7, 0))
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: data.rindex(b"idx1")])
    assert FileSource(str(cut)).format.frame_count == 14


def test_the_rate_of_raw_dv_is_not_that_of_its_clock(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.dv", size=(576, 720), codec="dvvideo", frames=3, audio=False)
    assert FileSource(str(clip)).format.rate_fps == 25


@pytest.mark.parametrize("broken", [0, 5])
def test_broken_packets_are_reported_and_the_rest_is_read(tmp_path: Path, broken: int) -> None:
    clip = make_clip(tmp_path / "clip.avi", codec="mjpeg", pix_fmt="yuvj420p", frames=20, audio=False)
    data = bytearray(clip.read_bytes())
    start = -1
    for _ in range(broken + 1):
        start = data.index(b"\xff\xd8", start + 1)
    data[start : start + 600] = bytes(600)
    clip.write_bytes(data)
    stamps, errors = read_with_errors(FileSource(str(clip)))
    assert len(errors) == 1
    assert f"{clip}: video packet {broken + 1} (pts {broken}) cannot be decoded" in errors[0]
    assert [stamp for stamp in range(20) if stamp != broken] == stamps


def test_a_change_of_size_is_scaled_to_the_first_size_and_noted(tmp_path: Path) -> None:
    parts = [
        make_clip(tmp_path / f"{n}.ts", size=size, frames=6, audio=False)
        for n, size in enumerate([(72, 128), (144, 256)])
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, source = read_all(joined)
    assert [frame.size for frame in frames] == [(72, 128)] * 12
    assert [read_stamp(frame.planes[0]) for frame in frames] == [*range(6), *range(6)]
    assert any("is 256x144 yuv420p, not 128x72; such pictures are scaled" in note for note in source.notes)
    times = [frame.pts for frame in frames]
    assert times == sorted(set(times))


def test_the_free_clock_of_a_transport_stream_starts_at_zero(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", times=[n * 40 + 90_000 for n in range(10)], audio=False)
    frames, source = read_all(clip)
    assert frames[0].time_seconds == 0
    assert any("clock starts at 90" in note for note in source.notes)


def test_the_best_of_the_other_streams_wait_in_the_tray_only_when_claimed(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", audio=2, subtitles=["one"])
    unclaimed, claimed = FileSource(str(clip)), FileSource(str(clip))
    assert claimed.other_tracks is not None
    assert unclaimed.other_tracks is not None
    claimed.other_tracks.claim()
    assert list(frames_of(unclaimed))
    assert list(frames_of(claimed))
    assert unclaimed.other_tracks.take() == []
    packets = claimed.other_tracks.take()
    assert {index for index, _ in packets} == {1, 2, 3}
    with pytest.raises(ConfigError, match="must be opened before the first frame is read"):
        unclaimed.other_tracks.claim()


def test_standard_input_is_a_source(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=9)
    code = (
        "from streamfx.capture.opening import open_source\n"
        "s = open_source('-'); n = 0\n"
        "while s.read() is not None: n += 1\n"
        "s.close(); print(n)"
    )
    with clip.open("rb") as stdin:
        done = subprocess.run([sys.executable, "-c", code], stdin=stdin, capture_output=True, check=True)
    piped = subprocess.run(
        [sys.executable, "-c", code], input=clip.read_bytes(), capture_output=True, check=True
    )
    late_index = make_clip(tmp_path / "late.mp4", frames=9).read_bytes()
    stored = subprocess.run([sys.executable, "-c", code], input=late_index, capture_output=True, check=True)
    assert done.stdout.strip() == piped.stdout.strip() == stored.stdout.strip() == b"9"


@pytest.mark.parametrize("name", ["clip.mkv", "late_index.mp4"])
def test_a_named_pipe_is_a_source(tmp_path: Path, name: str) -> None:
    data = make_clip(tmp_path / name, frames=9).read_bytes()
    os.mkfifo(tmp_path / "pipe.mkv")
    writer = threading.Thread(target=(tmp_path / "pipe.mkv").write_bytes, args=(data,))
    writer.start()
    frames, _ = read_all(tmp_path / "pipe.mkv")
    writer.join()
    assert [read_stamp(frame.planes[0]) for frame in frames] == list(range(9))


def test_close_may_come_twice_and_from_another_thread_and_leaves_no_file_open(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=200, audio=False)
    before = open_descriptors()
    source = FileSource(str(clip))
    assert source.read() is not None
    closers = [threading.Thread(target=source.close) for _ in range(2)]
    for closer in closers:
        closer.start()
    count = sum(1 for _ in frames_of(source))
    for closer in closers:
        closer.join(5)
    source.close()
    assert count < 200
    assert source.read() is None
    assert open_descriptors() == before


def test_failed_openings_leave_no_file_open(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(os.urandom(4096))
    (tmp_path / "text.txt").write_text("not a video\n" * 50)
    make_clip(tmp_path / "whole.mkv", frames=2)
    before = open_descriptors()
    for name in ("noise.mp4", "text.txt", "none.mp4"):
        with pytest.raises(SourceOpenError):
            FileSource(str(tmp_path / name))
    assert open_descriptors() == before


def _sound_only(folder: Path) -> Path:
    import av

    path = folder / "sound.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _bad_sources(folder: Path) -> Iterator[tuple[str, str]]:
    (folder / "empty.mp4").touch()
    (folder / "noise.mp4").write_bytes(np.random.default_rng(3).bytes(20_000))
    (folder / "text.txt").write_text("not a video\n" * 50)
    (folder / "folder").mkdir()
    yield str(folder / "none.mp4"), f"none.mp4: no such file in {folder}"
    yield str(folder / "no" / "none.mp4"), f"(there is no folder {folder / 'no'} either)"
    yield str(folder / "empty.mp4"), "empty.mp4: is empty (0 bytes)"
    yield str(folder / "noise.mp4"), "noise.mp4: not a video that can be read: Invalid data"
    yield str(folder / "text.txt"), "text.txt: not a video (it looks like text or plain data)"
    yield str(folder / "folder"), "folder: is a folder without pictures"
    yield str(_sound_only(folder)), "sound.wav: no video to read in it (it holds audio)"


def test_what_cannot_be_opened_is_refused_in_one_line_that_says_why(tmp_path: Path) -> None:
    for text, message in _bad_sources(tmp_path):
        with pytest.raises(SourceOpenError) as caught:
            open_source(text)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, OSError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    clip.chmod(0)
    with pytest.raises(SourceOpenError, match="no permission to read it"):
        open_source(str(clip))


def test_without_a_source_those_there_are_are_listed() -> None:
    with pytest.raises(ConfigError, match=r"no source given; it can be a video file .* camera:0"):
        open_source("")


def test_a_name_with_a_colon_or_a_percent_sign_is_just_a_name(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    for name in ("a:b.mp4", "100%.mp4", "ünïcode ☂.mp4"):
        shutil.copy(clip, tmp_path / name)
        frames, _ = read_all(tmp_path / name)
        assert len(frames) == 3
