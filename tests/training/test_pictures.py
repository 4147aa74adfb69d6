"""Training pictures: split by source, broken ones skipped, crops and windows."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.pictures import Crop, find_stills, window_side


def write_pictures(folder: Path, count: int, side: int = 64) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:02}.png"), rng.integers(0, 256, (side, side, 3), np.uint8))


def test_crops_of_one_source_are_all_held_out_or_none(tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos", 40)
    rows = ["file,package,source_image,licence"]
    rows += [f"photos/{number:02}.png,pack,source{number // 4}.jpg,CC0-1.0" for number in range(40)]
    (tmp_path / "index.csv").write_text("\n".join(rows))
    stills = find_stills([tmp_path / "photos"])
    assert {still.licence for still in stills} == {"CC0-1.0"}
    held = {still.source for still in stills if still.held_out}
    trained = {still.source for still in stills if not still.held_out}
    assert not held & trained
    assert len(held | trained) == 10


def test_without_an_index_each_file_is_its_own_source_and_words_exclude(tmp_path: Path) -> None:
    write_pictures(tmp_path / "kept", 3)
    write_pictures(tmp_path / "research", 2)
    stills = find_stills([tmp_path], exclude=["research"])
    assert [still.source for still in stills] == ["00.png", "01.png", "02.png"]


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0])
@pytest.mark.parametrize("place", [(0, 0), (176, 90), (100, 176)])
def test_a_window_holds_its_crop_and_is_whole_strides_when_reduced(
    factor: float, place: tuple[int, int]
) -> None:
    rng = np.random.default_rng(2)
    crop = Crop(rng.integers(0, 256, (384, 384, 3), np.uint8), *place, 208)
    for shift in ((0, 0), (-6, 5)):
        window, top, left = crop.window(factor, shift)
        side = window_side(208, factor)
        assert window.shape == (3, side, side)
        assert (side / factor) % 4 == 0
        assert (window[:, top : top + 208, left : left + 208] == crop.rgb()).all()
