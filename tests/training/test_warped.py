"""Training on warped people: their pairs, and a network that learns nothing but displacement."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from streamfx.engine.families.warp_mask import WarpMask
from training import people_pairs, warped
from training.operators.bulges import warp
from training.operators.people import Person
from training.paired import card, train
from training.paired_options import PairedOptions
from training.pairs import kept, stack
from training.people_pairs import Scene
from training.picture_store import PictureStore
from training.pictures import Picture, Still
from training.warped import WarpedOptions

HEAD = Path(__file__).parents[1] / "clips" / "head.jpg"


def find_him(picture: Picture) -> list[Person]:
    """The man, as if a network had looked for him."""
    points = np.zeros((68, 3), np.float32)
    points[:, :2] = (68, 75)
    points[36:42, :2], points[42:48, :2], points[48:60, :2] = (54, 51), (82, 51), (68, 79)
    points[0, :2], points[8, :2], points[16, :2] = (46, 56), (68, 99), (92, 56)
    return [Person(points, 1.0)]


@pytest.fixture(autouse=True)
def small_pictures_of_a_man_who_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.paired.finder", lambda: find_him)
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (48,))


def wave(side: int = 24) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    return np.stack([9 * np.sin(rows / 5), 63.9 * np.cos(columns / 7)], axis=-1)


def pair_of(field: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Picture:
    rng = np.random.default_rng(4)
    return np.concatenate(
        [rng.integers(0, 256, (*field.shape[:2], 6), np.uint8), warped.encoded(field)], axis=2
    )


def toy_options(folder: Path, **changes: object) -> PairedOptions:
    photos = folder / "photos"
    if not photos.exists():
        photos.mkdir()
        for name in "abcdef":
            rng = np.random.default_rng(ord(name))
            cv2.imwrite(
                str(photos / f"{name}.png"),
                rng.integers(0, 256, (8, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1),
            )
    values: dict[str, object] = {
        "content": [photos],
        "operator": "caricature",
        "out": folder / "toy",
        "work": folder / "work",
        "network": {"stem": 8, "width": 16, "blocks": 2, "joined": 8, "norm": "none", "dilated": True},
        "steps": 4,
        "adversarial_weight": 0.0,
        "grid_weight": 0.0,
        "displacement_price": 0.0,
        "max_displacement_pixels": 16.0,
        "batch": 2,
        "crop": 64,
        "square": 72,
        "squares": 4,
        "temporal_shift": 2,
        "temporal_weight": 0.0,
        "factors": {2.0: 1.0},
        "loop": {"checkpoint_every": 2, "bfloat16": False, "threads": 1},
        "warped": {"people": [HEAD], "lowest": 40, "highest": 60, "fused_every": 2},
    }
    return PairedOptions.model_validate(values | changes)


def test_a_field_comes_back_from_a_pair_within_a_thirty_second_of_a_pixel() -> None:
    field = wave()
    found = warped.decoded(stack([pair_of(field)]))[0].permute(1, 2, 0).numpy()
    assert np.abs(found - field).max() <= 1 / 64 + 1e-5
    still = np.zeros((24, 24, 2), np.float32)
    assert not warped.decoded(stack([pair_of(still)])).any()


def test_a_mirrored_pair_has_the_mirrored_field_which_leads_the_other_way() -> None:
    pair = pair_of(wave())
    field, mirrored = (warped.decoded(stack([each])) for each in (pair, warped.mirrored(pair)))
    assert torch.equal(mirrored[:, 0], -field[:, 0].flip(-1))
    assert torch.equal(mirrored[:, 1], field[:, 1].flip(-1))
    assert np.array_equal(warped.mirrored(pair)[..., :6], pair[:, ::-1, :6])


def test_a_field_that_moves_too_far_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a displacement of 64\.0 pixels; less than 64 can be kept"):
        warped.encoded(np.full((4, 4, 2), 64, np.float32))


def test_the_field_term_is_the_squared_difference_and_counts_more_where_things_move() -> None:
    wanted, moved = torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8)
    moved[:, 0] = 1.5

    def term() -> float:
        return warped.field_term(moved, wanted, 4.0).item()

    assert term() == pytest.approx(1.5**2 / 2)  # the mean of x, and of y, which agrees
    wanted[:, 0] = 2.5
    assert term() == pytest.approx(4 * 1 / 2)
    wanted[:, 0] = 5.5  # 4 too few: beyond 2 the slope stays 4
    assert term() == pytest.approx(4 * (2**2 + 2 * 4) / 2)
    moved[:] = wanted
    assert term() == 0
    moved[:, 0, :, 4:] += 0.1  # half of them too far, and a step in one of seven places
    assert term() == pytest.approx(4 * 0.01 / 4 + 4 * 0.01 / 14, rel=1e-3)


def test_displacements_are_wanted_in_reduced_pixels() -> None:
    field = np.zeros((16, 16, 2), np.float32)
    field[...] = (5, -3)
    heads = torch.zeros(1, 7, 8, 8)
    heads[:, 4], heads[:, 5], heads[:, 0] = 2.5, -1.5, 1.0
    terms = warped.terms(stack([pair_of(field)]), heads, 2.0, WarpedOptions(people=[HEAD]))
    assert {name: term.item() for name, term in terms.items()} == {"field": 0, "hints": 0}


def test_hints_tell_where_something_moves_and_how_much_it_grows() -> None:
    rows, columns = np.mgrid[-8:8, -8:8] + 0.5
    moves, growth = warped.hints(torch.from_numpy(np.stack([-0.5 * columns, -0.25 * rows])).float()[None])[0]
    assert (moves == 1).all()
    assert growth[5, 9].item() == pytest.approx(-1.5)
    assert not warped.hints(torch.zeros(1, 2, 4, 4)).any()


def test_pairs_of_people_are_pictures_warped_by_the_field_that_they_carry(tmp_path: Path) -> None:
    options = toy_options(tmp_path)
    assert options.warped is not None
    picture_store = warped.open_people(options.warped)
    make = people_pairs.people_pairs(
        picture_store, lambda rng: np.full((72, 72, 3), 90, np.uint8), find_him, 72, options.warped, 3
    )
    pairs = [make(index) for index in range(12)]
    again = kept(make, tmp_path / "pairs")
    picture_store.close()
    fields = [warped.decoded(stack([pair]))[0].permute(1, 2, 0).numpy() for pair in pairs]
    assert sum(field.any() for field in fields) > 6
    for pair, field in zip(pairs, fields, strict=True):
        assert np.abs(warp(pair[..., :3].copy(), field).astype(int) - pair[..., 3:6]).max() <= 8
    assert np.array_equal(again(2), pairs[2])
    assert np.array_equal(kept(lambda index: pytest.fail("made again"), tmp_path / "pairs")(2), pairs[2])


@pytest.mark.parametrize(("lowest", "seed"), [(30, 0), (30, 1), (110, 1), (110, 2)])
def test_the_points_of_people_move_along_with_their_picture(lowest: int, seed: int) -> None:
    picture = np.full((160, 160, 3), 100, np.uint8)
    for x in (54, 82):  # his eyes
        picture[49:54, x - 2 : x + 3] = 250
    options = WarpedOptions(people=[HEAD], lowest=lowest, highest=lowest + 10)
    part = people_pairs._part(
        Scene(picture, find_him(picture)), 300, 300, options, np.random.default_rng(seed)
    )
    light = part.picture.sum(-1).astype(int)
    rows, columns = np.mgrid[:300, :300]
    for eye in (36, 42):
        x, y = part.people[0].points_P3[eye, :2].tolist()
        spot = (light > (light.min() + 3 * light.max()) / 4) & (np.hypot(rows - y, columns - x) < lowest / 5)
        assert (columns[spot].mean(), rows[spot].mean()) == pytest.approx((x, y), abs=0.5)


def test_only_displacement_is_learned_and_it_comes_nearer_to_the_field(tmp_path: Path) -> None:
    loop = {"learning_rate": 0.003, "bfloat16": False, "threads": 1}
    options = toy_options(tmp_path, steps=40, squares=1, batch=1, pairs=tmp_path / "pairs", loop=loop)
    network = train(options).generator
    assert isinstance(network, WarpMask)
    (path,) = (tmp_path / "pairs").iterdir()
    pair = kept(lambda index: pytest.fail("made again"), tmp_path / "pairs")(int(path.stem))
    pairs = stack([pair[4:68, 4:68]])
    with torch.no_grad():
        heads = warped.heads(network, pairs[:, :3], 2.0, options.loop.precision())
    assert not heads[:, 3].any()  # the mask
    options_of_warp = options.warped
    assert options_of_warp is not None
    wrong, still_wrong = (
        warped.terms(pairs, moves, 2.0, options_of_warp)["field"] for moves in (0 * heads, heads)
    )
    assert still_wrong < 0.8 * wrong
    lines = [json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines()]
    assert "nothing but displacement shows" in " ".join(card(options).split())
    assert ["difference" in line for line in lines[:4]] == [True, False, True, False]


def test_a_network_that_only_warps_begins_as_the_identity() -> None:
    network = WarpMask(stem=4, width=8, blocks=1)
    warped.only_warp(network)
    warped.forget_hints(network)
    assert (network.translate(torch.rand(1, 3, 16, 16), torch.tensor([3.0]))[:, :3] == 0.5).all()
    assert not network.translate(torch.rand(1, 3, 16, 16), torch.tensor([3.0]))[:, 3:].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values | {"operator": "toon"}, "warped is for the operator caricature"),
        (lambda values: values | {"warped": {"people": ["nobody.jpg"]}}, "do not exist: nobody.jpg"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(
    tmp_path: Path, change: Callable[[dict[str, object]], dict[str, object]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        toy_options(tmp_path, **change({}))


def test_people_who_are_held_out_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pictures.HELD_OUT_SHARE", 1.0)
    options = WarpedOptions(people=[HEAD])
    with pytest.raises(ValueError, match=r"held out, so not to be trained on: .*head\.jpg"):
        warped.open_people(options)


def test_pictures_without_people_are_named_as_such(tmp_path: Path) -> None:
    scenes = people_pairs._Scenes(PictureStore(warped_stills(), [], 1 << 20), lambda picture: [], 0.0)
    with pytest.raises(ValueError, match="no picture of people in 50 tries"):
        scenes.draw(np.random.default_rng(0))


def warped_stills() -> list[Still]:
    return [Still(HEAD, HEAD.name)]
