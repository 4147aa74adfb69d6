"""The starter set: what is shipped, from whom, and what of it shows how a training goes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from training.pictures import find_stills, read_still

ROOT = Path(__file__).parents[2] / "training"
FOLDER = ROOT / "starter"
FREE = {"CC0-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0"}
NO_RIGHTS = {"public domain", "public domain (NASA)"}
MOST_BYTES = 8_000_000


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.csv").open(newline="", encoding="utf-8") as index:
        return list(csv.DictReader(index))


@pytest.mark.parametrize("folder", [FOLDER, ROOT / "paintings"], ids=lambda folder: folder.name)
def test_every_picture_is_in_the_index_once_and_can_be_read(folder: Path) -> None:
    listed = [row["file"] for row in rows(folder)]
    assert listed == sorted(path.name for path in folder.glob("*.jpg"))
    assert all(read_still(folder / name) is not None for name in listed)


def test_every_picture_has_an_author_and_a_free_licence() -> None:
    found = rows(FOLDER)
    assert {row["licence"] for row in found} <= FREE | NO_RIGHTS
    assert all(row["author"] for row in found)


def test_the_sources_that_are_told_to_people_are_those_of_the_index() -> None:
    text = (FOLDER / "SOURCES.md").read_text(encoding="utf-8")
    assert all(row["author"] in text for row in rows(FOLDER))
    assert {line.count("|") for line in text.splitlines() if line.startswith("| `")} == {6}


def test_the_set_is_small_and_still_large_enough_to_learn_from() -> None:
    stills = find_stills([FOLDER])
    assert sum(still.path.stat().st_size for still in stills) <= MOST_BYTES
    assert sum(not still.held_out for still in stills) >= 200
