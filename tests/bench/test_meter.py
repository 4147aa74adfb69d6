"""Pictures are read at the far end, after every shipped effect and encoding; what is wrong is counted."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamfx.backends.store import CompiledStore
from streamfx.bench.far_end import read_file
from streamfx.bench.meter import PictureMeter
from streamfx.capture.pattern import PatternSource, nearest_stamp
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import open_sink
from streamfx.engine.folder import read_spec
from streamfx.generate.effect import EffectSettings, open_effect
from streamfx.generate.request import Controls
from streamfx.media.frame import Frame
from tests.media import make_clip, stamped_planes

ENGINES = Path(__file__).parents[2] / "engines"
SPECS = {path.parent: read_spec(path.parent) for path in sorted(ENGINES.glob("*/engine.yaml"))}
EFFECTS = [folder for folder, spec in SPECS.items() if spec.no_effect is None and not spec.enlarges]
AT_EVERY_FACTOR = ("wave", "scream", "starry")  # others keep nothing finer than their own pixels
UNDER_WAY = range(120, 248)  # as many as the meter remembers


@pytest.fixture(scope="module")
def store(compiled: str) -> CompiledStore:
    return CompiledStore(Path(compiled))


def frames(numbers: range, size: str = "320x180") -> list[Frame]:
    source = PatternSource(f"test:bars?size={size}&frames=0")
    return [source.format.frame(source.planes(number), index=number, pts=number) for number in numbers]


@pytest.mark.parametrize("folder", EFFECTS, ids=lambda folder: folder.name)
def test_the_number_can_be_read_after_every_shipped_effect_and_after_encoding(
    folder: Path, store: CompiledStore, tmp_path: Path
) -> None:
    effect = open_effect(str(folder), EffectSettings(store=store, threads=1))
    sent = frames(range(180, 188, 2))
    spec = effect.engine.spec
    largest = 4 if spec.name in AT_EVERY_FACTOR else 2  # as the README says
    for factor in (factor for factor in (1.0, 2.0, 4.0) if factor in spec.factors and factor <= largest):
        effect.controls = Controls(factor=factor)
        shown = [effect.process(frame) for frame in sent]
        read = [nearest_stamp(frame.planes[0], UNDER_WAY) for frame in shown]
        assert read == [frame.index for frame in sent], f"at factor {factor}"
        path = tmp_path / f"{factor}.mp4"
        sink = open_sink(
            str(path),
            format=PatternSource("test:bars?size=320x180").format,
            encoding=Encoding(preset="ultrafast", threads=1),
        )
        for frame in shown:
            sink.write(frame)
        sink.finish()
        readings = read_file(path, 30.0)
        assert (readings.pictures, readings.wrong) == (len(sent), 0), f"at factor {factor}"
    effect.close()


def test_the_smallest_picture_the_meter_is_for_is_read_too(store: CompiledStore) -> None:
    effect = open_effect(str(ENGINES / "wave"), EffectSettings(store=store, factor=4.0, threads=1))
    for frame in frames(range(200, 206), "160x90"):
        assert nearest_stamp(effect.process(frame).planes[0], UNDER_WAY) == frame.index
    effect.close()


def test_a_picture_without_one_of_the_numbers_reads_as_none() -> None:
    stamped = stamped_planes((180, 320), 130)[0]
    assert nearest_stamp(stamped, UNDER_WAY) == 130
    assert nearest_stamp(255 - stamped, UNDER_WAY) == 130
    assert nearest_stamp(stamped, ()) is None
    assert nearest_stamp(stamped[24:], UNDER_WAY) is None  # bars, without the stamp above them
    assert nearest_stamp(np.full((180, 320), 90, np.uint8), UNDER_WAY) is None
    assert nearest_stamp(np.zeros((4, 4), np.uint8), UNDER_WAY) is None
    noise = np.random.default_rng(0).integers(0, 255, (180, 320)).astype(np.uint8)
    assert nearest_stamp(noise, UNDER_WAY) is None


def test_two_pictures_in_one_are_not_taken_for_either() -> None:
    first, second = (stamped_planes((180, 320), number)[0].astype(float) for number in (140, 141))
    assert nearest_stamp(((first + second) / 2).astype(np.uint8), UNDER_WAY) is None


def test_the_latency_is_that_of_the_picture_and_what_is_wrong_is_counted() -> None:
    meter, now = PictureMeter(), time.monotonic()
    sent = frames(range(6))
    for frame in sent:
        meter.sent(
            PatternSource("test:bars?size=320x180").format.frame(
                frame.planes, index=frame.index, pts=0, captured_ns=round((now + frame.index) * 1e9)
            )
        )
    lumas = [frame.planes[0] for frame in sent]
    meter.seen(lumas[0], now + 0.25, 0)
    meter.seen(lumas[2], now + 2.5, 1)  # carried the wrong number
    meter.seen(lumas[1], now + 2.5, 1)  # came after the one behind it
    assert meter.span().count == 3
    meter.seen(np.full_like(lumas[0], 80), now + 3, 3)
    meter.seen(lumas[5], now + 5.5)
    found = meter.readings()
    assert (found.pictures, found.mistaken, found.out_of_order, found.unreadable) == (5, 1, 1, 1)
    assert found.wrong == 3
    assert found.latency.count == 4
    assert found.latency.max_seconds == pytest.approx(1.5, abs=1e-3)
    assert meter.last == 5
    span = meter.span()
    assert span.count == 1
    assert span.max_seconds == pytest.approx(0.5, abs=1e-3)


def test_a_recording_with_a_picture_too_many_or_too_few_is_found_out(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", size=(96, 160), frames=12, audio=False)
    assert read_file(whole, 25.0).wrong == 0
    gap = [0, 1, 2, 5, 6, 7]  # its pictures are 0 to 5: from the fourth on not those of their times
    moved = make_clip(
        tmp_path / "moved.mp4", size=(96, 160), times=gap, time_base=Fraction(1, 25), audio=False
    )
    assert read_file(moved, 25.0).mistaken == 3
