"""The score of quality, its classes, and the selection of good pictures."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import pytest

from tests.networks import constant_classifier
from tests.training.test_pictures import write_pictures
from training.degrade import gaussian_blur, jpeg
from training.pictures import Picture, find_stills, read_still
from training.quality import CLASSES, judge, label, psnr, score, select_good


def picture(seed: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8).repeat(6, 0).repeat(6, 1)


def test_psnr_of_a_known_difference_and_of_none() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(grey + 10, grey) == pytest.approx(20 * np.log10(25.5), abs=1e-4)
    assert psnr(grey, grey) == pytest.approx(50)


def test_an_original_is_worth_a_hundred_and_its_opposite_nothing() -> None:
    assert score(picture(), picture()) == pytest.approx(100)
    assert score(255 - picture(), picture()) == 0


def test_the_score_falls_as_damage_grows() -> None:
    blurred = [score(gaussian_blur(picture(), kernel=kernel), picture()) for kernel in (3, 7, 13)]
    compressed = [score(jpeg(picture(), quality=quality), picture()) for quality in (98, 60, 10)]
    for scores in (blurred, compressed):
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("value", "name"),
    [(0, "poor"), (29.9, "poor"), (30, "medium"), (59.9, "medium"), (60, "good"), (100, "good")],
)
def test_classes_are_those_of_the_score(value: float, name: str) -> None:
    assert CLASSES[label(value)] == name


def test_a_picture_of_any_size_is_judged() -> None:
    found = judge(constant_classifier(1), picture()[:50, :77])
    assert sum(found) == pytest.approx(1)
    assert CLASSES[int(np.argmax(found))] == "medium"


def test_good_pictures_are_kept_and_the_rest_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_pictures(tmp_path, 3)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    stills = find_stills([tmp_path])
    folders = [tmp_path / "work" / name for name in "abc"]
    with caplog.at_level(logging.INFO):
        good = select_good(stills, constant_classifier(2), 64, 2, folders[0])
        assert [still.path.name for still in good] == ["00.png", "01.png", "02.png"]
        assert select_good(stills, constant_classifier(0), 64, 2, folders[1]) == []
        assert select_good(stills, constant_classifier(2), 65, 2, folders[2]) == []
    assert f"3 of 4 pictures are good (1 unreadable: {folders[0] / 'refused.csv'})" in caplog.text
    assert "0 of 4 pictures are good (3 poor, 1 unreadable: " in caplog.text
    assert "3 too small" in caplog.text


def test_each_picture_that_is_refused_is_listed_with_the_reason(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2)
    (tmp_path / "broken, one.png").write_bytes(b"no picture")
    stills = find_stills([tmp_path])
    for best, why in ((0, "poor"), (1, "medium")):
        select_good(stills, constant_classifier(best), 64, 1, tmp_path / "work")
        text = (tmp_path / "work" / "refused.csv").read_text(encoding="utf-8")
        rows = list(csv.reader(text.splitlines()))
        found = {Path(file).name: reason for file, reason in rows[1:]}
        assert rows[0] == ["file", "why"]
        assert found == {"00.png": why, "01.png": why, "broken, one.png": "unreadable"}
    select_good(find_stills([tmp_path])[:1], constant_classifier(2), 64, 1, tmp_path / "work")
    assert (tmp_path / "work" / "refused.csv").read_text(encoding="utf-8") == "file,why\n"


def test_verdicts_are_kept_for_the_same_judge_side_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "photos", 3)
    read: list[Path] = []
    judges = {best: constant_classifier(best).eval() for best in (0, 2)}

    def counted(path: Path) -> Picture | None:
        read.append(path)
        return read_still(path)

    monkeypatch.setattr("training.quality.read_still", counted)

    def found(best: int = 2, side: int = 64) -> tuple[int, int]:
        """How many pictures are good, and how many were read to find out."""
        read.clear()
        stills = find_stills([tmp_path / "photos"])
        good = select_good(stills, judges[best], side, 1, tmp_path / "work")
        return len(good), len(read)

    assert [found(), found()] == [(3, 3), (3, 0)]
    assert [found(best=0), found(best=0)] == [(0, 3), (0, 0)]
    assert found(side=65) == (0, 3)
    assert found() == (3, 3)
    (tmp_path / "photos" / "01.png").write_bytes(b"no picture")
    assert [found(), found()] == [(2, 3), (2, 0)]
