"""Effects: reduce ▸ translate ▸ fuse on frames of every kind, their controls, and how a user names them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from streamfx.backends.backend import CompileOptions, Precision
from streamfx.backends.eager import EagerBackend
from streamfx.backends.store import CompiledStore
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import Array
from streamfx.engine.spec import EngineSpec
from streamfx.errors import BackendUnavailableError, ConfigError, EngineNotFoundError, FrameError
from streamfx.generate.chain import Chain, open_chain
from streamfx.generate.effect import Effect, EffectSettings, open_effect
from streamfx.generate.ops.fuse.definition import fuse_reference
from streamfx.generate.ops.reduce.definition import reduce_reference, small_size
from streamfx.generate.request import Controls, EffectRequest, parse_effect
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Frame, Matrix, Plane, Subsampling, VideoFormat
from streamfx.media.frame_memory import FrameMemories
from tests.engines import make_engine

HD = Colour(Matrix.BT709, CodeRange.LIMITED)
HDR = Colour(Matrix.BT2020_NCL, CodeRange.LIMITED, primaries=9, transfer=16)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture
def effect(engine: Engine) -> Effect:
    return Effect(engine, EagerBackend().compile(engine, CompileOptions()))


@pytest.fixture
def settings(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> EffectSettings:
    folder = engine.folder.parent
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder))
    return EffectSettings("openvino", Precision.F32, threads=1, store=CompiledStore(folder / "compiled"))


def make_frame(
    size: tuple[int, int] = (48, 64),
    subsampling: Subsampling = Subsampling.YUV420,
    depth: int = 8,
    colour: Colour = HD,
    seed: int = 3,
) -> Frame:
    """Return a frame of random blocks with values that are legal in limited range."""
    rng = np.random.default_rng(seed)
    step = 1 << (depth - 8)

    def plane(size: tuple[int, int]) -> Plane:
        blocks = rng.integers(20 * step, 230 * step, (-(-size[0] // 4), -(-size[1] // 4)))
        samples = blocks.repeat(4, axis=0).repeat(4, axis=1)[: size[0], : size[1]]
        return samples.astype(np.uint8) if depth == 8 else samples.astype(np.uint16)

    chroma_size = subsampling.chroma_size(size)
    planes = (plane(size), plane(chroma_size), plane(chroma_size))
    return Frame(planes, subsampling, depth, colour, 5, 50, Fraction(1, 25), duration=10, captured_ns=99)


def by_definition(engine: Engine, frame: Frame, controls: Controls) -> list[Plane]:
    """Return the effect's planes by the float64 references and the network itself."""
    import torch

    colour = frame.colour.assumed(frame.size[0])
    small = small_size(frame.size, controls.factor, engine.stride)
    reduced = reduce_reference(frame.planes, frame.subsampling, colour, small).astype(np.float32)
    with torch.inference_mode():
        heads = engine.network()(
            torch.from_numpy(reduced)[None],
            torch.from_numpy(code_to_rgb(colour, frame.depth).astype(np.float32)),
            torch.from_numpy(rgb_to_code(colour, frame.depth).astype(np.float32)),
            torch.tensor([controls.factor], dtype=torch.float32),
        )[0].numpy()
    planes = fuse_reference(
        frame.planes,
        heads,
        reduced,
        subsampling=frame.subsampling,
        depth=frame.depth,
        code_range=colour.code_range,
        chroma_location=colour.chroma_location,
        strength=controls.strength,
        max_displacement_pixels=engine.spec.max_displacement_pixels,
    )
    return list(planes)


