"""Decoding times of coded pictures follow from the times at which the pictures are shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from streamfx.capture.opening import open_source
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.picture_times import state_decoding_times
from streamfx.encode.opening import open_sink


@pytest.mark.parametrize(
    ("shown", "decoded"),
    [
        ([7], [7]),
        ([0, 5], [0, 5]),
        ([0, 30, 10, 20], [-10, 0, 10, 20]),
        ([0, 40, 20, 10, 30], [-20, -10, 0, 10, 20]),
    ],
)
def test_decoding_is_as_late_as_the_order_of_the_pictures_allows(
    shown: list[int], decoded: list[int]
) -> None:
    packets: list[av.Packet[Any]] = [av.Packet(1) for _ in shown]
    for packet, pts in zip(packets, shown, strict=True):
        packet.pts, packet.dts = pts, 1 << 56
    state_decoding_times(packets)
    assert [packet.dts for packet in packets] == decoded
    assert all(at <= pts for at, pts in zip(decoded, shown, strict=True))


@pytest.mark.parametrize("pictures", [1, 2])
def test_hevc_films_shorter_than_the_delay_of_the_encoder_begin_at_zero(
    tmp_path: Path, pictures: int
) -> None:
    path = tmp_path / "out.mp4"
    for _ in range(10):  # x265 states memory it never set: seldom zero once other films were encoded
        source = open_source(f"test:bars?size=64x48&fps=25&frames={pictures}")
        sink = open_sink(str(path), format=source.format, encoding=Encoding(codec="h265", overwrite=True))
        for frame in iter(source.read, None):
            sink.write(frame)
        sink.finish()
        with av.open(path) as film:
            packets = [packet for packet in film.demux(video=0) if packet.size]
        base = packets[0].time_base
        assert [(packet.pts or 0) * base for packet in packets] == [
            Fraction(at, 25) for at in range(pictures)
        ]
        assert [packet.dts for packet in packets] == [packet.pts for packet in packets]
