"""Paired training end to end, on a network and pictures of toy size."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamfx.engine.families.warp_mask import WarpMask
from streamfx.engine.folder import read_engine
from tests.training.interruption import Interruption, assert_same_weights, interrupt_after
from training.__main__ import main
from training.fused import paint
from training.paired import PairedTrainee, card, train
from training.paired_options import PairedOptions
from training.pairs import PairFiles, Pairs, drawn, kept
from training.picture_store import PictureStore
from training.pictures import Picture, find_stills

HEAD = Path(__file__).parents[1] / "clips" / "head.jpg"
NETWORK = {"stem": 4, "width": 8, "blocks": 1, "norm": "none"}


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (48,))


def blocks(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (12, 14, 3), np.uint8).repeat(4, 0).repeat(4, 1)


def write_pairs(folder: Path, names: str = "abcdef") -> tuple[Path, Path]:
    """Pictures, and as partners the same with red and blue exchanged."""
    photos, partners = folder / "photos", folder / "partners"
    for path in (photos, partners):
        (path / "deep").mkdir(parents=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(photos / "deep" / f"{name}.png"), blocks(number))
        cv2.imwrite(str(partners / "deep" / f"{name}.png"), blocks(number)[..., ::-1])
    return photos, partners


def toy_values(folder: Path, **changes: object) -> dict[str, object]:
    photos, partners = folder / "photos", folder / "partners"
    if not photos.exists():
        write_pairs(folder)
    return {
        "content": [str(photos)],
        "partners": str(partners),
        "out": str(folder / "toy"),
        "work": str(folder / "work"),
        "network": NETWORK,
        "critic_width": 4,
        "critic_halvings": 1,
        "steps": 4,
        "adversarial_from": 2,
        "batch": 2,
        "crop": 32,
        "square": 40,
        "squares": 6,
        "temporal_shift": 2,
        "factors": {1.0: 0.5, 2.0: 0.5},
        "loop": {"checkpoint_every": 2, "bfloat16": False, "threads": 1},
    } | changes


def test_the_command_writes_an_engine_and_logs_the_terms_of_both_networks(tmp_path: Path) -> None:
    config = tmp_path / "paired.yaml"
    config.write_text(json.dumps(toy_values(tmp_path, target_domain="swapped")))
    assert main(["paired", "--config", str(config)]) == 0
    engine = read_engine(tmp_path / "toy")
    assert (engine.spec.source_domain, engine.spec.target_domain) == ("photo", "swapped")
    assert engine.spec.name == "toy"
    terms = [json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines()]
    assert [{"belief", "critic true", "critic made"} <= line.keys() for line in terms] == [False] * 2 + [
        True
    ] * 2
    assert "belief of a critic" in " ".join((tmp_path / "toy" / "card.md").read_text().split())


def test_without_adversarial_weight_only_the_difference_corrects(tmp_path: Path) -> None:
    options = PairedOptions.model_validate(toy_values(tmp_path, adversarial_weight=0.0))
    before = critic_at_the_start(options)
    trainee = train(options)
    assert all(torch.equal(a, b) for a, b in zip(before, trainee.critic.state_dict().values(), strict=True))
    assert "belief" not in (tmp_path / "work" / "log.jsonl").read_text()
    assert "belief" not in card(options)


def critic_at_the_start(options: PairedOptions) -> list[torch.Tensor]:
    pairs = Pairs(lambda _: np.zeros((40, 40, 6), np.uint8), 1, {1.0: 1.0}, 1, 0)
    trainee = PairedTrainee(options, pairs)
    pairs.close()
    return list(trainee.critic.state_dict().values())


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train(PairedOptions.model_validate(toy_values(tmp_path, work=str(tmp_path / "whole"))))
    options = PairedOptions.model_validate(toy_values(tmp_path))
    with pytest.raises(Interruption):
        train(options, interrupt_after(3))
    resumed = train(options)
    assert_same_weights(whole.networks, resumed.networks)


def test_training_comes_nearer_to_the_partners(tmp_path: Path) -> None:
    changes = {"steps": 60, "factors": {1.0: 1.0}, "adversarial_weight": 0.0}
    changes["loop"] = {"learning_rate": 0.005, "threads": 1}
    train(PairedOptions.model_validate(toy_values(tmp_path, **changes)))
    lines = (tmp_path / "work" / "log.jsonl").read_text().splitlines()
    differences = [json.loads(line)["difference"] for line in lines]
    assert np.mean(differences[-10:]) < 0.8 * np.mean(differences[:5])


def test_pairs_read_from_files_match_point_by_point(tmp_path: Path) -> None:
    photos, partners = write_pairs(tmp_path)
    pair = PairFiles(photos, partners, 40, [], 3).make(0)
    assert pair.shape == (40, 40, 6)
    assert np.array_equal(pair[..., :3], pair[..., 5:2:-1])


def test_a_picture_without_a_partner_is_named(tmp_path: Path) -> None:
    photos, partners = write_pairs(tmp_path)
    for name in "abcdef":
        (partners / "deep" / f"{name}.png").unlink()
    with pytest.raises(ValueError, match=r"partners that do not exist: .*deep/\w.png.* and \d more"):
        PairFiles(photos, partners, 40, [], 3)


def test_pairs_that_cannot_be_used_are_named_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos, partners = write_pairs(tmp_path)
    usable = [still for still in find_stills([photos]) if not still.held_out]
    broken, small, *good = (still.path.name for still in usable)
    (partners / "deep" / broken).write_bytes(b"no picture")
    cv2.imwrite(str(partners / "deep" / small), blocks(1)[:40])
    assert good
    assert main_paired(tmp_path) == 0
    caplog.clear()
    files = PairFiles(photos, partners, 40, [], 3)
    for index in range(100):  # enough for every pair to have its turn
        files.make(index)
    files.close()
    assert f"skipped {partners / 'deep' / broken}: not a readable picture" in caplog.text
    assert f"deep/{small}: it is 56 x 48, its partner {partners / 'deep' / small} 56 x 40" in caplog.text
    assert f"2 of {len(usable)} pairs could not be used" in caplog.text


def main_paired(folder: Path) -> int:
    config = folder / "paired.yaml"
    config.write_text(json.dumps(toy_values(folder, squares=30, batch=6)))
    return main(["paired", "--config", str(config)])


def test_a_pair_is_the_same_whatever_was_made_before(tmp_path: Path) -> None:
    photos, partners = write_pairs(tmp_path)
    (partners / "deep" / "a.png").write_bytes(b"no picture")
    (partners / "deep" / "b.png").write_bytes(b"no picture")
    forth, back = (PairFiles(photos, partners, 40, [], 3) for _ in range(2))
    made = {index: forth.make(index) for index in range(8)}
    assert all((back.make(index) == made[index]).all() for index in reversed(range(8)))


def test_nothing_but_unusable_pairs_is_an_error(tmp_path: Path) -> None:
    photos, partners = write_pairs(tmp_path)
    for name in "abcdef":
        (partners / "deep" / f"{name}.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"no pair of pictures in .*photos that can be used, in 200 tries"):
        PairFiles(photos, partners, 40, [], 3).make(0)


def test_an_operator_draws_the_partner_of_a_square_some_of_which_are_dark(tmp_path: Path) -> None:
    photos, _ = write_pairs(tmp_path)
    picture_store = PictureStore(find_stills([photos]), [], 1 << 20)
    make = drawn(picture_store, lambda picture: 255 - picture, 40, 0.0, 3)
    pairs = [make(index) for index in range(20)]
    picture_store.close()
    assert all(np.array_equal(pair[..., 3:], 255 - pair[..., :3]) for pair in pairs)
    brightest = sorted(int(pair[..., :3].max()) for pair in pairs)
    assert brightest[0] < 0.9 * brightest[-1]


def test_pairs_that_were_kept_are_read_and_not_made_again(tmp_path: Path) -> None:
    made: list[int] = []

    def make(index: int) -> Picture:
        made.append(index)
        return np.random.default_rng(index).integers(0, 256, (8, 8, 6), np.uint8)

    first = [kept(make, tmp_path / "pairs")(index) for index in (3, 1)]
    again = [kept(make, tmp_path / "pairs")(index) for index in (3, 1)]
    assert made == [3, 1]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_pair_is_made_once() -> None:
    made: list[int] = []

    def make(index: int) -> Picture:
        made.append(index)
        return np.full((4, 4, 6), index, np.uint8)

    pairs = Pairs(make, 9, {1.0: 1.0, 2.0: 1.0, 4.0: 1.0}, 3, 5)
    seen = {int(square[0, 0, 0]) for number in range(30) for square in pairs.draw(number)[1]}
    pairs.close()
    assert len(seen) == 9
    assert sorted(made) == list(range(9))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"operator": "toon"},
            "give one of operator, which draws partners, style, a picture, and partners, a",
        ),
        ({"partners": None}, "give one of operator, which draws partners, style, a picture, and partners, a"),
        ({"partners": "nowhere"}, "nowhere does not exist"),
        ({"factors": {0.5: 1.0}}, "factors: factors are at least 1"),
        ({"factors": {3.0: 1.0}}, "crop 32 is no multiple of 4 times factor 3"),
        ({"square": 33}, "square 33 leaves no room to move a crop of 32 by 2"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PairedOptions.model_validate(toy_values(tmp_path, **changes))


def test_partners_need_one_folder_of_pictures(tmp_path: Path) -> None:
    values = toy_values(tmp_path)
    values["content"] = [str(tmp_path / "photos"), str(tmp_path / "partners")]
    with pytest.raises(ValueError, match="with partners, content is one folder"):
        PairedOptions.model_validate(values)


def test_painting_leaves_everything_on_the_pictures_device() -> None:
    network = WarpMask(stem=4, width=8, blocks=1).to("meta")
    picture = torch.rand(1, 3, 32, 32, device="meta")
    output, heads = paint(network, picture, 2.0, 4.0, torch.autocast("cpu", enabled=False))
    assert output.device.type == "meta"
    assert output.shape == picture.shape
    assert heads.shape == (1, 7, 16, 16)


def test_a_network_that_paints_the_whole_picture_learns_from_pairs(tmp_path: Path) -> None:
    network = {"family": "yuv_style", "luma_width": 4, "chroma_width": 4}
    loop = {"learning_rate": 0.01, "bfloat16": False, "threads": 1}
    values = toy_values(tmp_path, network=network, steps=60, squares=1, batch=1, adversarial_weight=0.0)
    config = tmp_path / "paired.yaml"
    config.write_text(json.dumps(values | {"loop": loop, "temporal_weight": 0.0}))
    assert main(["paired", "--config", str(config)]) == 0
    engine = read_engine(tmp_path / "toy")
    assert (engine.spec.family, engine.spec.layout) == ("yuv_style", "i420")
    assert engine.spec.heads == ("translated",)
    lines = (tmp_path / "work" / "log.jsonl").read_text().splitlines()
    differences = [json.loads(line)["difference"] for line in lines]
    assert np.mean(differences[-6:]) < 0.85 * np.mean(differences[:6])
    assert "Family `yuv_style`, layout i420" in (tmp_path / "toy" / "card.md").read_text()


def test_a_network_that_displaces_nothing_cannot_learn_to_warp(tmp_path: Path) -> None:
    network = {"family": "yuv_style"}
    values = toy_values(
        tmp_path, network=network, operator="caricature", partners=None, warped={"people": [str(HEAD)]}
    )
    with pytest.raises(ValueError, match="warped is for networks of family warp_mask"):
        PairedOptions.model_validate(values)