@pytest.mark.parametrize(
    "frame",
    [
        make_frame(),
        make_frame((47, 61)),
        make_frame(subsampling=Subsampling.YUV422, depth=10, colour=HDR),
        make_frame(subsampling=Subsampling.YUV444, colour=Colour(Matrix.SMPTE170M, CodeRange.FULL)),
        make_frame(colour=Colour()),
    ],
    ids=["4:2:0", "odd size", "HDR 10 bit 4:2:2", "full range 4:4:4", "not tagged"],
)
@pytest.mark.parametrize("controls", [Controls(1, 4), Controls(0.6, 1), Controls(0.3, 2.7)])
def test_an_effect_is_reduce_translate_and_fuse_as_defined(
    engine: Engine, effect: Effect, frame: Frame, controls: Controls
) -> None:
    effect.controls = controls
    found = effect.process(frame)
    for plane, expected in zip(found.planes, by_definition(engine, frame, controls), strict=True):
        error = np.abs(plane.astype(int) - expected.astype(int))
        # Rounding of the reduced picture is magnified by the random network, so more than one code in a few.
        assert error.max() <= 2 << (frame.depth - 8)
        assert (error > 1 << (frame.depth - 8)).mean() < 0.01
    assert np.abs(found.planes[0].astype(int) - frame.planes[0]).mean() > 1


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 200), (5, 4)])
@pytest.mark.parametrize("subsampling", list(Subsampling))
def test_frames_smaller_than_the_stride_work_too(
    effect: Effect, size: tuple[int, int], subsampling: Subsampling
) -> None:
    frame = make_frame(size, subsampling)
    found = effect.process(frame)
    assert [plane.shape for plane in found.planes] == [plane.shape for plane in frame.planes]


def test_everything_but_the_pixels_stays_what_it_was(effect: Effect) -> None:
    frame = make_frame(colour=Colour())
    found = effect.process(frame)
    unchanged = replace(found, planes=frame.planes)
    assert repr(unchanged) == repr(frame)
    assert (found.pts, found.duration, found.captured_ns, found.colour) == (50, 10, 99, Colour())


def test_strength_zero_gives_back_the_very_frame(effect: Effect) -> None:
    frame = make_frame()
    effect.controls = Controls(strength=0)
    assert effect.process(frame) is frame


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        (Controls(strength=1.5), "engine 'tiny': strength must be 0 to 1, found 1.5"),
        (Controls(strength=float("nan")), "strength must be 0 to 1, found nan"),
        (Controls(factor=0.5), "engine 'tiny': factor must be 1 to 8, found 0.5"),
        (Controls(factor=9), "engine 'tiny': factor must be 1 to 8, found 9"),
    ],
)
def test_controls_out_of_range_are_refused_and_the_old_ones_stay(
    effect: Effect, controls: Controls, message: str
) -> None:
    effect.controls = Controls(0.5, 2)
    with pytest.raises(ConfigError, match=message):
        effect.controls = controls
    assert effect.controls == Controls(0.5, 2)


def test_controls_changed_while_frames_are_processed_apply_whole(effect: Effect) -> None:
    """Every result is that of the one or of the other setting, never of a mixture."""
    frame = make_frame()
    choices = [Controls(0.3, 2), Controls(1, 4)]
    allowed = []
    for controls in choices:
        effect.controls = controls
        allowed.append(effect.process(frame).planes[0].tobytes())
    found: list[bytes] = []
    thread = threading.Thread(
        target=lambda: found.extend(effect.process(frame).planes[0].tobytes() for _ in range(40))
    )
    thread.start()
    turn = 0
    while thread.is_alive():
        turn += 1
        effect.controls = choices[turn % 2]
        thread.join(0.0005)  # or this thread holds the interpreter's lock most of the time
    assert len(found) == 40
    assert set(found) <= set(allowed)


def test_two_threads_process_frames_of_two_sizes_at_once_as_they_would_alone(
    settings: EffectSettings,
) -> None:
    effect = open_effect("tiny", replace(settings, workers=2))
    frames = [make_frame((48, 64)), make_frame((90, 50), seed=4)]
    expected = [effect.process(frame).planes[0].tobytes() for frame in frames]
    found: list[set[bytes]] = [set(), set()]

    def work(index: int) -> None:
        for _ in range(20):
            found[index].add(effect.process(frames[index]).planes[0].tobytes())

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [{expected[0]}, {expected[1]}]
    effect.close()


@dataclass
class Told:
    """A compiled engine that gives what it was told to."""

    heads: Callable[[Array], Array]
    backend: str = "told"
    precision: Precision = Precision.BF16
    closed: bool = False

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        return self.heads(reduced)

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None: ...

    def close(self) -> None:
        self.closed = True


def test_heads_that_are_not_finite_are_an_error_that_names_engine_backend_and_frame(engine: Engine) -> None:
    def heads(reduced: Array) -> Array:
        result = np.zeros((7, *reduced.shape[1:]), np.float32)
        result[3, 1, 1] = np.nan
        return result

    with pytest.raises(FrameError, match=r"engine 'tiny' \(told, bf16\), frame 5: .*not finite"):
        Effect(engine, Told(heads)).process(make_frame())


