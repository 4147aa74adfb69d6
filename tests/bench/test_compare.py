"""Figures of now beside figures of then: which belong together, what the ratio is, when to be careful."""

from __future__ import annotations

import pytest

from streamfx.bench.compare import compare
from streamfx.bench.result import ActualSettings
from tests.bench.figures import case, result, row


def test_the_ratio_is_the_rate_of_now_to_that_of_then() -> None:
    found = compare(
        result(row(40.0), row(10.0, level="pipeline")), result(row(50.0), row(5.0, level="pipeline"))
    )
    assert [(pair.case.level, pair.ratio) for pair in found.pairs] == [("model", 1.25), ("pipeline", 0.5)]
    assert (found.only_before, found.only_after, found.warnings) == ((), (), ())


def test_rows_on_one_side_only_are_named() -> None:
    found = compare(result(row(), row(factor=2)), result(row(factor=3), row()))
    assert [pair.case for pair in found.pairs] == [case()]
    assert found.only_before == (case(factor=2),)
    assert found.only_after == (case(factor=3),)


@pytest.mark.parametrize(
    ("before", "after", "clear"),
    [(50.0, 53.0, True), (50.0, 47.0, True), (50.0, 51.5, False), (50.0, 48.5, False)],
)
def test_a_difference_is_clear_only_if_no_turns_overlap(before: float, after: float, clear: bool) -> None:
    (pair,) = compare(result(row(before)), result(row(after))).pairs  # turns lie 1 fps around
    assert pair.clear is clear


def test_what_ran_differently_is_told() -> None:
    ran = ActualSettings(backend="tensorrt", precision="bf16", threads=2)
    (pair,) = compare(result(row()), result(row(ran=ran))).pairs
    assert pair.changed == "backend openvino ▸ tensorrt, precision f32 ▸ bf16"
    on_gpu = ran.model_copy(update={"device": "cuda", "encoder": "h264_nvenc"})
    (pair,) = compare(result(row(ran=ran)), result(row(ran=on_gpu))).pairs
    assert pair.changed == "device cpu ▸ cuda, encoder none ▸ h264_nvenc"
    (pair,) = compare(result(row()), result(row())).pairs
    assert pair.changed is None


def test_other_devices_versions_and_conditions_are_warned_of_but_not_another_streamfx() -> None:
    processor = {"name": "Another", "usable_cores": 8, "extensions": ()}
    now = result(
        row(),
        device={"processor": processor, "gpus": ({"name": "H100"},), "driver": "580.1"},
        versions={"streamfx": "9.9.9", "openvino": "2027.0", "torch": "2.13.0"},
        config={"threads": 8, "clip": "in.mp4", "device": "cuda"},
    )
    assert compare(result(row()), now).warnings == (
        "processor differs: 2 cores of A processor then, 8 cores of Another now",
        "GPU differs: none then, H100 now",
        "driver differs: none then, 580.1 now",
        "openvino differs: 2026.4.1 then, 2027.0 now",
        "torch differs: none then, 2.13.0 now",
        "threads differs: 2 then, 8 now",
        "clip differs: none then, in.mp4 now",
        "device differs: auto then, cuda now",
    )
