"""Languages of tracks in MP4 and MOV."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from streamfx.media.notes import left_out
from tests.media import make_clip
from tests.passing import pass_file


@pytest.mark.parametrize("target", ["out.mov", "out.mp4"])
@pytest.mark.parametrize(
    ("language", "mov"), [("deu", "ger"), ("fra", "fre"), ("eng", "eng"), ("gsw", "gsw"), ("fil", "fil")]
)
def test_the_language_of_a_track_is_kept(tmp_path: Path, target: str, language: str, mov: str) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=3, audio_language=language)
    sink = pass_file(clip, tmp_path / target)
    with av.open(str(sink.path)) as file:
        found = file.streams.audio[0].metadata.get("language")
    assert found == (mov if target == "out.mov" else language)
    assert left_out(sink.notes) == []


def test_a_language_that_is_no_three_letters_is_named(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=3, audio_language="de-AT")
    sink = pass_file(clip, tmp_path / "out.mp4")
    assert left_out(sink.notes) == [
        "the language of stream 1 (audio, aac, de-AT) is left out: .mp4 states three letters"
    ]
