"""Sound of a live source: never back in time, whatever senders do, so that every container holds it."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from streamfx.capture.live.audio import LiveTracks
from streamfx.capture.pattern import PatternSource
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import open_sink
from streamfx.media.tracks import OtherTrack, OtherTracks

CLIP = Path(__file__).parents[2] / "clips" / "bigbuckbunny.mp4"
BASE = Fraction(1, 90_000)  # of MPEG-TS, finer than the 1/48000 that MP4 counts sound in


def sound(source: Any, count: int) -> list[Any]:
    """Return so many packets of the clip's sound, timed as MPEG-TS does."""
    packets: list[Any] = []
    source.seek(0)
    for packet in source.demux(audio=0):
        if packet.size and len(packets) < count:
            ticks = round(packet.dts * packet.time_base / BASE)
            packet.duration = round(packet.duration * packet.time_base / BASE)
            packet.pts = packet.dts = ticks
            packet.time_base = BASE
            packets.append(packet)
    return packets


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("back_seconds", [Fraction(1, 10), Fraction(3, 10_000), Fraction(0)])
def test_sound_of_a_sender_that_was_started_anew_goes_into_every_file(
    tmp_path: Path, ending: str, back_seconds: Fraction
) -> None:
    pictures = PatternSource("test:bars?size=64x48&fps=25&frames=50")
    with av.open(str(CLIP)) as source:
        stream = source.streams.audio[0]
        other_tracks = OtherTracks((OtherTrack(stream.index, "audio", stream.codec_context.name, stream),))
        sink = open_sink(
            str(tmp_path / f"out.{ending}"),
            format=pictures.format,
            other_tracks=other_tracks,
            encoding=Encoding(preset="ultrafast"),
        )
        other_tracks.start()
        beside, end_seconds = LiveTracks(other_tracks), Fraction(0)
        for _ in range(2):
            for packet in sound(source, 40):
                beside.put(packet, stream.index, end_seconds)
            end_seconds = packet.dts * BASE + packet.duration * BASE - back_seconds
        while (frame := pictures.read()) is not None:
            assert sink.write(frame) is None
        sink.finish()
    with av.open(str(tmp_path / f"out.{ending}")) as written:
        times = [
            packet.dts * packet.time_base
            for packet in written.demux(audio=0)
            if packet.size and packet.dts is not None
        ]
    length = Fraction(1024, 48_000)
    assert all(late - early > length / 3 for early, late in pairwise(times))
    left_out = 80 - len(times)
    assert left_out == (5 if back_seconds == Fraction(1, 10) else 0)
    said = [f"{left_out} packets of sound came for times that had sound already; left out"]
    assert beside.notes() == (said if left_out else [])


def test_packets_that_do_not_say_how_long_they_last_never_have_the_same_time() -> None:
    with av.open(str(CLIP)) as source:
        stream = source.streams.audio[0]
        other_tracks = OtherTracks((OtherTrack(stream.index, "audio", "aac", stream),))
        beside = LiveTracks(other_tracks)
        for packet in sound(source, 10):
            packet.duration = 0
            packet.pts = packet.dts = packet.dts // 4  # half a dozen milliseconds apart
            beside.put(packet, stream.index, Fraction(0))
            beside.put(packet, stream.index, Fraction(0))
        assert len(other_tracks.take()) == 10


def test_sound_before_the_first_picture_has_nothing_to_be_in_step_with() -> None:
    with av.open(str(CLIP)) as source:
        stream = source.streams.audio[0]
        other_tracks = OtherTracks((OtherTrack(stream.index, "audio", "aac", stream),))
        beside = LiveTracks(other_tracks)
        first, second = sound(source, 2)
        beside.put(first, stream.index, None)
        beside.put(second, stream.index, Fraction(-1))
        assert other_tracks.take() == []
