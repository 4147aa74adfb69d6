"""The pool of a training: closed when the training ends, with the count of what could not be read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training import test_distil, test_style
from training import distil, style
from training.pictures import find_stills


def style_training(folder: Path) -> None:
    style.train(test_style.toy_options(folder, crops=30, batch=6, released_steps=3))


def distil_training(folder: Path) -> None:
    options = test_distil.toy_options(folder, crops=30, steps=4)
    distil.distil(options, distil.read_teacher(options)[1])


@pytest.mark.parametrize("training", [style_training, distil_training])
def test_a_training_stops_reading_at_its_end_and_counts_what_could_not_be_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    training: Callable[[Path], None],
) -> None:
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (96,))
    monkeypatch.setattr("training.style.STYLE_SHORT_SIDE", 40)
    broken = tmp_path / "photos" / "broken.png"
    broken.parent.mkdir()
    broken.write_bytes(b"no picture")
    assert not find_stills([broken.parent])[0].held_out
    training(tmp_path)
    assert not [one.name for one in threading.enumerate() if one.name.startswith("streamfx-pool")]
    assert "1 pictures or clips could not be used" in caplog.text