def test_each_step_is_measured_for_each_frame(engine: Engine) -> None:
    measured: list[tuple[str, float]] = []
    effect = Effect(
        engine, EagerBackend().compile(engine, CompileOptions()), measure=lambda *what: measured.append(what)
    )
    effect.warm_up(
        VideoFormat((48, 64), Subsampling.YUV420, depth=10, colour=Colour(), time_base=Fraction(1, 25))
    )
    assert measured == []
    for _ in range(2):
        effect.process(make_frame())
    assert [name for name, _ in measured] == ["reduce", "translate", "fuse"] * 2
    assert all(seconds > 0 for _, seconds in measured)


def test_effects_in_a_chain_are_applied_in_order(engine: Engine) -> None:
    def paint(value: float) -> Told:
        def heads(reduced: Array) -> Array:
            result = np.zeros((7, *reduced.shape[1:]), np.float32)
            result[:3], result[3] = value, 0.5
            return result

        return Told(heads)

    first, second = Effect(engine, paint(40)), Effect(engine, paint(200))
    frame = make_frame()
    expected = second.process(first.process(frame)).planes[0]
    chain = Chain((first, second))
    assert np.array_equal(chain.process(frame).planes[0], expected)
    assert not np.array_equal(Chain((second, first)).process(frame).planes[0], expected)
    chain.close()
    assert isinstance(first.compiled, Told)
    assert first.compiled.closed


def test_an_empty_chain_gives_back_the_very_frame() -> None:
    frame = make_frame()
    assert Chain(()).process(frame) is frame


# ------------------------------------------------------------------------------------- naming and opening


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("wave", EffectRequest("wave")),
        ("wave:strength=0.5,factor=2", EffectRequest("wave", 0.5, 2.0)),
        (" wave : factor = 1.5 ", EffectRequest("wave", None, 1.5)),
        ("./my/engine:strength=0", EffectRequest("./my/engine", 0.0)),
    ],
)
def test_an_effect_is_named_with_its_controls(text: str, request_: EffectRequest) -> None:
    assert parse_effect(text) == request_


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "effect '' has no name; write NAME or NAME:KEY=VALUE,KEY=VALUE"),
        (":strength=1", "effect ':strength=1' has no name"),
        ("wave:strenght=1", "unknown key 'strenght'; did you mean 'strength'[?] known: strength, factor"),
        ("wave:noise=1", "unknown key 'noise'; known: strength, factor"),
        ("wave:", "unknown key ''; known: strength, factor"),
        ("wave:factor=2,factor=3", "factor is given twice"),
        ("wave:factor=two", "factor needs a number, factor=0.5 for instance; found 'two'|factor=2"),
        ("wave:strength", "strength needs a number, strength=0.5 for instance; nothing was given"),
        ("wave:strength=-1", "strength must be 0 to 1, found -1"),
        ("wave:strength=nan", "strength must be 0 to 1, found nan"),
        ("wave:factor=0.5", "factor must be 1 to 64, found 0.5"),
    ],
)
def test_what_is_wrong_with_an_effects_name_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_effect(text)


def test_the_request_decides_then_the_settings_then_the_engine(settings: EffectSettings) -> None:
    def controls(text: str, factor: float | None) -> Controls:
        effect = open_effect(text, replace(settings, factor=factor))
        effect.close()
        return effect.controls

    assert controls("tiny:strength=0.5,factor=3", 2) == Controls(0.5, 3)
    assert controls("tiny", 2) == Controls(1, 2)
    assert controls("tiny", None) == Controls(1, 4)


def test_a_factor_the_engine_was_not_trained_for_is_refused(settings: EffectSettings) -> None:
    with pytest.raises(ConfigError, match=r"factor must be one of 1, 1\.5, 2, 3, 4, 6, 8, found 16"):
        open_effect("tiny:factor=16", settings)


def test_an_effect_there_is_no_engine_for_is_an_error_with_a_hint(settings: EffectSettings) -> None:
    with pytest.raises(EngineNotFoundError, match="there is no engine 'tinny'; did you mean 'tiny'"):
        open_effect("tinny", settings)


