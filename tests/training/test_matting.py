"""Training and judging of the engine that tells people: pictures put together, losses, scores of masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from torch import nn

from streamfx.engine.families.matting import Matting
from streamfx.engine.library import load_engine
from streamfx.engine.spec import OutputKind
from training.__main__ import main
from training.composed import Composer, Masked, put_before
from training.evaluation.masks import border_score, overlap
from training.evaluation.matte_runner import MatteRunner, factor_for
from training.evaluation.matting import judged, mediapipe, nobody, people, stillness
from training.matte import form, matte
from training.people_masks import PeopleMasks
from training.person import likeness, pyramid, step_in_proportion
from training.person_options import ComposedOptions
from training.pictures import Picture, read_still, save_still, to_tensor

HEAD = Path(__file__).parents[1] / "clips" / "head.jpg"


def head() -> Picture:
    """A man's head, 160 x 160 pixels."""
    picture = read_still(HEAD)
    assert picture is not None
    return picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A meadow, and room for masks."""
    made = tmp_path_factory.mktemp("matting")
    save_still(made / "meadow.png", np.full((128, 160, 3), (60, 160, 70), np.uint8))
    return made


def composed(folder: Path, **other: object) -> ComposedOptions:
    """Options of small pictures of the man before the meadow."""
    given = {"people": [HEAD], "behind": [folder / "meadow.png"], "masks": folder / "masks"}
    return ComposedOptions.model_validate(given | {"sizes": [(96, 128)], "pictures": 4} | other)


# ---------------------------------------------------------------- pictures put together


def test_a_picture_put_together_is_the_same_each_time(folder: Path) -> None:
    ones, others = (Composer(composed(folder), 7) for _ in range(2))
    for number in range(3):
        assert np.array_equal(ones(number).picture, others(number).picture)
        assert np.array_equal(ones(number).mask, others(number).mask)


def test_a_picture_that_was_kept_is_read_and_not_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composer = Composer(composed(folder, kept=folder / "pictures"), 7)
    first = composer(1)
    monkeypatch.setattr(Composer, "_made", lambda *_: pytest.fail("made again"))
    assert np.array_equal(composer(1).picture, first.picture)
    assert np.array_equal(composer(1).mask, first.mask)


def test_a_picture_of_nobody_has_an_empty_mask(folder: Path) -> None:
    assert not any(Composer(composed(folder, empty=1.0, as_they_are=0.0), 7)(n).mask.any() for n in range(3))


def test_people_before_something_else_are_where_their_mask_says() -> None:
    behind = Masked(np.full((96, 128, 3), (0, 255, 0), np.uint8), np.zeros((96, 128), np.uint8))
    mask = np.zeros((160, 160), np.uint8)
    mask[40:140, 50:110] = 255
    near = Masked(np.full((160, 160, 3), (200, 30, 30), np.uint8), mask)
    made = put_before(behind, near, 48.0, np.random.default_rng(3))
    seen, red = made.mask >= 128, made.picture[..., 0].astype(int) > made.picture[..., 1]
    assert seen.any()
    assert (seen == red).mean() > 0.99
    rows = np.flatnonzero(seen.any(1))
    assert rows[-1] - rows[0] + 1 == pytest.approx(48, abs=3)


def test_masks_are_drawn_once_and_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = PeopleMasks(folder / "kept")
    first = masks(head())
    monkeypatch.setattr("training.people_masks.person", lambda _: pytest.fail("drawn again"))
    assert np.array_equal(masks(head()), first)
    assert first.max() == 255


# ---------------------------------------------------------------- the matte and its losses


def test_detail_raises_the_matte_where_the_source_is_brighter_and_lowers_it_where_it_is_darker() -> None:
    luma = torch.full((1, 1, 4, 8), 0.5)
    luma[..., 2], luma[..., 5] = 0.75, 0.25
    heads = torch.tensor([0.5, 2.0, 1.0])[None, :, None, None].expand(1, 3, 2, 4)
    made = form(luma, torch.full((1, 1, 2, 4), 0.5), heads)[0, 0, 0]
    assert made.tolist() == pytest.approx([0.5, 0.5, 1.0, 0.5, 0.5, 0.25, 0.5, 0.5])


def test_what_a_matte_gets_right_beyond_its_range_is_led_nowhere() -> None:
    wanted = torch.zeros(1, 1, 32, 32)
    wanted[..., 16:] = 1
    anything = torch.rand(wanted.shape, generator=torch.Generator().manual_seed(5))
    found = (6 * anything - 2.5).requires_grad_()
    sum(likeness(found, wanted).values()).backward()  # type: ignore[union-attr]
    right = ((found < 0) & (wanted == 0)) | ((found > 1) & (wanted == 1))
    wrong = ((found < 0) & (wanted == 1)) | ((found > 1) & (wanted == 0))
    assert found.grad is not None
    assert not found.grad[right].any()
    assert torch.equal(found.grad[wrong].sign(), 1 - 2 * wanted[wrong])


def test_the_pyramid_sees_a_border_that_is_moved_and_nothing_where_both_agree() -> None:
    wanted = torch.zeros(1, 1, 32, 32)
    wanted[..., 16:] = 1
    assert pyramid(wanted, wanted).item() == 0
    assert pyramid(wanted.roll(2, -1), wanted) > pyramid(wanted.roll(1, -1), wanted) > 0


def test_steps_are_in_proportion_to_the_weights() -> None:
    weight = nn.Parameter(torch.tensor([[10.0, 0.0], [0.1, 0.0]]))
    optimiser = torch.optim.Adam([weight], lr=1e-2)
    before = weight.detach().clone()
    step_in_proportion(optimiser, [weight])
    weight.sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    moved = (before - weight.detach()).abs()
    assert moved[0, 0].item() == pytest.approx(100 * moved[1, 0].item(), rel=1e-3)
    assert moved[0, 1] > moved[1, 1] > 0


# ---------------------------------------------------------------- how alike masks are


def disc(x: float, radius: float = 20) -> np.typing.NDArray[np.float32]:
    rows, columns = np.mgrid[:80, :80]
    return np.asarray((rows - 40) ** 2 + (columns - x) ** 2 <= radius**2, np.float32)


def test_overlap_is_intersection_over_union() -> None:
    one, other = np.zeros((2, 10, 10), np.float32)
    one[:, :6], other[:, 4:] = 1, 1
    assert overlap(one, other) == pytest.approx(2 / 10)
    assert overlap(one * 0, other * 0) == 1


def test_borders_agree_up_to_so_many_pixels() -> None:
    assert border_score(disc(40), disc(41), 2) == 1
    assert 0.2 < border_score(disc(40), disc(46), 2) < 0.8
    assert border_score(disc(40), disc(40, 28), 2) == 0
    assert border_score(disc(40), np.zeros((80, 80), np.float32), 2) == 0
    assert border_score(np.zeros((80, 80), np.float32), np.zeros((80, 80), np.float32), 2) == 1


# ---------------------------------------------------------------- from start to finish


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """An engine of one step."""
    recipe = {
        "out": str(folder / "tells"),
        "work": str(folder / "work"),
        "composed": yaml.safe_load(composed(folder).model_dump_json()),
        "steps": 1,
        "batch": 2,
        "loop": {"learning_rate": 1e-4, "threads": 1},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["person", "--config", str(folder / "recipe.yaml")]) == 0
    return folder / "tells"


def test_a_training_writes_an_engine_that_gives_a_matte(trained: Path) -> None:
    engine = load_engine(trained)
    assert engine.spec.kind is OutputKind.MATTE
    assert engine.spec.format == 4
    card = " ".join((trained / "card.md").read_text().split())
    assert "MediaPipe's network for people in front of a camera" in card
    assert "1 photographs cut from 1 source pictures" in card


def test_the_runner_gives_what_the_training_gives(trained: Path) -> None:
    picture = np.asarray(cv2.resize(head(), (320, 320), interpolation=cv2.INTER_CUBIC), np.uint8)
    network = load_engine(trained).network()
    assert isinstance(network, Matting)
    with torch.no_grad():
        wanted = matte(network, to_tensor(picture)[None], factor_for((320, 320)))[0, 0].clamp(0, 1).numpy()
    with MatteRunner(trained, backend="eager") as runner:
        assert np.abs(runner(picture) - wanted).mean() < 0.01


def test_mattes_are_judged_against_the_masks_of_the_operator(trained: Path, folder: Path) -> None:
    examples = judged([head()], PeopleMasks(folder / "masks"))
    assert examples[0].shows_somebody
    with MatteRunner(trained, backend="eager") as runner:
        section = people({"engine": runner, "nothing": lambda p: 0 * mediapipe(p)}, {"man": examples})
        (_, _, _, iou, *_), (_, _, _, none, border, _) = section.rows
        assert isinstance(iou, float)
        assert iou > 0.8
        assert (none, border) == (0, 0)
        (row,) = nobody({"engine": runner}, examples).rows
        assert row[2] == 1
        with_memory = stillness({"engine": runner}, [head()], 3).rows[1][2]
        without = stillness({"engine": runner}, [head()], 3).rows[0][2]
        assert isinstance(with_memory, float)
        assert isinstance(without, float)
        assert 0 < with_memory < without
