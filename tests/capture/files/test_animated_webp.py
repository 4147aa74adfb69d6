"""Animated WebP: every picture whole, with its time, alpha and all."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamfx.capture.files.animated_webp import AnimatedWebpSource
from streamfx.capture.files.preparation import Preparation
from streamfx.capture.opening import open_source
from streamfx.errors import DecodeError, SourceOpenError
from streamfx.media.frame import Frame
from streamfx.media.notes import left_out

SIZE = (24, 32)


def coded(rgba: np.ndarray[Any, Any]) -> bytes:
    """Return a picture as the chunk of a lossless WebP file."""
    encoder: Any = av.CodecContext.create("libwebp", "w")
    encoder.height, encoder.width, _ = rgba.shape
    encoder.pix_fmt, encoder.time_base, encoder.options = "bgra", Fraction(1, 25), {"lossless": "1"}
    frame = av.VideoFrame.from_ndarray(rgba, "rgba").reformat(format="bgra")
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    at = data.index(b"VP8L")
    return data[at : at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")]


def number(value: int) -> bytes:
    return value.to_bytes(3, "little")


def animation(path: Path, parts: list[tuple[np.ndarray[Any, Any], int, int, int, int]]) -> Path:
    """Write pictures, each with its place (top, left), duration in milliseconds and flags."""
    body = b"VP8X" + struct.pack("<I", 10) + b"\x12\0\0\0" + number(SIZE[1] - 1) + number(SIZE[0] - 1)
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    for rgba, top, left, duration_ms, flags in parts:
        height, width, _ = rgba.shape
        inner = number(left // 2) + number(top // 2) + number(width - 1) + number(height - 1)
        inner += number(duration_ms) + bytes([flags]) + coded(rgba)
        body += b"ANMF" + struct.pack("<I", len(inner)) + inner + bytes(len(inner) % 2)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)
    return path


def flat(size: tuple[int, int], *colour: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((*size, 4), colour, np.uint8)


def read_all(path: Path, *, alpha: bool = False) -> tuple[list[Frame], AnimatedWebpSource]:
    source = open_source(str(path), preparation=Preparation(alpha=alpha))
    assert isinstance(source, AnimatedWebpSource)
    return list(iter(source.read, None)), source


def luma_at(frame: Frame, y: int, x: int) -> int:
    return int(frame.planes[0][y, x])


def test_pictures_are_laid_over_each_other_with_their_times(tmp_path: Path) -> None:
    clip = animation(
        tmp_path / "in.webp",
        [
            (flat(SIZE, 0, 0, 0, 255), 0, 0, 100, 0),
            (flat((8, 8), 255, 255, 255, 255), 4, 6, 40, 0),
            (flat((8, 8), 255, 255, 255, 128), 14, 20, 0, 0),  # no delay is meant for a tenth of a second
        ],
    )
    frames, source = read_all(clip)
    assert [frame.pts for frame in frames] == [0, 100, 140]
    assert [frame.duration for frame in frames] == [100, 40, 100]
    assert source.format.duration_seconds == 0.24
    assert source.format.frame_count == 3
    assert [luma_at(frame, 6, 8) for frame in frames] == [16, 235, 235]
    assert [luma_at(frame, 16, 22) for frame in frames] == [16, 16, pytest.approx(126, abs=2)]
    assert left_out(source.notes) == []


def test_places_are_emptied_and_replaced_as_the_file_says(tmp_path: Path) -> None:
    clip = animation(
        tmp_path / "in.webp",
        [
            (flat(SIZE, 200, 0, 0, 0), 0, 0, 50, 0),
            (flat((8, 8), 255, 255, 255, 255), 0, 0, 50, 1),  # emptied afterwards
            (flat((8, 8), 255, 255, 255, 100), 8, 8, 50, 2),  # replaces what is there
        ],
    )
    frames, source = read_all(clip, alpha=True)
    assert source.format.alpha
    assert source.format.rate_fps == 20
    shown = [frame.alpha for frame in frames if frame.alpha is not None]
    assert [int(alpha[2, 2]) for alpha in shown] == [0, 255, 0]
    assert int(shown[2][10, 10]) == 100
    _, source = read_all(clip)
    assert left_out(source.notes) == ["alpha is left out: the output does not hold it"]


def test_a_broken_picture_fails_alone(tmp_path: Path) -> None:
    clip = animation(
        tmp_path / "in.webp", [(flat(SIZE, shade, 0, 0, 255), 0, 0, 50, 0) for shade in (10, 120, 250)]
    )
    data = bytearray(clip.read_bytes())
    second = data.index(b"VP8L", data.index(b"VP8L") + 1)
    data[second + 8 : second + 20] = bytes(12)
    clip.write_bytes(data)
    source = open_source(str(clip))
    assert source.read() is not None
    with pytest.raises(DecodeError, match="picture 2: cannot be decoded"):
        source.read()
    last = source.read()
    assert last is not None
    assert last.pts == 100
    assert source.read() is None


def test_an_animation_without_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceOpenError, match="no picture in it"):
        open_source(str(animation(tmp_path / "in.webp", [])))
