"""Tags, flags and chapters: kept, or named where the container does not hold them."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.stream import Disposition

import streamfx
from streamfx.media.notes import left_out
from tests.media import make_clip
from tests.passing import pass_file, pass_through

TAGS = {"title": "A title", "artist": "Somebody", "comment": "Odd"}


@pytest.mark.parametrize("source", ["in.mkv", "in.mp4", "in.mov"])
@pytest.mark.parametrize("target", ["out.mkv", "out.mp4", "out.mov"])
def test_ordinary_tags_and_chapters_are_kept_and_nothing_is_said(
    tmp_path: Path, source: str, target: str
) -> None:
    clip = make_clip(
        tmp_path / source, frames=5, metadata=TAGS, chapters=["one", "two"], audio_language="ger"
    )
    assert left_out(pass_file(clip, tmp_path / target).notes) == []


def test_tags_that_a_container_does_not_hold_are_named(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=5, metadata={**TAGS, "DIRECTOR": "Her", "MOOD": "calm"})
    assert left_out(pass_file(clip, tmp_path / "out.mkv").notes) == []
    said = left_out(pass_file(clip, tmp_path / "out.mp4").notes)
    assert said == ["tags are left out, as .mp4 does not hold them: DIRECTOR, MOOD"]


@pytest.mark.parametrize(
    ("target", "ending"), [("out.ts", ".ts"), ("out.gif", ".gif"), ("one.png", "a picture")]
)
def test_files_without_tags_name_all_that_is_lost(tmp_path: Path, target: str, ending: str) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=1, metadata=TAGS, chapters=["one"])
    said = left_out(pass_through(clip, tmp_path / target).notes)
    assert f"chapters are left out, as {ending} holds none" in said
    assert any(f"tags are left out, as {ending} holds none: ARTIST, COMMENT, title" in note for note in said)
    assert any("stream 1" in note for note in said) == (target != "out.ts")


@pytest.mark.parametrize("audio", ["auto", "pcm", "flac"])
def test_flags_that_a_container_does_not_hold_are_named_also_where_all_sound_is_converted(
    tmp_path: Path, audio: str
) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=5)
    flagged = tmp_path / "flagged.mkv"
    with av.open(str(clip)) as source, av.open(str(flagged), "w") as out:
        targets = [out.add_stream_from_template(stream) for stream in source.streams]
        targets[1].disposition = Disposition.forced
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = targets[packet.stream.index]
                out.mux(packet)
    report = streamfx.transcode(flagged, tmp_path / "out.nut", audio=audio)
    assert report.left_out == ("flags are left out, as .nut does not hold them: forced of stream 1",)
