"""Windows that were looked at: how they are read, and what is counted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.networks import constant_classifier
from training.evaluation.looked import Looked, looked_section, read_looked
from training.pictures import find_stills

HEADER = "file,top,left,background,damage,first,second\n"


def write_table(folder: Path) -> Path:
    table = folder / "looks.csv"
    lines = [
        "photos/a.png,0,4,1,[],good,good",
        'photos/a.png,8,0,0,"[[""gaussian_blur"", {""kernel"": 13}]]",poor,medium',
        "photos/gone.png,0,0,0,[],good,good",
    ]
    table.write_text(HEADER + "\n".join(lines) + "\n")
    return table


def looked(first: int, second: int, *, background: bool = False, damaged: bool = False) -> Looked:
    return Looked(np.zeros((32, 32, 3), np.uint8), (first, second), background, damaged)


def test_windows_are_cut_and_damaged_as_the_table_says(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    picture = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), picture)
    rgb = picture[..., ::-1]
    first, second = read_looked(write_table(tmp_path), find_stills([tmp_path / "photos"]))
    assert (first.picture == rgb[:192, 4:196]).all()
    assert (first.looks, first.background, first.damaged) == ((2, 2), True, False)
    assert (second.looks, second.background, second.damaged) == ((0, 1), False, True)
    assert second.picture.std() < 0.2 * rgb.std()


def test_only_windows_on_which_both_looks_agree_count() -> None:
    windows = [looked(2, 2, background=True), looked(0, 0, damaged=True), looked(1, 1), looked(0, 1)]
    section = looked_section(constant_classifier(2), windows)
    rows = {row[0]: row[1:] for row in section.rows}
    assert "agree on 75.0% of them" in section.note
    assert rows["all"] == [3, pytest.approx(1 / 3), 0, 1]
    assert rows["backgrounds"] == [1, 1, 0, None]
    assert rows["not damaged"] == [2, 0.5, 0, None]


def test_good_windows_taken_for_less_are_refused_and_poor_ones_stopped() -> None:
    windows = [looked(2, 2), looked(0, 0), looked(0, 0)]
    rows = {row[0]: row[1:] for row in looked_section(constant_classifier(0), windows).rows}
    assert rows["all"] == [3, pytest.approx(2 / 3), 1, 0]
