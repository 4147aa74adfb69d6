"""Damaged pictures with their originals: aligned, moving, repeatable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.test_pictures import write_pictures
from training.damaged import SPARE, DamagedFeed, moving, overlap, to_tensors
from training.feed import Feed, FeedOptions


def damaged_feed(folder: Path, workers: int = 2) -> DamagedFeed:
    feed = Feed(FeedOptions(content=[folder], crop=32 + SPARE, short_sides=[48], batch=3), seed=3)
    return DamagedFeed(feed, 32, seed=3, workers=workers)


def test_a_window_moves_evenly_over_its_square() -> None:
    square = np.arange(44 * 44 * 3, dtype=np.uint32).reshape(44, 44, 3)
    rng = np.random.default_rng(1)
    moves = set()
    for _ in range(100):
        windows, (down, right) = moving(square, 32, 3, rng)  # type: ignore[arg-type]
        moves.add((down, right))
        tops, lefts = zip(*(np.argwhere((square == w[0, 0]).all(2))[0] for w in windows), strict=True)
        assert list(np.diff(tops)) == [down] * 2
        assert list(np.diff(lefts)) == [right] * 2
        assert all(w.shape == (32, 32, 3) for w in windows)
    assert len(moves) > 30
    assert max(abs(step) for move in moves for step in move) == SPARE // 3


@pytest.mark.parametrize("move", [(0, 0), (3, -2), (-4, 1)])
def test_the_overlap_of_originals_is_the_same(move: tuple[int, int]) -> None:
    wide = torch.rand(3, 40, 40)
    earlier = wide[:, 4:36, 4:36]
    later = wide[:, 4 + move[0] : 36 + move[0], 4 + move[1] : 36 + move[1]]
    one, other = overlap(earlier, later, move)
    assert one.shape == (3, 32 - abs(move[0]), 32 - abs(move[1]))
    assert torch.equal(one, other)


def test_a_batch_depends_on_seed_and_number_alone(tmp_path: Path) -> None:
    write_pictures(tmp_path, 6)
    feed = damaged_feed(tmp_path)
    batches = [feed.batch(number) for number in range(3)]
    feed.close()
    other = damaged_feed(tmp_path, workers=1)
    again = other.batch(2)
    other.close()
    assert torch.equal(again.damaged_B23SS, batches[2].damaged_B23SS)
    assert torch.equal(again.clean_B23SS, batches[2].clean_B23SS)
    assert again.moves_B == batches[2].moves_B
    assert again.damaged_B23SS.shape == (3, 2, 3, 32, 32)


def test_originals_belong_to_the_damaged_and_follow_the_move(tmp_path: Path) -> None:
    write_pictures(tmp_path, 6)
    feed = damaged_feed(tmp_path)
    batch = feed.batch(0)
    feed.close()
    for clean_23SS, move in zip(batch.clean_B23SS, batch.moves_B, strict=True):
        one, other = overlap(clean_23SS[0], clean_23SS[1], move)
        assert torch.equal(one, other)
    own = (batch.damaged_B23SS - batch.clean_B23SS).abs().mean((1, 2, 3, 4))
    swapped = (batch.damaged_B23SS.roll(1, 0) - batch.clean_B23SS).abs().mean((1, 2, 3, 4))
    assert (own < swapped).all()


def test_pictures_become_tensors_between_zero_and_one() -> None:
    picture = np.array([[[0, 255, 51]]], np.uint8)
    assert to_tensors(picture[None]).flatten().tolist() == pytest.approx([0, 1, 0.2])
