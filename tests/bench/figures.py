"""Results with figures made up, for tests of what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamfx.bench.result import ActualSettings, BenchConfig, BenchResult, Case, DeviceInfo, Failed, Row

CASE: Mapping[str, Any] = {
    "level": "model", "effect": "wave", "width_pixels": 1280, "height_pixels": 720, "factor": 4.0,
    "backend": "auto", "precision": "auto",
}  # fmt: skip


def case(**other: object) -> Case:
    return Case.model_validate({**CASE, **other})


def row(fps: float = 50.0, *, ran: ActualSettings | None = None, spread: float = 1.0, **other: object) -> Row:
    """Return a row of 120 frames whose turns lie ``spread`` fps around the whole."""
    return Row(
        case=case(**other),
        ran=ran or ActualSettings(backend="openvino", precision="f32", threads=2),
        fps=fps,
        p50_ms=1e3 / fps,
        p95_ms=1.2e3 / fps,
        p99_ms=2e3 / fps,
        max_ms=3e3 / fps,
        turns_fps=(fps - spread, fps, fps + spread),
        frames=120,
        warm_up_frames=5,
        peak_memory_mib=210.4,
        device_memory_mib=None,
        taken_by_others=0.02,
        power_watts={},
        parts_p50_ms={},
    )


def result(*rows: Row, failed: tuple[Failed, ...] = (), **other: Any) -> BenchResult:
    """Return a result; ``other`` replaces what it says of device, versions and configuration."""
    device = {
        "processor": {"name": "A processor", "usable_cores": 2, "extensions": ("AVX2",)},
        "gpus": (), "driver": None, "system": "Linux-6", "clocks_mhz": {"processor": (2400.0, 3600.0)},
    }  # fmt: skip
    config = {
        "levels": ("model",), "effects": ("wave",), "sizes": ((720, 1280),), "factors": (4.0,),
        "backends": ("auto",), "precisions": ("auto",), "threads": 2, "frames": 120, "seconds": 20.0,
        "rounds": 3,
    }  # fmt: skip
    versions = {"streamfx": "0.1.0", "python": "3.11.7", "openvino": "2026.4.1"}
    return BenchResult(
        measured_at="2026-11-22T10:00:00+00:00",
        device=DeviceInfo.model_validate(device | other.get("device", {})),
        versions=versions | other.get("versions", {}),
        config=BenchConfig.model_validate(config | other.get("config", {})),
        includes={"model": "the network"},
        notes=("power of the processor is not known: no counters",),
        rows=rows,
        failed=failed,
    )
