"""The gallery: every effect that a page offers has a picture, words and a group, within limits."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfx.engine.library import FoundEngine, list_effects, shipped_folders
from streamfx.web.gallery import ENLARGE, LOOK, REPAIR, WORDS, shown_effects
from streamfx.web.thumbnails import thumbnail
from tests import engines

WHITE, SOURCE, CHANGED = (255, 255, 255), (200, 30, 30), (30, 160, 30)


@pytest.fixture(autouse=True)
def _no_other_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFX_ENGINES", str(tmp_path))


def sheet(columns: int = 4, rows: int = 2, side: int = 60, gap: int = 4) -> bytes:
    """Return a sheet as training draws it: the source, and what an effect makes of it."""
    picture = np.full((18 + rows * (side + gap) - gap, columns * (side + gap) - gap, 3), 255, np.uint8)
    for row in range(rows):
        for column in range(columns):
            top, left = 18 + row * (side + gap), column * (side + gap)
            colour = CHANGED if column == columns - 2 else SOURCE
            picture[top : top + side, left : left + side] = colour if column else SOURCE
    done, data = cv2.imencode(".jpg", picture)
    assert done
    return data.tobytes()


def colours(jpeg: bytes | None) -> list[list[int]]:
    """Return the colours in the left and in the right half."""
    assert jpeg is not None
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (176, 176, 3)
    return [[round(float(value) / 10) * 10 for value in picture[88, x]] for x in (40, 136)]


def test_every_shipped_effect_has_a_picture_and_words_of_its_own_in_its_group() -> None:
    shipped = [found for found in list_effects() if found.folder.parent in shipped_folders()]
    shown = {each.name: each for each in shown_effects(shipped)}
    assert list(shown) == list(WORDS)
    for each in shown.values():
        assert each.words == WORDS[each.name]
        assert len(each.words) <= 90
        colours(each.picture)
    groups = {group: {n for n, each in shown.items() if each.group == group} for group in (REPAIR, ENLARGE)}
    assert groups == {REPAIR: {"restore"}, ENLARGE: {"upscale"}}


@pytest.mark.parametrize(("columns", "rows"), [(3, 1), (4, 2), (5, 9)])
def test_a_thumbnail_shows_the_effect_and_beside_it_the_source_where_that_is_wanted(
    columns: int, rows: int
) -> None:
    source, changed = [200, 30, 30], [30, 160, 30]
    assert colours(thumbnail(sheet(columns, rows), halved=False)) == [changed, changed]
    assert colours(thumbnail(sheet(columns, rows), halved=True)) == [source, changed]


def test_what_is_no_sheet_or_too_large_gives_no_picture() -> None:
    good = sheet()
    at = good.index(b"\xff\xc0") + 5
    huge = good[:at] + (60_000).to_bytes(2, "big") * 2 + good[at + 4 :]
    black = cv2.imencode(".jpg", np.zeros((300, 401, 3), np.uint8))[1].tobytes()
    for wrong in (b"", b"\xff\xd8\xff", good[:200], huge, good + bytes(5 << 20), black):
        assert thumbnail(wrong, halved=False) is None


def test_an_effect_of_ones_own_has_the_first_sentence_of_its_card_and_no_picture_without_a_sheet(
    tmp_path: Path,
) -> None:
    folder = engines.make_engine(tmp_path, "toon")  # of a name that is shipped as well
    card = "# toon\n\nPaints everything\nin mauve. More of it here.\n"
    (folder / "card.md").write_text(card, encoding="utf-8")
    (found,) = [each for each in list_effects() if each.folder == folder]
    (shown,) = shown_effects([found])
    assert (shown.words, shown.picture, shown.group) == ("Paints everything in mauve", None, LOOK)
    (folder / "card.md").write_text("# toon\n\n" + "very " * 100, encoding="utf-8")
    assert len(shown_effects([found])[0].words) <= 140
    (folder / "card.md").unlink()
    assert shown_effects([found])[0].words == ""
    assert shown_effects([FoundEngine("broken", tmp_path, None, "broken")]) == []
