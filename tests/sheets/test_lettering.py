"""Labels of sheets: every character is drawn, differs from the others, and stays within its place."""

from __future__ import annotations

import numpy as np
import pytest

from streamfx.sheets.lettering import _STROKES, label


def test_every_character_of_an_effect_is_drawn_and_none_like_another() -> None:
    drawn = {character: label(character, 16, 100) for character in _STROKES}
    assert all(coverage.max() > 0.9 for coverage in drawn.values())
    assert len({(coverage.shape, coverage.tobytes()) for coverage in drawn.values()}) == len(drawn)
    assert set("abcdefghijklmnopqrstuvwxyz0123456789:=.,-_/") <= set(drawn)


def test_coverage_is_a_share_and_nothing_is_cut_off_at_the_edges() -> None:
    coverage = label("Ogjy(_", 20, 400)
    assert coverage.min() == 0
    assert 0.9 < coverage.max() <= 1
    padded = label(" Ogjy(_ ", 20, 400)
    assert np.isclose(coverage.sum(), padded.sum(), rtol=0.02)


@pytest.mark.parametrize("most_pixels", [400, 90, 30])
def test_a_label_is_never_wider_than_its_place(most_pixels: int) -> None:
    assert label("toon:strength=0.7", 14, most_pixels).shape[1] <= most_pixels


def test_a_character_without_strokes_is_drawn_as_a_box() -> None:
    assert np.array_equal(label("漢", 16, 100), label("é", 16, 100))
    assert label("漢", 16, 100).max() > 0.9
