"""Pictures as they come out of preparation: whole, upright, cut as they are to be shown."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamfx.capture.files.file import FileSource
from streamfx.capture.files.orientation import turn_of_matrix, turn_of_photo
from streamfx.capture.files.preparation import Preparation
from streamfx.encode.files.verify import verify_output
from streamfx.media.frame import Frame
from streamfx.media.notes import Converted, left_out
from streamfx.media.photo_metadata import made_upright, read_exif
from tests.media import make_clip, stamped_planes
from tests.passing import pass_file

SIZE = (64, 96)


def read_all(path: Path, preparation: Preparation | None = None) -> tuple[list[Frame], FileSource]:
    source = FileSource(str(path), preparation=preparation)
    frames = list(iter(source.read, None))
    source.close()
    return frames, source


def woven(path: Path, *, top_first: bool = True, progressive: int = 0, frames: int = 6) -> Path:
    """Write a film in which a bright bar moves, each picture woven of two moments; the first ones whole."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("ffv1", rate=25)
        video.codec_context.height, video.codec_context.width = SIZE
        video.codec_context.pix_fmt = "yuv420p"
        flag = av.filter.Graph()
        source = flag.add_buffer(
            width=SIZE[1], height=SIZE[0], format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25)
        )
        field = flag.add("setfield", "tff" if top_first else "bff")
        source.link_to(field)
        field.link_to(flag.add("buffersink"))
        flag.configure()
        for number in range(frames):
            picture = av.VideoFrame(SIZE[1], SIZE[0], "yuv420p")
            luma = np.full(SIZE, 40, np.uint8)
            first, second = (0, 1) if top_first else (1, 0)
            whole = number < progressive
            luma[first::2, 8 * number : 8 * number + 16] = 200
            luma[second::2, 8 * number + 4 * (not whole) : 8 * number + 16 + 4 * (not whole)] = 200
            for plane, samples in zip(
                picture.planes, (luma, *2 * [np.full((32, 48), 128, np.uint8)]), strict=True
            ):
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
                rows[:, : samples.shape[1]] = samples
            picture.pts, picture.time_base = number, Fraction(1, 25)
            if not whole:
                flag.vpush(picture)
                picture = flag.vpull()
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    return path


def combed(frame: Frame) -> bool:
    """Return whether neighbouring rows differ more than rows of one field."""
    luma = frame.planes[0].astype(int)
    between = np.abs(luma[1:-1] - luma[2:]).mean()
    within = np.abs(luma[:-2] - luma[2:]).mean()
    return bool(between > within + 1)


@pytest.mark.parametrize("top_first", [True, False])
def test_interlaced_pictures_are_made_whole_at_their_rate_and_it_is_said(
    tmp_path: Path, top_first: bool
) -> None:
    clip = woven(tmp_path / "clip.mkv", top_first=top_first)
    frames, source = read_all(clip)
    assert [frame.time_seconds for frame in frames] == [Fraction(number, 25) for number in range(6)]
    assert not any(combed(frame) for frame in frames[1:-1])
    assert any(isinstance(note, Converted) and "deinterlaced" in note for note in source.notes)
    assert source.format.top_field_first is None
    kept, _ = read_all(clip, Preparation(deinterlace="off"))
    assert all(combed(frame) for frame in kept)


def test_a_film_that_becomes_interlaced_is_made_whole_from_there_on(tmp_path: Path) -> None:
    clip = woven(tmp_path / "clip.mkv", progressive=3, frames=8)
    frames, source = read_all(clip)
    assert len(frames) == 8
    assert not any(combed(frame) for frame in frames[:-1])
    assert any("deinterlaced" in note for note in source.notes)


