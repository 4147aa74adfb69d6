"""Checkpoints between segments: reading, the search for cuts and routes go on as if never broken off."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from streamfx.capture.files.file import FileSource
from streamfx.capture.files.preparation import Preparation
from streamfx.capture.shots import ShotSource
from streamfx.errors import SourceLostError, SourceOpenError
from streamfx.generate.routed import Routed
from streamfx.media.frame import Frame
from streamfx.resume.checkpoint import Checkpoint, CheckpointRecorder, restore
from tests import media
from tests.scenes import scene_frame, write_clip

SCENES = [(1, "red", 9), (2, "blue", 7), (3, "grey", 2), (2, "blue", 8), (4, "red", 12)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with cuts and a flash."""
    frames = [scene_frame(number, time, tint) for number, tint, count in SCENES for time in range(count)]
    frames[27] = scene_frame(9, 0, "grey", glare=90)
    return write_clip(tmp_path_factory.mktemp("film") / "in.mkv", frames)


class ByColour:
    """A classifier that goes by the tint."""

    def probabilities(self, frame: Frame) -> dict[str, float]:
        red = min(max(float(frame.planes[2].mean()) / 64 - 1.5, 0), 1)
        return {"photo": red, "painting": 1 - red}


def routed() -> Routed:
    options = {kind: SimpleNamespace(name=f"for {kind}") for kind in ("photo", "painting")}
    return Routed("route", cast(Any, options), cast(Any, ByColour()))


def test_a_run_that_begins_at_any_frame_decides_as_one_from_the_beginning(film: Path) -> None:
    whole = routed()
    inner = FileSource(str(film), threads=1)
    source = ShotSource(inner, [whole.look])
    recorder = CheckpointRecorder(source, inner, [whole], Checkpoint())
    shots, checkpoint = [], []
    while True:
        memory = recorder.memory()
        frame = source.read()
        if frame is None:
            break
        checkpoint.append(recorder.checkpoint(memory))
        recorder.passed(frame)
        shots.append(frame.shot)
    source.close()
    assert len(set(shots)) == 3  # what is there for a moment is none
    assert len(whole.choices) == 3
    for begins in range(0, len(shots), 3):
        now = routed()
        inner = FileSource(str(film), threads=1)
        source = ShotSource(inner, [now.look])
        before = Checkpoint.model_validate_json(checkpoint[begins].model_dump_json())
        assert restore(before, source, inner, [now]).spared  # sought, not read from the beginning
        rest = []
        while (frame := source.read()) is not None:
            rest.append((frame.index, frame.shot))
        source.close()
        assert rest == list(enumerate(shots))[begins:]
        assert now.choices == whole.choices
        assert now.looks == whole.looks


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("sought", [False, True])
def test_checkpoints_of_a_run_that_goes_on_are_those_of_one_from_the_beginning(
    film: Path, alike: bool, sought: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileSource, "can_seek", sought)
    shown_again = Preparation(rate_fps=Fraction(80))

    def rest(begins: Checkpoint) -> list[tuple[int, bool, Checkpoint]]:
        """Return number, whether shown again, and checkpoint of each frame from a place on."""
        source = FileSource(str(film), threads=1, preparation=shown_again)
        restored = restore(begins, source, source, [], alike=alike)
        assert restored.spared is (sought or not begins.frames)
        recorder = CheckpointRecorder(source, source, [], begins, 3, alike=alike, last_frames=restored.frames)
        found = list[tuple[int, bool, Checkpoint]]()
        while True:
            memory = recorder.memory()
            if (frame := source.read()) is None:
                source.close()
                return found
            found.append((frame.index, frame.again, recorder.checkpoint(memory)))
            recorder.passed(frame)

    whole = rest(Checkpoint())
    places = [number for number, again, _ in whole if not again]
    assert len(places) < len(whole) / 3
    for place in places[::7]:
        assert rest(whole[place][2]) == whole[place:]
    at = whole[places[9]][2]
    assert [pts for pts, _ in at.fingerprints] == (
        places[5:9] if alike else list(range(places[9] - 4, places[9]))
    )


def checkpoint_at(source: FileSource, count: int) -> Checkpoint:
    """Return the checkpoint of a frame, which is read."""
    recorder = CheckpointRecorder(source, source, [], Checkpoint())
    for _ in range(count):
        frame = source.read()
        assert frame is not None
        recorder.passed(frame)
    memory = recorder.memory()
    source.read()
    return recorder.checkpoint(memory)


@pytest.mark.parametrize("spoilt", [False, True])
def test_frames_before_that_are_not_the_same_are_read_from_the_beginning(
    tmp_path: Path, spoilt: bool
) -> None:
    film = media.make_clip(tmp_path / "in.mp4", frames=50, options={"g": "10"})
    source = FileSource(str(film), threads=2)
    checkpoint = checkpoint_at(source, 33)
    expected = source.read()
    source.close()
    if spoilt:
        changed = [(pts, checksum ^ 1) for pts, checksum in checkpoint.fingerprints]
        checkpoint = checkpoint.model_copy(update={"fingerprints": tuple(changed)})
    source = FileSource(str(film), threads=2)
    restored = restore(checkpoint, source, source, [])
    assert restored.spared is not spoilt
    assert [frame.index for frame in restored.frames] == [29, 30, 31, 32]
    source.read()
    found = source.read()
    source.close()
    assert expected is not None
    assert found is not None
    assert (found.index, found.pts) == (34, expected.pts)
    assert all(map(np.array_equal, found.planes, expected.planes))


def test_a_film_in_which_ffmpeg_cannot_move_forward_is_read_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = media.make_clip(tmp_path / "in.mp4", frames=50, options={"g": "10"})
    source = FileSource(str(film), threads=2)
    checkpoint = checkpoint_at(source, 33)
    source.close()
    source, seek = FileSource(str(film), threads=2), FileSource.seek

    def only_back(self: FileSource, seconds: Fraction) -> None:
        if seconds > 0:
            raise SourceOpenError("FFmpeg cannot move to a place in it")
        seek(self, seconds)

    monkeypatch.setattr(FileSource, "seek", only_back)
    assert not restore(checkpoint, source, source, []).spared
    found = source.read()
    source.close()
    assert found is not None
    assert found.index == 33


def test_a_film_that_became_shorter_is_told(tmp_path: Path) -> None:
    source = FileSource(str(media.make_clip(tmp_path / "in.mp4", frames=5)))
    with pytest.raises(SourceLostError, match="ends before frame 9"):
        restore(Checkpoint(frames=9), source, source, [])
    source.close()
