"""The picture of the figures: a PNG of the right size with something on it; refused before it is needed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import pytest
from numpy.typing import NDArray

from streamfx.bench.plot import check_plot, write_plot
from streamfx.errors import ConfigError, SinkError
from tests.bench.figures import result, row


def picture(path: Path) -> NDArray[Any]:
    assert path.read_bytes().startswith(b"\x89PNG")
    found = cv2.imread(str(path))
    assert found is not None
    return found


def test_the_picture_grows_with_its_rows_and_shows_a_bar_for_each_level(tmp_path: Path) -> None:
    few = [row(level=level) for level in ("model", "resident", "pipeline")]
    many = few + [row(20.0, effect=f"effect{number}") for number in range(5)]
    heights = []
    for rows in (few, many):
        write_plot(result(*rows), tmp_path / "now.png")
        shown = picture(tmp_path / "now.png")
        assert shown.shape[1] == 1210
        for bgr in ((173, 163, 143), (197, 136, 63), (91, 73, 209)):  # of the three levels
            assert (shown == bgr).all(axis=2).sum() > 1000
        heights.append(shown.shape[0])
    assert heights[1] - heights[0] == pytest.approx(5 * 0.36 * 110, abs=2)


def test_a_row_without_p99_is_drawn_without_its_line(tmp_path: Path) -> None:
    for p99_ms in (None, 40.0):
        write_plot(result(row().model_copy(update={"p99_ms": p99_ms})), tmp_path / f"{p99_ms}.png")
    without, with_line = (picture(tmp_path / f"{p99_ms}.png") for p99_ms in (None, 40.0))
    assert (without == 0).all(axis=2).sum() < (with_line == 0).all(axis=2).sum()


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"now\.png: cannot write the picture: No such file"):
        write_plot(result(row()), tmp_path / "nowhere" / "now.png")


def test_a_missing_library_or_another_ending_is_told_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    check_plot(Path("now.png"))
    with pytest.raises(
        ConfigError, match=r"--plot writes a PNG picture: call it now\.png instead of now\.svg"
    ):
        check_plot(Path("now.svg"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"--plot needs matplotlib: pip install 'streamfx\[bench\]'"):
        check_plot(Path("now.png"))
