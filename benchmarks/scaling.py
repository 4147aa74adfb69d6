"""How the whole pipeline scales: with the size of the picture, with effects in a row, with processors.

    python -m benchmarks.scaling [--rounds 3] [--quick]

Clips of 360 to 2160 lines, made of the same pictures, pass through one effect at factor 4, and those of 720
lines through two and three as well; each time on all processors and on one alone. A run is a process of its
own, whose processors are set before it starts, with engines compiled before. It runs twice, on the whole clip
and on its first part, and only the difference counts: opening libraries and files is the same for both.

Reported are medians over the rounds of frames per second and of processor nanoseconds per pixel: where the
network's cost does not hang on the source's size, the latter is flat. `results/scaling.png` shows both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.options import option_parser
from benchmarks.pipeline import CLIP, make_clip
from benchmarks.record import RESULTS, record

SIZES = ((360, 640), (720, 1280), (1080, 1920), (2160, 3840))
EFFECTS = ("toon", "watercolour", "wave")
CHAINED_AT = (720, 1280)
FACTOR = 4
PIXELS = 110_000_000
"""Pixels of a whole clip: 480 frames of 360 lines, 13 of 2160 lines."""
LEAST_FRAMES = 24


def main() -> None:
    """Measure, print, record and draw."""
    parser = option_parser(__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP, help="video to take the pictures from")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="360 and 720 lines and one round only")
    parser.add_argument("--one", type=json.loads, help="JSON of a single run, which prints its figures")
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(run_once(**options.one)))
        return
    sizes = SIZES[:2] if options.quick else SIZES
    processors = sorted(os.sched_getaffinity(0))
    cases = [(size, 1, cores) for size in sizes for cores in ([processors[0]], processors)]
    cases += [
        (CHAINED_AT, count, cores)
        for count in range(2, len(EFFECTS) + 1)
        for cores in ([processors[0]], processors)
    ]
    with tempfile.TemporaryDirectory() as name:
        clips = {size: make_clip(options.clip, Path(name) / f"{size[0]}.mp4", size, frames_of(size))
                 for size in sizes}  # fmt: skip
        taken: dict[int, list[tuple[float, float]]] = {number: [] for number in range(len(cases))}
        for _ in range(1 if options.quick else options.rounds):
            for number, (size, count, cores) in enumerate(cases):
                taken[number].append(measured(clips[size], frames_of(size), EFFECTS[:count], cores))
        rows = [row(case, samples) for case, samples in zip(cases, taken.values(), strict=True)]
    for found in rows:
        print(
            f"{found['size']:>10} {found['effects']} effects, {found['cores']} cores: {found['fps']:.1f} fps,"
            f" {found['cpu_ns_per_pixel']:.1f} ns of processor time per pixel"
        )
    record("scaling", rows, {"clip": options.clip.name, "effects": EFFECTS, "factor": FACTOR})
    draw(rows, RESULTS / "scaling.png")


def frames_of(size: tuple[int, int]) -> int:
    """Return how many frames a clip has: so many that each takes about as long."""
    return max(2 * LEAST_FRAMES, PIXELS // (size[0] * size[1]))


def measured(clip: Path, frames: int, effects: Sequence[str], cores: Sequence[int]) -> tuple[float, float]:
    """Return wall and processor seconds for a frame: those of the whole clip less those of its first part."""
    seconds = [
        _in_a_process(clip=str(clip), effects=list(effects), frames=count, cores=list(cores))
        for count in (LEAST_FRAMES // 2, frames)
    ]
    (short_wall, short_cpu), (long_wall, long_cpu) = seconds
    more = frames - LEAST_FRAMES // 2
    return (long_wall - short_wall) / more, (long_cpu - short_cpu) / more


def _in_a_process(**case: Any) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.scaling", "--one", json.dumps(case)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    wall_seconds, cpu_seconds = json.loads(done.stdout.splitlines()[-1])
    return wall_seconds, cpu_seconds


def run_once(clip: str, effects: Sequence[str], frames: int, cores: Sequence[int]) -> tuple[float, float]:
    """Run one whole call of streamfx on some processors; return its wall and processor seconds."""
    os.sched_setaffinity(0, cores)  # before libraries count them
    import time

    import streamfx
    from streamfx.config.loading import load_config

    settings = {"input": clip, "output": str(Path(clip).with_name("out.mp4")), "effects": tuple(effects),
                "factor": FACTOR, "preset": "ultrafast", "overwrite": True, "verify": False}  # fmt: skip
    config = load_config(options=settings, overrides=[f"limits.frames={frames}"])
    started, cpu_seconds = time.perf_counter(), time.process_time()
    report = streamfx.run_config(config)
    if report.result.account.encoded != frames:
        raise SystemExit(report.summary())
    return time.perf_counter() - started, time.process_time() - cpu_seconds


def row(
    case: tuple[tuple[int, int], int, Sequence[int]], samples: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """Return the medians of one case."""
    (height, width), count, cores = case
    wall_seconds, cpu_seconds = (statistics.median(values) for values in zip(*samples, strict=True))
    return {
        "size": f"{width}x{height}",
        "effects": count,
        "cores": len(cores),
        "fps": round(1 / wall_seconds, 1),
        "cpu_ms_per_frame": round(cpu_seconds * 1e3, 2),
        "cpu_ns_per_pixel": round(cpu_seconds / (height * width) * 1e9, 2),
    }


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw processor time per pixel by size and by effects, one line for each number of processors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    by_size, by_effects = figure.subplots(1, 2, sharey=True)
    chained = f"{CHAINED_AT[1]}x{CHAINED_AT[0]}"
    for cores, colour in zip(
        sorted({found["cores"] for found in rows}), ("#8fa3ad", "#d1495b"), strict=False
    ):
        of_sizes = [found for found in rows if found["cores"] == cores and found["effects"] == 1]
        of_chain = [found for found in rows if found["cores"] == cores and found["size"] == chained]
        label = f"{cores} processor{'s' if cores > 1 else ''}"
        for axes, key, some in ((by_size, "size", of_sizes), (by_effects, "effects", of_chain)):
            places = [str(found[key]) for found in some]
            axes.plot(places, [found["cpu_ns_per_pixel"] for found in some], "o-", color=colour, label=label)
            for place, found in zip(places, some, strict=True):
                where = (0, 8 if cores > 1 else -14)
                axes.annotate(f"{found['fps']:.0f} fps", (place, found["cpu_ns_per_pixel"]), xytext=where,
                              textcoords="offset points", ha="center", fontsize=8, color=colour)  # fmt: skip
    by_size.set_title("one effect at factor 4, by size", fontsize=10)
    by_effects.set_title(f"effects in a row, {chained}", fontsize=10)
    by_size.set_ylabel("processor time per pixel, ns")
    by_size.set_ylim(bottom=0)
    by_size.legend(frameon=False, fontsize=9)
    for axes in (by_size, by_effects):
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.15)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
