"""The matte on a device, here the CPU: formed and mixed by as in main memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from streamfx.errors import FrameError
from streamfx.generate.chain import open_chain
from streamfx.generate.effect import EffectSettings
from streamfx.generate.gpu.mixing import mixed
from streamfx.generate.gpu.placement import DevicePlacement
from streamfx.generate.ops.matte.definition import matte_reference, mean_over, mix_reference
from streamfx.generate.ops.matte.device import matte_on
from streamfx.gpu.layout import Layout
from streamfx.gpu.pool import Slot, device_memory
from streamfx.gpu.transfer import device_picture_of
from streamfx.media.frame import Frame, Subsampling
from streamfx.media.frame_memory import FrameMemories
from tests.engines import make_engine
from tests.generate.gpu.test_effect import device_context, furthest, noise, settings, video

LAYOUTS = [("planar", 8), ("planar", 10), ("nv12", 8), ("p010", 10)]


def layout_of(frame: Frame, kind: str) -> Layout:
    planar = Layout.of_frame(frame)
    return planar if kind == "planar" else planar.semi_planar


@pytest.mark.parametrize(("kind", "depth"), LAYOUTS)
@pytest.mark.parametrize("subsampling", list(Subsampling))
@pytest.mark.parametrize("inverted", [False, True])
def test_a_matte_is_formed_and_mixed_by_as_the_definition_says(
    kind: str, depth: int, subsampling: Subsampling, inverted: bool
) -> None:
    context, form = device_context(), video(depth, subsampling)
    over, under = noise(form, 1), noise(form, 2)
    rng = np.random.default_rng(3)
    heads = rng.normal(0.5, 1, (3, 11, 17)).astype(np.float32)
    heads[1:] *= 0.01
    reduced = rng.uniform(0, 1 << depth, (11, 17)).astype(np.float32)
    layout, flag = layout_of(over, kind), torch.zeros(1, dtype=torch.int32)
    there = [context.up(frame) for frame in (over, under)]
    there = [
        each.with_device_pixels(context.as_form(device_picture_of(each), layout, "to test")) for each in there
    ]
    target = Slot.new(layout, device_memory(torch.device("cpu")))
    source = device_picture_of(there[0]).surface
    matte_on(
        source, target.surface, torch.from_numpy(heads)[None], torch.from_numpy(reduced)[None, None], flag
    )
    assert flag.tolist() == [0]
    place = context.place("the matte", layout)
    place.slot.memory.copy_(target.memory)
    matte = there[0].with_device_pixels(replace(device_picture_of(there[0]), lease=place))
    share = matte.fetched().planes[0].astype(np.uint8)
    assert np.abs(share.astype(int) - matte_reference(over.planes[0], heads, reduced)).max() <= 1
    for plane in matte.fetched().planes[1:]:
        np.testing.assert_array_equal(plane, mean_over(share, subsampling.steps))
    made = mixed(context, there[0], there[1], matte, inverted=inverted).fetched()
    right = mix_reference(*((under, over) if inverted else (over, under)), share)
    for plane, expected in zip(made.planes, right, strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_a_head_that_is_not_finite_raises_the_flag_of_its_picture() -> None:
    frame, flag = noise(video()), torch.zeros(1, dtype=torch.int32)
    source, target = (Slot.new(Layout.of_frame(frame), device_memory(torch.device("cpu"))) for _ in range(2))
    heads = torch.zeros((1, 3, 4, 4))
    heads[0, 1, 2, 2] = torch.nan
    matte_on(source.surface, target.surface, heads, torch.zeros((1, 1, 4, 4)), flag)
    assert flag.tolist() == [1]


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("stays", [False, True])
def test_a_chain_finds_people_and_acts_on_them_where_the_frames_are(
    tmp_path: Path, depth: int, stays: bool
) -> None:
    engine, form = make_engine(tmp_path / "engines"), replace(video(depth), size=(96, 128))
    device = DevicePlacement(device_context(), form, stays)
    asked = [f"{engine}:factor=2,where=person", "blur:strength=1", f"{engine}:factor=2,where=background"]
    ordinary = open_chain(asked, settings(tmp_path / "store", None))
    resident = open_chain(asked, settings(tmp_path / "store", device))
    for chain in (ordinary, resident):
        chain.warm_up(form)
    assert resident.matting is not None
    assert resident.matting.network.on_device is not None
    memories = FrameMemories(), FrameMemories()
    for index in range(3):  # the engine looks back on the frames before
        frame = noise(form, index)
        here, there = (frame.with_memory(each.next()) for each in memories)
        done = resident.process(device.device_context.up(there))
        assert (done.device_pixels is not None) is stays
        assert furthest(device.device_context.down(done), ordinary.process(here)) <= 3 << (depth - 8)
        for each in (here, there):
            assert each.memory is not None
            each.memory.close()
    for chain in (ordinary, resident):
        chain.close()


def test_the_matte_is_fetched_for_what_works_in_main_memory(tmp_path: Path) -> None:
    form = replace(video(), size=(96, 128))
    device = DevicePlacement(device_context(), form)
    chain = open_chain(["mask"], settings(tmp_path, device))
    assert chain.matting is not None
    there = device.device_context.up(noise(form))
    matte = chain.matting.matte(there)
    assert matte.on_device is not None
    shown = chain.process(there).planes[0].astype(int)
    assert np.abs((shown - 16) * 255 / 219 - matte.share).max() <= 1
    chain.close()


def test_settings_without_a_device_keep_the_matte_in_main_memory(tmp_path: Path) -> None:
    chain = open_chain(["mask"], replace(settings(tmp_path, None), processing_device=None))
    assert isinstance(settings(tmp_path, None), EffectSettings)
    assert chain.matting is not None
    assert chain.matting.matte(noise(replace(video(), size=(96, 128)))).on_device is None
    with pytest.raises(FrameError, match="must be on a device"):
        device_picture_of(noise(video()))
    chain.close()
