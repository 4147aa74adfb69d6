"""Training on one style picture, end to end, on a network and pictures of toy size."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from streamfx.engine.families.warp_mask import WarpMask
from streamfx.engine.folder import read_engine
from tests.training.interruption import Interruption, interrupt_after
from training.__main__ import main
from training.anchors import spread
from training.card import style_card, with_figures
from training.export import export, golden, style_fields
from training.features import Encoder, adain
from training.fused import fuse_rgb
from training.loop import rate_share
from training.options import StyleOptions
from training.style import fused_crops, open_setup, run, train

NETWORK = {"stem": 4, "width": 8, "blocks": 1, "norm": "instance"}


def toy_options(folder: Path, **changes: object) -> StyleOptions:
    rng = np.random.default_rng(4)
    (folder / "photos").mkdir(exist_ok=True)
    for number in range(4):
        blocks = rng.integers(0, 256, (12, 12, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), blocks)
    cv2.imwrite(str(folder / "style.png"), rng.integers(0, 256, (40, 48, 3), np.uint8))
    values: dict[str, object] = {
        "style": folder / "style.png",
        "content": [folder / "photos"],
        "out": folder / "toy",
        "work": folder / "work",
        "network": NETWORK,
        "teacher_steps": 1,
        "translation_steps": 1,
        "released_steps": 2,
        "crop": 32,
        "crops": 4,
        "batch": 2,
        "temporal_crops": 1,
        "temporal_shift": 3,
        "factors": {2.0: 1.0},
        "loop": {"checkpoint_every": 2, "bfloat16": False, "threads": 1},
    }
    return StyleOptions.model_validate(values | changes)


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (48,))
    monkeypatch.setattr("training.style.STYLE_SHORT_SIDE", 40)


@pytest.mark.parametrize("inked", [False, True])
@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 3.0])
def test_a_crop_is_fused_as_if_the_whole_window_were(
    tmp_path: Path, factor: float, inked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (176,))
    setup = open_setup(toy_options(tmp_path))
    network = WarpMask(stem=4, width=8, blocks=1, fine=inked, ink=inked).eval()
    torch.manual_seed(2)
    windows = [setup.pool.crop(index).window(factor, shift) for index, shift in enumerate([(3, -5), (0, 0)])]
    with torch.no_grad():
        network.heads.weight.normal_(0, 3)  # displacements to the limit, and gains
        crops, heads = fused_crops(setup, network, windows, factor, released=True)
        whole = fuse_rgb(torch.stack([rgb for rgb, _, _ in windows]), heads, factor, 4.0)
    assert heads[:, 4:6].abs().max() > 4
    assert whole.shape[-1] > 32
    for index, (_, top, left) in enumerate(windows):
        expected = whole[index, :, top : top + 32, left : left + 32]
        np.testing.assert_allclose(crops[index], expected, atol=1e-4)


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train(toy_options(tmp_path, work=tmp_path / "whole"))
    options = toy_options(tmp_path, work=tmp_path / "parts")
    with pytest.raises(Interruption):
        train(options, interrupt_after(3))
    resumed = train(options)
    for (name, expected), found in zip(
        whole.state_dict().items(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(expected, found), name
    files = {path.suffix for path in options.work.iterdir()}
    assert files == {".json", ".jsonl", ".safetensors"}


def test_with_imitation_larger_factors_learn_from_the_finished_factor_1(tmp_path: Path) -> None:
    network = NETWORK | {"fine": True, "ink": True}
    options = toy_options(tmp_path, network=network, imitation_weight=1.0, factors={1.5: 0.5, 2.0: 0.5})
    before: dict[str, torch.Tensor] = {}

    def keep(done: int) -> None:
        if done == 2:
            state = load_file(next(options.work.glob("*.safetensors")))
            before.update({name: value for name, value in state.items() if name.startswith("network.")})

    network_after = train(options, keep).state_dict()
    moved = {name: value != before[f"network.generator.{name}"] for name, value in network_after.items()}
    assert not any(changed[0].any() for changed in moved.values())
    assert any(changed[1].any() for changed in moved.values())
    lines = [json.loads(line) for line in (options.work / "log.jsonl").read_text().splitlines()]
    assert "imitation" in lines[-1]
    run(options)
    assert read_engine(options.out).spec.heads[-1] == "ink"


def test_factor_1_cannot_imitate_itself(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="factors must be above 1 with imitation_weight"):
        toy_options(tmp_path, imitation_weight=1.0, factors={1.0: 1.0})


def test_every_term_is_logged(tmp_path: Path) -> None:
    options = toy_options(tmp_path)
    train(options)
    lines = [json.loads(line) for line in (options.work / "log.jsonl").read_text().splitlines()]
    assert "imitation" in lines[0]
    released = {"style", "content", "variation", "mask", "displacement", "detail", "temporal"}
    assert released <= lines[-1].keys()


def test_the_export_is_an_engine_whose_golden_frame_holds(tmp_path: Path) -> None:
    options = toy_options(tmp_path)
    network = train(options)
    engine = export(
        network, options.out, style_fields(options), golden(network), style_card(options), graph=False
    )
    assert engine.spec.options["norm"] == "instance"
    frame = read_engine(options.out).golden
    heads = engine.network()(
        torch.from_numpy(frame.planes)[None],
        torch.from_numpy(frame.to_rgb),
        torch.from_numpy(frame.from_rgb),
        torch.tensor([frame.factor]),
    )
    assert heads[0].numpy() == pytest.approx(frame.heads, abs=1e-3)


def test_content_is_compared_with_the_source_itself_where_asked_for(tmp_path: Path) -> None:
    near, own = (open_setup(toy_options(tmp_path, content_of=choice)) for choice in ("style", "source"))
    rgb = own.pool.crop(0).rgb()[None]
    with torch.no_grad(), own.precision():
        features = own.encoder(rgb)[-1]
    torch.testing.assert_close(own.source(0)[-1], features.to(torch.bfloat16))
    expected = adain(features.float(), near.style_features[-1]).to(torch.bfloat16)
    torch.testing.assert_close(near.source(0)[-1], expected)
    torch.testing.assert_close(own.teacher(0), near.teacher(0), atol=0.02, rtol=0.02)


def test_a_luma_chroma_network_is_trained_by_the_same_command(tmp_path: Path) -> None:
    network = {"family": "yuv_style", "luma_width": 4, "chroma_width": 4, "layout": "planes"}
    options = toy_options(
        tmp_path, network=network, released_steps=0, weight_bias_weight=0.1, translation_factors={2.0: 1.0}
    )
    run(options)
    lines = [json.loads(line) for line in (options.work / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["weight_bias"] > 0
    engine = read_engine(options.out)
    assert engine.spec.family == "yuv_style"
    assert engine.spec.heads == ("translated",)
    card = (options.out / "card.md").read_text()
    assert "layout planes: width 4 for Y, 4 for U and V" in card
    assert "weight-bias ratio (ε 0.01) 0.1" in card
    assert "mask" not in card


def test_a_luma_chroma_network_has_nothing_to_release(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="released_steps must be 0: a yuv_style network has no heads"):
        toy_options(tmp_path, network={"family": "yuv_style"})


def test_only_factors_that_were_trained_are_offered_and_the_card_tells_them(tmp_path: Path) -> None:
    drawn = {"translation_factors": {1.0: 0.5, 3.0: 0.5}, "factors": {1.0: 0.5, 2.0: 0.2, 8.0: 0.3}}
    steps = {"teacher_steps": 0, "translation_steps": 1}
    both = toy_options(tmp_path, released_steps=1, **steps, **drawn)
    assert "Trained at factors 1, 2, 3, 8; no others are offered.\n" in style_card(both)
    assert style_fields(both)["factors"] == [1.0, 2.0, 3.0, 8.0]
    one = toy_options(tmp_path, released_steps=0, **steps, **drawn)
    assert "Trained at factors 1, 3; no others are offered.\n" in style_card(one)
    assert style_fields(one)["factors"] == [1.0, 3.0]


def test_figures_replace_only_their_section(tmp_path: Path) -> None:
    card = style_card(toy_options(tmp_path)) + "\n## Limits\n\nMany.\n"
    once = with_figures(card, "| a |")
    assert "Not measured" not in once
    assert once == with_figures(once, "| a |")
    assert once.endswith("## Limits\n\nMany.\n")


def test_the_learning_rate_warms_up_in_every_phase_and_ends_in_a_tail(tmp_path: Path) -> None:
    options = toy_options(
        tmp_path,
        teacher_steps=100,
        translation_steps=100,
        released_steps=100,
        loop={"warm_up_steps": 10, "tail": 0.5},
    )
    rates = [rate_share(options.loop, step, options.total_steps, options.phase_starts) for step in range(300)]
    assert rates[0] == rates[100] == pytest.approx(0.1)
    assert rates[50] == 1.0
    assert rates[225] == pytest.approx(0.5)
    assert rates[299] == pytest.approx(0.02)


def test_wrong_options_are_all_named_and_exit_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["style", "--style", str(tmp_path / "none.png"), "--content", str(tmp_path / "nowhere")]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "none.png does not exist" in said
    assert "nowhere does not exist" in said
    assert main(["style", "--set", "batch=0", "crop=1", "--set", "colour=red", "loop.threads=0"]) == 2
    said = capsys.readouterr().err
    assert all(key in said for key in ("batch", "crop", "colour", "loop.threads"))


def test_the_encoder_gives_four_layers_of_falling_size() -> None:
    with torch.no_grad():
        features = Encoder()(torch.full((1, 3, 24, 40), 0.5))
    assert [tuple(layer.shape[1:]) for layer in features] == [
        (64, 24, 40), (128, 12, 20), (256, 6, 10), (512, 3, 5),
    ]  # fmt: skip


def test_spread_weights_do_at_every_factor_what_those_for_factor_1_do() -> None:
    torch.manual_seed(2)
    network = WarpMask(stem=4, width=8, blocks=1).eval()
    for values in network.parameters():
        torch.nn.init.normal_(values, std=0.1)
    picture = torch.rand(1, 3, 16, 16)

    def heads(factor: float) -> torch.Tensor:
        with torch.no_grad():
            return network.translate(picture, torch.tensor([factor]))

    before = heads(1.0)
    assert not torch.allclose(heads(3.0), before)
    spread(network)
    assert torch.equal(heads(1.0), before)
    assert torch.allclose(heads(3.0), before, atol=1e-4)