def test_a_backend_that_cannot_run_is_an_error_and_not_replaced(settings: EffectSettings) -> None:
    with pytest.raises(BackendUnavailableError, match="backend tensorrt cannot run here"):
        open_effect("tiny", replace(settings, backend="tensorrt"))


def test_a_chain_that_cannot_be_opened_closes_what_it_opened(
    settings: EffectSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(Effect, "close", lambda effect: closed.append(effect.engine.name))
    with pytest.raises(EngineNotFoundError):
        open_chain(["tiny", "missing"], settings)
    assert closed == ["tiny"]
    closed.clear()
    assert len(open_chain(["tiny", EffectRequest("tiny", 0.5)], settings).effects) == 2
    assert closed == []


@pytest.fixture(scope="module")
def remembering(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine with a memory of the frames before."""
    return read_engine(make_engine(tmp_path_factory.mktemp("engines"), format=3, memory_tolerance=0.05))


def noisy_frames(count: int) -> list[Frame]:
    """Return frames of a scene in which nothing moves, with a camera's noise; the last ones of another
    scene."""
    frames = []
    for number in range(count):
        still, random = make_frame(seed=3 if number < count - 2 else 4), np.random.default_rng(number)
        y, u, v = (
            np.clip(plane + random.normal(0, 2, plane.shape), 16, 235).astype(np.uint8)
            for plane in still.planes
        )
        frames.append(replace(still, planes=(y, u, v), index=number, pts=number))
    return frames


def remembered(effect: Effect, frames: list[Frame]) -> list[Frame]:
    memories, done = FrameMemories(), []
    for frame in frames:
        memory = memories.next()
        done.append(effect.process(frame.with_memory(memory)))
        memory.close()
    return done


def changes(frames: list[Frame]) -> list[float]:
    return [
        float(np.abs(now.planes[0].astype(int) - before.planes[0]).mean()) for before, now in pairwise(frames)
    ]


def test_a_memory_makes_still_scenes_steadier_and_begins_anew_with_another_scene(remembering: Engine) -> None:
    effect = Effect(remembering, EagerBackend().compile(remembering, CompileOptions()))
    frames = noisy_frames(7)
    alone, done = [effect.process(frame) for frame in frames], remembered(effect, frames)
    for index in (0, 5):  # the first of each scene
        assert np.array_equal(done[index].planes[0], alone[index].planes[0])
    for index in (1, 2, 3, 4, 6):
        assert not np.array_equal(done[index].planes[0], alone[index].planes[0])
    assert sum(changes(done[2:5])) < 0.7 * sum(changes(alone[2:5]))


def test_frames_done_side_by_side_remember_what_they_do_one_after_the_other(remembering: Engine) -> None:
    frames, memories = noisy_frames(8), FrameMemories()
    effect = Effect(remembering, EagerBackend().compile(remembering, CompileOptions()))
    expected = remembered(effect, frames)
    given = [frame.with_memory(memories.next()) for frame in frames]
    done: dict[int, Frame] = {}

    def process(frame: Frame) -> None:
        done[frame.index] = effect.process(frame)
        assert frame.memory is not None
        frame.memory.close()

    threads = [threading.Thread(target=process, args=(frame,)) for frame in reversed(given)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for frame in expected:
        assert all(map(np.array_equal, done[frame.index].planes, frame.planes))


def test_a_change_of_the_factor_begins_the_memory_anew(remembering: Engine) -> None:
    effect = Effect(remembering, EagerBackend().compile(remembering, CompileOptions()))
    frames, memories = noisy_frames(6)[:4], FrameMemories()
    for frame in frames:
        if frame.index == 2:
            effect.controls = replace(effect.controls, factor=2.0)
        memory = memories.next()
        done = effect.process(frame.with_memory(memory))
        memory.close()
        alone = effect.process(frame)
        assert np.array_equal(done.planes[0], alone.planes[0]) == (frame.index in (0, 2))


def test_a_memory_takes_format_three_and_heads_that_are_fused(remembering: Engine) -> None:
    described = remembering.spec.model_dump()
    with pytest.raises(ValueError, match="format is 2, but this needs format 3"):
        EngineSpec.model_validate(described | {"format": 2})
    with pytest.raises(
        ValueError, match="a memory is for heads that are fused and for the matte; found heads translated"
    ):
        EngineSpec.model_validate(described | {"heads": ["translated"]})
