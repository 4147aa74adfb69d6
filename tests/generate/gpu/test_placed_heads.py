"""Effects whose heads are placed or added, on frames on a device, here the CPU: as in main memory."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from streamfx.engine.library import load_engine
from streamfx.errors import FrameError
from streamfx.generate.effect import Effect, open_effect
from streamfx.generate.gpu import placed_heads as placing
from streamfx.generate.gpu.effect import Step
from streamfx.generate.gpu.placement import DevicePlacement
from streamfx.generate.network_input import standard_noise
from streamfx.generate.tiles import tile_shape
from streamfx.gpu.layout import Layout
from streamfx.gpu.transfer import device_picture_of
from streamfx.media.frame import Frame, Subsampling, VideoFormat
from tests import fake_cuda
from tests.generate.gpu.test_effect import device_context, furthest, noise, settings, video
from tests.generate.ops.test_gpu_kernels import needs_triton, output_of

SIZE = (43, 59)  # no multiples of any stride
LAYOUTS = [("planar", 8), ("planar", 10), ("nv12", 8), ("p010", 10)]


def form_of(depth: int, subsampling: Subsampling = Subsampling.YUV420) -> VideoFormat:
    return replace(video(depth, subsampling), size=SIZE)


class Pair:
    """The same effect in main memory and on a device."""

    def __init__(self, asked: str, folder: Path, form: VideoFormat) -> None:
        self.processing_device = DevicePlacement(device_context(), form)
        self.ordinary = open_effect(asked, settings(folder, None))
        self.resident = open_effect(asked, settings(folder, self.processing_device))
        assert isinstance(self.resident.on_device, Step)
        self.step = self.resident.on_device

    @property
    def both(self) -> tuple[Effect, Effect]:
        return self.ordinary, self.resident

    def differ(self, frame: Frame, *, semi_planar: bool = False) -> int:
        """Return by how many codes their results differ at most; the frame is changed by both."""
        there = self.processing_device.device_context.up(frame)
        if semi_planar:
            form = Layout.of_frame(frame).semi_planar
            there = there.with_device_pixels(
                self.processing_device.device_context.as_form(device_picture_of(there), form, "as decoded")
            )
        done = self.resident.process(there)
        assert done.device_pixels is not None
        found = self.processing_device.leave(done)
        assert furthest(found, frame) > 4
        return furthest(found, self.ordinary.process(frame))


def test_channels_with_an_amplitude_of_their_own_have_it_on_the_device_too(tmp_path: Path) -> None:
    folder = tmp_path / "snow"
    shutil.copytree(load_engine("snow").folder, folder)
    spec = (folder / "engine.yaml").read_text().replace("format: 1\n", "format: 4\n")
    spec = spec.replace("detail_noise_channels: 0\n", "detail_noise_channels: 2\n")
    control = "  detail_amplitude: {low: 0.0, high: 1.0, default: 0.0}\n"
    (folder / "engine.yaml").write_text(spec.replace("controls:\n", f"controls:\n{control}"))
    form = form_of(8)
    pair = Pair(f"{folder}:factor=2,noise_amplitude=0.2,detail_amplitude=1", tmp_path, form)
    assert pair.differ(noise(form)) <= 1
    pictures = []
    for amplitude in (0.0, 1.0):
        for effect in pair.both:
            effect.controls = replace(effect.controls, noise_amplitude=0.0, detail_amplitude=amplitude)
        assert pair.differ(noise(form)) <= 1
        pictures.append(pair.ordinary.process(noise(form)))
    assert furthest(*pictures) > 4


@pytest.mark.parametrize(("layout", "depth"), LAYOUTS)
@pytest.mark.parametrize(
    "asked",
    [
        "snow:factor=2,strength=0.8,noise_amplitude=1",  # twice the size of what it sees
        "cafe:factor=1,strength=0.8",  # each plane on its own grid, its edge repeated
        "cafe:factor=2,strength=0.8",
        "restore:strength=0.8",  # added, its edge repeated
    ],
)
def test_placed_and_added_pictures_are_those_of_the_ordinary_effect(
    asked: str, tmp_path: Path, layout: str, depth: int
) -> None:
    form = form_of(depth)
    pair = Pair(asked, tmp_path, form)
    assert pair.differ(noise(form), semi_planar=layout != "planar") <= 1


@pytest.mark.parametrize("subsampling", [Subsampling.YUV422, Subsampling.YUV444])
@pytest.mark.parametrize("asked", ["cafe:factor=2", "restore"])
def test_other_subsamplings_are_placed_as_well(asked: str, tmp_path: Path, subsampling: Subsampling) -> None:
    form = form_of(8, subsampling)
    assert Pair(asked, tmp_path, form).differ(noise(form)) <= 1


@pytest.mark.parametrize("graphs", [False, True])
def test_strength_noise_and_seed_change_between_frames_without_another_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphs: bool
) -> None:
    if graphs:
        fake_cuda.install_for_residents(monkeypatch)
    form = form_of(8)
    pair = Pair("snow:factor=2", tmp_path, form)
    pictures = []
    for strength, amplitude, seed, shot in (
        (1.0, 0.0, 0, 0),
        (1.0, 1.0, 0, 0),
        (0.5, 1.0, 0, 0),
        (1.0, 1.0, 0, 1),
        (1.0, 1.0, 3, 1),
        (1.0, 1.0, 0, 0),
    ):
        for effect in pair.both:
            effect.controls = replace(
                effect.controls, strength=strength, noise_amplitude=amplitude, seed=seed
            )
        frame = replace(noise(form), shot=shot)
        assert pair.differ(frame) <= 1
        pictures.append(pair.processing_device.leave(pair.resident.process(frame)))
    assert all(furthest(one, other) > 1 for one, other in pairwise(pictures))
    assert furthest(pictures[1], pictures[-1]) == 0
    assert len(pair.step._recordings) == 1


def test_noise_is_brought_to_the_device_once_for_a_shot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = form_of(8)
    resident = Pair("snow:factor=2", tmp_path, form).resident
    drawn: list[tuple[int, int]] = []

    def noted(seed: int, shot: int, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        drawn.append((seed, shot))
        return standard_noise(seed, shot, *shape)

    monkeypatch.setattr(placing, "standard_noise", noted)
    for index, shot in enumerate((0, 0, 0, 1, 1)):
        resident.process(replace(noise(form, index), shot=shot))
    assert drawn == [(0, 0), (0, 1)]


def test_a_large_picture_goes_through_the_network_in_bands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = replace(video(), size=(440, 48))
    pair = Pair("restore", tmp_path, form)
    seen: list[tuple[int, ...]] = []
    run = pair.step.network.engine.run

    def noted(what: torch.Tensor, *others: object) -> None:
        seen.append(tuple(what.shape))
        run(what, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(pair.step.network.engine, "run", noted)
    monkeypatch.setattr(placing, "tile_shape", lambda shape, spec: tile_shape(shape, spec, 48 * 240))
    assert pair.differ(noise(form)) <= 1
    assert len(seen) >= 3
    assert set(seen) == {(1, 3, 240, 48)}


def test_values_that_are_not_finite_are_an_error_that_names_engine_and_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = form_of(8)
    pair = Pair("cafe:factor=2", tmp_path, form)
    monkeypatch.setattr(pair.step.network.engine, "run", lambda *given: given[-1].fill_(float("nan")))
    with pytest.raises(FrameError, match=r"engine 'cafe' \(eager, f32\), frame 7: .* not finite"):
        pair.resident.process(noise(form, 7))


def test_the_kernels_of_a_gpu_put_together_give_what_the_ordinary_flow_gives(tmp_path: Path) -> None:
    needs_triton()
    told = output_of("interpreted_steps", interpreted=True, cache=tmp_path, package="tests.generate.gpu")
    differences = json.loads(told)
    assert len(differences) == 24  # kinds of engines by forms
    assert {name: codes for name, codes in differences.items() if codes > 1} == {}
