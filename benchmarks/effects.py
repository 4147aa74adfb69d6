"""Every shipped effect at work on a 720p clip, file to file and live, on both backends for a CPU.

    python -m benchmarks.effects [--clip FILE] [--size 1280x720] [--frames 96] [--backend openvino] [--quick]

For each effect, factor and backend one whole call of streamfx on the same clip, x264 ultrafast, the engine
compiled before; and one live run of a few seconds at 30 fps, which says how much of that rate is kept. An
effect that enlarges writes frames of twice the size each way; the slow ones are timed on fewer frames, which
the row says.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import streamfx
from benchmarks.options import option_parser
from benchmarks.pipeline import CLIP, make_clip
from benchmarks.record import record
from streamfx.engine.library import list_effects
from streamfx.engine.spec import EngineSpec

FACTORS = (1.0, 2.0, 4.0)
LIVE_SECONDS = 6
LONGEST_SECONDS = 20  # for one row; slower ones get fewer frames
LEAST_FRAMES = 8


def main() -> None:
    """Measure, print and record."""
    parser = option_parser(__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP, help="video to take the pictures from")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=96, help="length of the clip made from it")
    parser.add_argument("--backend", action="append", help="openvino and eager by default")
    parser.add_argument("--quick", action="store_true", help="openvino, few frames, nothing live")
    options = parser.parse_args()
    backends = ("openvino",) if options.quick else tuple(options.backend or ("openvino", "eager"))
    width, height = map(int, options.size.split("x"))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        frames = LEAST_FRAMES if options.quick else options.frames
        clip = make_clip(options.clip, Path(name) / "clip.mp4", (height, width), frames)
        for found in list_effects():
            assert found.spec is not None
            for factor in (factor for factor in FACTORS if factor in found.spec.factors):
                for backend in backends:
                    row = measure(found.spec, factor, backend, clip, frames)
                    if not options.quick:
                        row |= measure_live(found.spec, factor, backend, options.size)
                    rows.append(row)
                    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    record("effects", rows, {"clip": options.clip.name, "size": options.size, "frames": options.frames})


def measure(spec: EngineSpec, factor: float, backend: str, clip: Path, frames: int) -> dict[str, Any]:
    """Return frames per second of whole calls, file to file."""
    target = clip.with_name("out.mp4")

    def run(count: int) -> float:
        begun = time.perf_counter()
        report = streamfx.run_config(
            streamfx.load_config(
                None,
                [f"limits.frames={count}"],
                {"input": str(clip), "output": str(target), "effects": (spec.name,), "factor": factor,
                 "backend": backend, "preset": "ultrafast", "overwrite": True},
            )
        )  # fmt: skip
        if report.exit_code:
            raise SystemExit(report.summary())
        return time.perf_counter() - begun

    run(2)  # compiles
    few = run(LEAST_FRAMES)
    count = min(frames, max(LEAST_FRAMES, int(LONGEST_SECONDS / few * LEAST_FRAMES)))
    seconds = run(count) if count > LEAST_FRAMES else few
    return {
        "effect": spec.name,
        "family": spec.family,
        "factor": factor,
        "backend": backend,
        "fps": round(count / seconds, 2),
        "frames": count,
    }


def measure_live(spec: EngineSpec, factor: float, backend: str, size: str) -> dict[str, Any]:
    """Return the rate that comes out of a live source of 30 fps."""
    report = streamfx.live(
        f"test:bars?size={size}&fps=30&frames={30 * LIVE_SECONDS}",
        "null:",
        effects=[spec.name],
        factor=factor,
        backend=backend,
    )
    account = report.result.account
    return {"live_fps": round(30 * account.encoded / max(account.frames_in, 1), 1)}


if __name__ == "__main__":
    main()
