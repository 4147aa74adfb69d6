"""Effects on frames on a device, here the CPU, equal to effects on frames in main memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from streamfx.backends.store import CompiledStore
from streamfx.capture.cuts import thumbnail
from streamfx.capture.shots import ShotSource
from streamfx.errors import DeviceMemoryError, FrameError
from streamfx.factor.choice import FactorChoice
from streamfx.generate.chain import Chain, open_chain
from streamfx.generate.effect import Effect, EffectSettings, open_effect
from streamfx.generate.gpu.effect import MOST_RECORDINGS, Step
from streamfx.generate.gpu.placement import DevicePlacement
from streamfx.generate.people.effects import open_people_effect
from streamfx.generate.people.matting import Matte, Matting
from streamfx.generate.request import parse_effect
from streamfx.generate.where import Where
from streamfx.gpu.layout import Layout
from streamfx.gpu.pool import Lease
from streamfx.gpu.streams import Event, Meter, TimedEvent
from streamfx.gpu.transfer import DeviceContext, MemoryBudget, device_picture_of
from streamfx.hardware.cuda import Device
from streamfx.media.frame import Colour, Frame, Subsampling, VideoFormat
from streamfx.media.frame_memory import FrameMemories
from streamfx.run.effects import warm_up
from tests import fake_cuda
from tests.engines import make_engine, make_inked_engine
from tests.fakes import FakeSource
from tests.gpu.test_pool import ScarceMemory
from tests.scenes import FORMAT, scene_frame

SIZE = (83, 149)
BUDGET = MemoryBudget(pool_bytes=1 << 20, least=3)


def video(depth: int = 8, subsampling: Subsampling = Subsampling.YUV420) -> VideoFormat:
    return VideoFormat(SIZE, subsampling, depth, Colour(), Fraction(1, 25))


def noise(form: VideoFormat, index: int = 0) -> Frame:
    random, dtype = np.random.default_rng(index), np.uint8 if form.depth == 8 else np.uint16
    chroma = form.subsampling.chroma_size(form.size)
    sizes = (form.size, chroma, chroma)
    planes: Any = tuple(random.integers(0, 1 << form.depth, size).astype(dtype) for size in sizes)
    return form.frame(planes, index=index, pts=index)


def device_context(**named: object) -> DeviceContext:
    return DeviceContext(torch.device("cpu"), BUDGET, **named)  # type: ignore[arg-type]


def settings(tmp_path: Path, processing_device: DevicePlacement | None) -> EffectSettings:
    store = CompiledStore(tmp_path)
    return EffectSettings(
        backend="eager", device=Device.CPU, threads=1, store=store, processing_device=processing_device
    )


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny engine of the fused kind, by its folder."""
    return str(make_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture(scope="module")
def inked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny engine with heads of ink, which sees fine luma, by its folder."""
    return str(make_inked_engine(tmp_path_factory.mktemp("engines")))


def pair(
    engine: str, tmp_path: Path, form: VideoFormat, *, stays: bool = False
) -> tuple[Effect, Effect, DevicePlacement]:
    """Return the same effect in main memory and on a device, and what keeps frames there."""
    processing_device = DevicePlacement(device_context(), form, stays)
    asked = f"{engine}:factor=2,strength=0.8"
    return (
        open_effect(asked, settings(tmp_path, None)),
        open_effect(asked, settings(tmp_path, processing_device)),
        processing_device,
    )


def furthest(one: Frame, other: Frame) -> int:
    """Return the largest difference of two frames, in codes."""
    return max(
        int(np.abs(a.astype(int) - b.astype(int)).max())
        for a, b in zip(one.planes, other.planes, strict=True)
    )


class LeftHalf:
    """Finds a person in the left half of every frame."""

    def matte(self, frame: Frame) -> Matte:
        share = np.zeros(frame.size, np.uint8)
        share[:, : frame.size[1] // 2] = 255
        return Matte(share)

    def close(self) -> None: ...


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("stays", [False, True])
def test_a_chain_whose_effects_act_on_parts_gives_the_same_wherever_frames_are(
    engine: str, tmp_path: Path, depth: int, stays: bool
) -> None:
    form = video(depth)
    ordinary, resident, processing_device = pair(engine, tmp_path, form, stays=stays)
    frame, finder = noise(form), cast("Matting", LeftHalf())
    effects = [
        open_people_effect(parse_effect(text), EffectSettings()) for text in ("blur", "backdrop:colour=red")
    ]
    for each in (ordinary, resident):
        each.controls = replace(each.controls, where=Where.PERSON)
    expected = Chain((ordinary, *effects), matting=finder).process(frame)
    chain = Chain((resident, *effects, resident), processing_device, finder)
    again = Chain((ordinary,), matting=finder).process(expected)
    done = chain.process(processing_device.device_context.up(frame))
    assert (done.device_pixels is not None) is stays
    assert furthest(processing_device.device_context.down(done), again) <= 2


@pytest.mark.parametrize("kind", ["engine", "inked"])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("semi_planar", [False, True])
def test_a_resident_effect_gives_what_the_ordinary_one_gives(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, depth: int, semi_planar: bool
) -> None:
    form = video(depth)
    ordinary, resident, processing_device = pair(request.getfixturevalue(kind), tmp_path, form)
    frame = noise(form)
    there = processing_device.device_context.up(frame)
    if semi_planar:  # NV12 and P010
        there = there.with_device_pixels(
            processing_device.device_context.as_form(
                device_picture_of(there), Layout.of_frame(frame).semi_planar, "as"
            )
        )
    done = resident.process(there)
    assert done.device_pixels is not None
    assert list(done.planes) == []
    assert furthest(processing_device.leave(done), ordinary.process(frame)) <= 1
    assert furthest(done.fetched(), processing_device.leave(done)) == 0
    assert furthest(done.fetched(), frame) > 10


@pytest.mark.parametrize("depth", [8, 10])
def test_a_frame_of_main_memory_begins_as_a_decoder_there_would_have_given_it(depth: int) -> None:
    frame, there = noise(video(depth)), device_context()
    planar = device_picture_of(there.as_decoded(frame))
    assert Layout.of(planar.surface) == Layout.of_frame(frame)
    there.interleaved = True
    begun = there.as_decoded(frame)
    form = Layout.of_frame(frame).semi_planar
    assert Layout.of(device_picture_of(begun).surface) == form
    converted = there.as_form(planar, form, "to compare")  # NV12 and P010, as the device itself makes them
    planes = zip(device_picture_of(begun).surface.planes, converted.surface.planes, strict=True)
    assert all(torch.equal(one, other) for one, other in planes)
    assert furthest(begun.fetched(), frame) == 0


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("semi_planar", [False, True])
def test_cuts_are_seen_in_frames_that_are_on_a_device(depth: int, semi_planar: bool) -> None:
    frame, processing_device = noise(video(depth)), device_context()
    processing_device.interleaved = semi_planar  # NV12 and P010
    assert (thumbnail(processing_device.as_decoded(frame)) == thumbnail(frame)).all()


def test_frames_on_a_device_are_numbered_by_shot() -> None:
    processing_device = device_context()
    scenes = [replace(scene_frame(index // 5, index), index=index) for index in range(10)]
    there = FakeSource(10, picture=lambda index: processing_device.as_decoded(scenes[index]), format=FORMAT)
    shots = ShotSource(there)
    assert [frame.shot for frame in iter(shots.read, None)] == [0] * 5 + [1] * 5


@pytest.mark.parametrize("subsampling", [Subsampling.YUV422, Subsampling.YUV444])
def test_other_subsamplings_are_done_as_well(engine: str, tmp_path: Path, subsampling: Subsampling) -> None:
    form = video(8, subsampling)
    ordinary, resident, processing_device = pair(engine, tmp_path, form)
    frame = noise(form)
    assert furthest(processing_device.leave(resident.process(frame)), ordinary.process(frame)) <= 1


def test_a_chain_stays_on_the_device_between_its_effects(engine: str, tmp_path: Path) -> None:
    form = video()
    processing_device = DevicePlacement(device_context(), form)
    texts = [f"{engine}:factor=2", f"{engine}:factor=4,strength=0.5"]
    chain, ordinary = (open_chain(texts, settings(tmp_path, each)) for each in (processing_device, None))
    chain.warm_up(form)
    frame = noise(form)
    done = chain.process(frame)
    assert done.device_pixels is None
    assert (done.pts, done.index, done.colour) == (frame.pts, frame.index, frame.colour)
    assert furthest(done, ordinary.process(frame)) <= 2  # one for each effect


def test_an_output_on_the_device_gets_frames_there_as_encoders_take_them(engine: str, tmp_path: Path) -> None:
    form = video()
    ordinary, resident, processing_device = pair(engine, tmp_path, form, stays=True)
    frame = noise(form)
    done = processing_device.leave(resident.process(frame))
    assert Layout.of(device_picture_of(done).surface) == Layout(SIZE, paired=True)
    assert furthest(done.fetched(), ordinary.process(frame)) <= 1
    untouched = processing_device.leave(frame)  # as at strength 0
    assert furthest(untouched.fetched(), frame) == 0


def test_strength_changes_between_frames_without_another_recording(engine: str, tmp_path: Path) -> None:
    form = video()
    ordinary, resident, processing_device = pair(engine, tmp_path, form)
    for index, strength in enumerate((0.8, 0.3, 1.0, 0.0)):
        for effect in (ordinary, resident):
            effect.controls = replace(effect.controls, strength=strength)
        frame = noise(form, index)
        assert furthest(processing_device.leave(resident.process(frame)), ordinary.process(frame)) <= 1
    step = resident.on_device
    assert isinstance(step, Step)
    assert len(step._recordings) == 1


def test_with_ink_and_fine_luma_it_is_recorded_as_any_other(
    inked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cuda.install_for_residents(monkeypatch)
    form = video()
    ordinary, resident, processing_device = pair(inked, tmp_path, form)
    step = resident.on_device
    assert isinstance(step, Step)
    step.prepare(form, 2.0)
    (recording,) = step._recordings.values()
    assert recording._graph is not None
    for index, strength in enumerate((1.0, 0.3)):
        for effect in (ordinary, resident):
            effect.controls = replace(effect.controls, strength=strength)
        frame = noise(form, index)
        assert furthest(processing_device.leave(resident.process(frame)), ordinary.process(frame)) <= 1
    assert list(step._recordings.values()) == [recording]


def test_each_factor_and_size_is_recorded_once_and_old_ones_make_room(engine: str, tmp_path: Path) -> None:
    _, resident, _ = pair(engine, tmp_path, video())
    step = resident.on_device
    assert isinstance(step, Step)
    for factor in (2.0, 4.0, 2.0):
        resident.warm_up(video(), factor)
    assert [kind.factor for kind in step._recordings] == [2.0, 4.0]
    for columns in range(MOST_RECORDINGS):
        resident.warm_up(replace(video(), size=(80, 80 + 2 * columns)), 2.0)
    assert len(step._recordings) == MOST_RECORDINGS
    resident.close()
    assert not step._recordings


class Work:
    """An event of a GPU, passed when it is told."""

    def __init__(self, at_ms: float) -> None:
        self.at_ms, self.done = at_ms, False

    def query(self) -> bool:
        return self.done

    def synchronize(self) -> None:
        assert self.done, "nobody waits for a frame only to time it"

    def elapsed_time(self, later: Work) -> float:
        return later.at_ms - self.at_ms


def test_what_a_device_takes_is_told_when_it_is_known_and_in_order() -> None:
    meter = Meter()
    told: list[float] = []
    ends: list[Any] = [Work(at_ms) for at_ms in (30, 70, 90)]
    begins: list[Any] = [Work(at_ms) for at_ms in (10, 40, 80)]
    for begin, end in zip(begins[:2], ends[:2], strict=True):
        meter.took(TimedEvent(0, begin), TimedEvent(0, end), told.append)
    assert told == []
    ends[0].done = ends[1].done = True
    meter.took(TimedEvent(0, begins[2]), TimedEvent(0, ends[2]), told.append)
    assert told == [pytest.approx(0.02), pytest.approx(0.03)]


class Pending:
    """What a GPU has not come to: an event that is passed once somebody waits for it."""

    def __init__(self) -> None:
        self.waited = False

    def query(self) -> bool:
        return self.waited

    def synchronize(self) -> None:
        self.waited = True


def test_a_recording_lives_until_its_work_is_done_though_it_is_forgotten_meanwhile(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = video()
    _, resident, processing_device = pair(engine, tmp_path, form)
    resident.warm_up(form)
    step, there, given = resident.on_device, processing_device.device_context, list[Pending]()
    assert isinstance(step, Step)
    (kind,) = step._recordings
    ended: list[bool] = []
    weakref.finalize(step._recordings[kind], lambda: ended.append(all(each.waited for each in given)))
    place = there.place

    def exchanged_meanwhile(purpose: str, *others: Any, **named: Any) -> Lease:
        if purpose.startswith("done by") and step.network.engine.version == kind.version:
            step.network.engine.version += 1  # as another thread does while this one waits for a place
            step.record(kind._replace(version=kind.version + 1))
        return place(purpose, *others, **named)

    def pending() -> Event:
        given.append(Pending())
        return Event(given[-1])  # type: ignore[arg-type]

    monkeypatch.setattr(
        DeviceContext, "place", lambda self, *others, **named: exchanged_meanwhile(*others, **named)
    )
    monkeypatch.setattr(there.work, "record_event", pending)
    resident.process(noise(form))
    gc.collect()
    assert [each.version for each in step._recordings] == [kind.version + 1]
    assert len(given) == 2  # of what made room, and of the frame
    assert ended == [True]


def test_the_recording_needed_longest_ago_makes_room(engine: str, tmp_path: Path) -> None:
    _, resident, _ = pair(engine, tmp_path, video())
    step = resident.on_device
    assert isinstance(step, Step)
    sizes = [(80, 80 + 2 * columns) for columns in range(MOST_RECORDINGS + 1)]
    for size in sizes[:-1]:
        resident.warm_up(replace(video(), size=size), 2.0)
    resident.process(noise(replace(video(), size=sizes[0])))
    resident.warm_up(replace(video(), size=sizes[-1]), 2.0)
    assert [kind.form.size for kind in step._recordings] == [*sizes[2:-1], sizes[0], sizes[-1]]


def test_slots_are_given_back_when_frames_are_gone(engine: str, tmp_path: Path) -> None:
    form = video()
    _, resident, processing_device = pair(engine, tmp_path, form)
    kept = [resident.process(noise(form, index)) for index in range(3)]
    for frame in kept:
        processing_device.leave(frame)
    del kept, frame
    assert all(pool.free == pool.slots for pool in processing_device.device_context._pools.values())


def test_what_is_not_finite_ends_as_an_error_that_names_engine_and_frame(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = video()
    _, resident, processing_device = pair(engine, tmp_path, form)
    step = resident.on_device
    assert isinstance(step, Step)
    run = step.network.engine.run

    def broken(seen: torch.Tensor, *others: Any) -> None:
        run(seen, *others)
        others[-1].fill_(float("nan"))

    monkeypatch.setattr(step.network.engine, "run", broken)
    with pytest.raises(FrameError, match=r"engine 'tiny' \(eager, f32\), frame 7: .* not finite"):
        resident.process(noise(form, 7))
    monkeypatch.undo()
    done = device_picture_of(resident.process(noise(form, 8)))
    done.non_finite_flags[0].flag.fill_(1)  # as a GPU leaves it
    with pytest.raises(FrameError, match=r"engine 'tiny' \(eager, f32\), frame 8: .* not finite"):
        processing_device.device_context.down(noise(form, 8).with_device_pixels(done))


def test_an_effect_that_enlarges_takes_its_frames_through_main_memory_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    form = replace(video(), size=(16, 24))
    processing_device = DevicePlacement(device_context(), form, insisted=True)
    chain = open_chain(["upscale"], settings(tmp_path, processing_device))
    assert chain.effects[0].parts[0].on_device is None
    assert "effect upscale: frames go through main memory: it makes frames larger" in caplog.text
    frame = noise(form)
    there = processing_device.device_context.up(frame)
    assert furthest(chain.process(there), chain.process(frame)) == 0


def test_a_frame_says_what_does_not_fit_its_pixels_on_a_device() -> None:
    frame = noise(video())
    held = device_context().up(frame).device_pixels
    with pytest.raises(FrameError, match="no planes beside them; found 4:2:0 8-bit, 3 planes"):
        replace(frame, device_pixels=held)
    with pytest.raises(FrameError, match="frame 0: its pixels must be on a device, and are in main memory"):
        device_picture_of(frame)


def test_without_device_memory_the_next_larger_factor_is_taken(engine: str, tmp_path: Path) -> None:
    form = video()
    chain = open_chain([engine], settings(tmp_path, DevicePlacement(device_context(), form)))
    effect = chain.effects[0]
    assert isinstance(effect, Effect)
    assert isinstance(effect.on_device, Step)
    recorded = effect.on_device._recorded

    def scarce(kind: object) -> object:
        if kind.factor < 4:  # type: ignore[attr-defined]
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return recorded(kind)  # type: ignore[arg-type]

    effect.on_device._recorded = scarce  # type: ignore[method-assign, assignment]
    effect.controls = replace(effect.controls, factor=2.0)
    choice = warm_up(chain, [effect], form, FactorChoice(2.0, "fits"))
    assert choice is not None
    assert choice.factor == effect.controls.factor == 4.0
    assert "device memory does not suffice for 2" in choice.reason
    effect.controls = replace(effect.controls, factor=2.0)
    with pytest.raises(DeviceMemoryError, match=r"engine|'tiny' .* at factor 2 for frames of 149x83"):
        warm_up(chain, [], form, None)  # the user's own factor is not changed


def test_a_device_without_memory_for_one_frame_says_so() -> None:
    tight = device_context(allocate=ScarceMemory(1000))
    with pytest.raises(DeviceMemoryError, match=r"asked for 3 frames uploaded of 149x83"):
        tight.up(noise(video()))


def test_the_core_needs_no_video_library_and_none_for_the_cpu() -> None:
    code = (
        "import sys, streamfx.generate.gpu.effect, streamfx.gpu.transfer\n"
        "print(*sorted({'av', 'numba', 'openvino', 'cv2', 'pydantic', 'yaml'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_a_resident_effect_remembers_as_the_ordinary_one_does(tmp_path: Path) -> None:
    engine = make_inked_engine(tmp_path / "engines", format=3, memory_tolerance=0.05)
    form = video()
    ordinary, resident, processing_device = pair(str(engine), tmp_path, form)
    still, memories, others = noise(form).planes, FrameMemories(), FrameMemories()
    differs = []
    for index in range(6):
        random = np.random.default_rng(index)
        planes: Any = tuple(
            np.clip(plane * 0.8 + 20 + random.normal(0, 2, plane.shape), 0, 255).astype(np.uint8)
            for plane in still
        )
        frame = form.frame(planes, index=index, pts=index)
        if index == 4:
            for effect in (ordinary, resident):
                effect.controls = replace(effect.controls, factor=4)
        memory, other = memories.next(), others.next()
        found = processing_device.leave(resident.process(frame.with_memory(memory)))
        assert furthest(found, ordinary.process(frame.with_memory(other))) <= 1
        memory.close()
        other.close()
        differs.append(furthest(found, ordinary.process(frame)) > 1)
    assert differs == [False, True, True, True, False, True]