def test_whole_pictures_that_are_flagged_wrongly_can_be_deinterlaced_by_name(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", size=SIZE, frames=3, audio=False, lossless=True)
    plain, _ = read_all(clip)
    forced, source = read_all(clip, Preparation(deinterlace="yadif"))
    assert len(forced) == 3
    assert any("deinterlaced" in note for note in source.notes)
    np.testing.assert_array_equal(plain[1].planes[0], stamped_planes(SIZE, 1)[0])


@pytest.mark.parametrize(
    ("target", "codec"), [("out.mp4", "h264"), ("out.mkv", "ffv1"), ("out.mov", "prores")]
)
@pytest.mark.parametrize("top_first", [True, False])
def test_fields_that_are_kept_are_flagged(tmp_path: Path, target: str, codec: str, top_first: bool) -> None:
    clip = woven(tmp_path / "clip.mkv", top_first=top_first)
    sink = pass_file(clip, tmp_path / target, codec=codec, preparation=Preparation(deinterlace="off"))
    assert verify_output(sink.path, sink.expected()) == []
    with av.open(str(sink.path)) as file:
        assert all(picture.interlaced_frame for picture in file.decode(video=0))
    assert left_out(sink.notes) == []


def test_fields_that_are_kept_and_cannot_be_flagged_are_named(tmp_path: Path) -> None:
    clip = woven(tmp_path / "clip.mkv")
    sink = pass_file(clip, tmp_path / "out.webm", preparation=Preparation(deinterlace="off"))
    assert left_out(sink.notes) == ["that pictures are interlaced is left out: vp9 does not say it"]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_are_turned_upright_where_that_is_asked_for(tmp_path: Path, degrees: int) -> None:
    clip = make_clip(
        tmp_path / "clip.mp4",
        size=SIZE,
        frames=3,
        rotation_degrees=degrees,
        lossless=True,
        audio=False,
        sample_aspect_ratio=Fraction(4, 3),
    )
    frames, source = read_all(clip, Preparation(upright=True))
    for number, frame in enumerate(frames):
        luma = np.rot90(stamped_planes(SIZE, number)[0], degrees // 90)  # counter-clockwise, as FFmpeg counts
        np.testing.assert_array_equal(frame.planes[0], luma)
    assert source.format.rotation_degrees == 0
    assert source.other_tracks is not None
    assert source.other_tracks.display_matrix is None
    assert source.format.sample_aspect_ratio == (Fraction(4, 3) if degrees == 180 else Fraction(3, 4))
    as_coded, source = read_all(clip)
    assert as_coded[0].size == SIZE
    assert source.format.rotation_degrees % 360 == degrees


def test_a_turn_that_is_no_quarter_is_named(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=SIZE, frames=2, rotation_degrees=30, audio=False)
    frames, source = read_all(clip, Preparation(upright=True))
    assert frames[0].size == SIZE
    assert len(left_out(source.notes)) == 1
    assert "is not turned upright" in left_out(source.notes)[0]


def test_mirrored_pictures_are_known_by_their_matrix() -> None:
    one = 1 << 16
    assert turn_of_matrix((-one, 0, 0, 0, one, 0, 0, 0, 1 << 30)) == (("hflip", ""),)
    assert turn_of_matrix((0, one, 0, one, 0, 0, 0, 0, 1 << 30)) == (("transpose", "cclock_flip"),)
    assert turn_of_matrix((one // 2, 0, 0, 0, one, 0, 0, 0, 1 << 30)) is None


def exif(number: int, order: str = "<") -> bytes:
    """Return EXIF data that says an orientation, after another entry."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHIHH", 0x010F, 3, 1, 0, 0) + struct.pack(
        f"{order}HHIHH", 0x0112, 3, 1, number, 0
    )
    return head + struct.pack(f"{order}IH", 8, 2) + entries + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
def test_photographs_say_their_orientation_in_each_kind_of_file(order: str) -> None:
    data = exif(6, order)
    jpeg = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(data) + 8) + b"Exif\0\0" + data + b"\xff\xda\0\2"
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(data)) + b"eXIf" + data + bytes(4)
    webp = b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", len(data)) + data
    for photo in (jpeg, png, webp, data):
        assert turn_of_photo(read_exif(photo)) == (("transpose", "clock"),)
        assert turn_of_photo(made_upright(read_exif(photo))) == ()
        assert turn_of_photo(read_exif(photo[: len(photo) // 2])) == ()
    assert turn_of_photo(read_exif(b"")) == turn_of_photo(read_exif(b"GIF89a")) == ()


def test_a_picture_that_is_cut_at_the_left_shows_no_more_than_it_should(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.h264", size=(80, 128), frames=3, audio=False, lossless=True)
    cut = tmp_path / "cut.mp4"
    with av.open(str(clip)) as whole, av.open(str(cut), "w") as out:
        crop = av.bitstream.BitStreamFilterContext(
            "h264_metadata=crop_left=20:crop_top=6", whole.streams.video[0]
        )
        target = out.add_stream_from_template(whole.streams.video[0], opaque=True)
        packets = [packet for packet in whole.demux() if packet.size]
        for packet in [part for each in packets for part in crop.filter(each)]:
            packet.stream = target
            out.mux(packet)
    frames, _ = read_all(cut)
    assert [frame.size for frame in frames] == [(74, 108)] * 3
    np.testing.assert_array_equal(frames[0].planes[0], stamped_planes((80, 128), 0)[0][6:, 20:])
