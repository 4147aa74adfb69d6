"""A source and a sink of one's own can be passed to transcode and live, as docs/embedding.md shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamfx
from streamfx.errors import ConfigError

DOCUMENT = Path(__file__).parent.parent / "docs" / "embedding.md"


def blocks() -> list[str]:
    """Return the Python on the page: the example, and how a picture in RGB becomes planes."""
    return re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def example(*, run: bool) -> dict[str, Any]:
    """Return what the example defines; without its last lines, which run it, unless they are asked for."""
    code, _ = blocks()
    names: dict[str, Any] = {"__name__": "example"}
    code = code.replace('effects=["wave"]', 'effects=["tiny"]')
    exec(code if run else code.partition("kept = Kept()")[0], names)
    return names


@pytest.mark.usefixtures("at_home")
def test_the_example_runs_and_its_frames_went_through_the_effect(capsys: pytest.CaptureFixture[str]) -> None:
    names = example(run=True)
    assert "10 (96, 160)" in capsys.readouterr().out
    assert names["report"].exit_code == 0
    assert names["report"].result.account.encoded == 10


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("asked", [{"start": 0.1}, {"size": "64x"}, {"fps": 10}])
def test_a_source_of_ones_own_is_taken_as_it_comes(asked: dict[str, Any]) -> None:
    source = example(run=False)["MovingBar"]()
    with pytest.raises(ConfigError, match=r"moving bar: a source of one's own is .*leave start, .*fps out"):
        streamfx.transcode(source, "null:", effects=["tiny"], **asked)


@pytest.mark.usefixtures("at_home")
def test_a_live_run_takes_them_too_beside_other_outputs() -> None:
    names = example(run=False)
    kept = names["Kept"]()
    report = streamfx.live(names["MovingBar"](), [kept, "null:"])
    assert report.exit_code == 0
    assert (report.source.name, [output.name for output in report.outputs]) == (
        "moving bar",
        ["kept", "null:"],
    )
    bars = [int(np.argmax(picture[0] > 100)) for picture in kept.pictures]
    assert bars == sorted(bars)
    assert bars


def test_everything_public_is_there_and_importing_loads_none_of_it() -> None:
    for name in streamfx.__all__:
        assert getattr(streamfx, name) is not None
    assert {"transcode", "live", "serve", "Frame", "open_source", "open_effect", "open_sink"} <= set(
        dir(streamfx)
    )


def test_a_picture_in_rgb_becomes_the_planes_that_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(blocks()[1], names)
    assert capsys.readouterr().out.strip() == "(96, 160) 16 128 128"
    white = names["planes"](np.full((2, 2, 3), 255, np.uint8))
    assert [int(plane[0, 0]) for plane in white] == [235, 128, 128]
    red = names["planes"](np.array([[[255, 0, 0]]], np.uint8))
    assert [int(plane[0, 0]) for plane in red] == [81, 90, 240]
