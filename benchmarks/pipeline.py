"""Whole pipeline, file to file, beside what people write first and beside the ffmpeg program.

    python -m benchmarks.pipeline [--clip FILE] [--engine NAME] [--rounds 3] [--quick]

Three programs take turns on the same clip in the same run:

* streamfx: decode, effect, x264 ultrafast; whole calls, opening and checking the output included, with the
  engine compiled before, as from the second run on.
* the ffmpeg program without any effect, x264 ultrafast: what decoding and encoding alone cost.
* the program people write first: OpenCV reads, the same network runs eagerly in torch at full size, OpenCV
  writes. And two of what tutorials lead to, with the network of the paper on fast style transfer at full
  size: OpenCV with ONNX Runtime, and PyAV with torch. `benchmarks/peers.py` has all three. They are timed
  on a few frames, since they take seconds for each.

Reported are medians over the rounds of frames per second, processor time per frame, and the share of what the
processors allow: fps ÷ (cores ÷ processor seconds per frame).
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av

import streamfx
from benchmarks.generator import engine_to_measure
from benchmarks.options import option_parser
from benchmarks.peers import FIRST, PEER_FRAMES, PEERS, Peer
from benchmarks.record import record
from streamfx.config.loading import load_config
from streamfx.hardware.cpu import usable_cores

CLIP = Path(__file__).parent.parent / "tests/clips/bigbuckbunny.mp4"
SIZES = ((720, 1280), (1080, 1920))
FACTORS = (4, 2)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one program: frames written, wall and processor time of the whole program, in seconds."""

    frames: int
    wall_seconds: float
    cpu_seconds: float
    stages_ms: dict[str, float]


def main() -> None:
    """Measure, print and record."""
    parser = option_parser(__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP, help="video to take the pictures from")
    parser.add_argument("--engine", default="wave", help="name or folder of the engine")
    parser.add_argument("--frames", type=int, default=264, help="length of the clips made from it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="720p, factor 4 and one round only")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        engine = str(engine_to_measure(options.engine, Path(name)).folder)
        for size in SIZES[:1] if options.quick else SIZES:
            clip = make_clip(options.clip, Path(name) / f"{size[0]}.mp4", size, options.frames)
            factors = FACTORS[:1] if options.quick else FACTORS
            rows += measure(size, contenders(clip, engine, factors), rounds)
    for row in rows:
        print(
            f"{row['program']:28} {row['size']:>10} {row['fps']:8.1f} fps {row['cpu_ms_per_frame']:8.1f} ms "
            f"processor time per frame, {row['share_of_bound']:.0%} of the processors"
        )
    details = {
        "clip": options.clip.name,
        "frames": options.frames,
        "rounds": rounds,
        "engine": options.engine,
    }
    record("pipeline", rows, details)


def make_clip(source: Path, target: Path, size: tuple[int, int], frames: int) -> Path:
    """Write the pictures of ``source``, over and over, scaled to ``size``, as H.264 of ordinary quality."""
    pictures = []
    with av.open(str(source)) as container:
        rate = container.streams.video[0].average_rate
        for picture in container.decode(video=0):
            pictures.append(picture.reformat(width=size[1], height=size[0], format="yuv420p"))
            if len(pictures) == frames:
                break
    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = pictures[number % len(pictures)]
            picture.pts, picture.time_base = number, 1 / rate if rate else None
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return target


def contenders(clip: Path, engine: str, factors: tuple[int, ...]) -> dict[str, Callable[[], Sample]]:
    """Return the programs by name; what is not installed here is left out, and said so."""
    programs: dict[str, Callable[[], Sample]] = {
        f"streamfx, factor {factor}": partial(run_streamfx, clip, engine, factor) for factor in factors
    }
    if shutil.which("ffmpeg"):
        programs["ffmpeg program, no effect"] = partial(run_ffmpeg, clip)
    else:
        print("left out: the ffmpeg program is not installed")
    for name, peer in PEERS.items():
        try:
            program = peer(engine)
        except ImportError as error:
            print(f"left out: {name} ({error})")
        else:
            programs[name] = partial(run_peer, program, clip)
    return programs


def measure(
    size: tuple[int, int], programs: dict[str, Callable[[], Sample]], rounds: int
) -> list[dict[str, Any]]:
    """Let the programs take turns; return one row of medians for each."""
    for program in programs.values():
        program()  # compiles, fills caches
    samples: dict[str, list[Sample]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            samples[name].append(program())
    cores = usable_cores()
    rows: list[dict[str, Any]] = []
    for name, taken in samples.items():
        fps = statistics.median(sample.frames / sample.wall_seconds for sample in taken)
        cpu_seconds = statistics.median(sample.cpu_seconds / sample.frames for sample in taken)
        rows.append(
            {
                "program": name,
                "size": f"{size[1]}x{size[0]}",
                "fps": round(fps, 2),
                "cpu_ms_per_frame": round(cpu_seconds * 1000, 3),
                "share_of_bound": round(fps * cpu_seconds / cores, 3),
                "stages_ms": taken[-1].stages_ms,
            }
        )
    naive = next((row["fps"] for row in rows if row["program"] == FIRST), None)
    for row in rows:
        row["times_naive"] = None if naive is None else round(row["fps"] / naive, 1)
    return rows


def run_streamfx(clip: Path, engine: str, factor: int) -> Sample:
    """Run one whole call of streamfx."""
    output = clip.with_name("streamfx.mp4")
    settings = {"input": str(clip), "output": str(output), "effects": (engine,), "factor": factor,
                "preset": "ultrafast", "overwrite": True}  # fmt: skip
    started, cpu = time.perf_counter(), _cpu_seconds(resource.RUSAGE_SELF)
    report = streamfx.run_config(load_config(options=settings))
    wall = time.perf_counter() - started
    if report.exit_code:
        raise SystemExit(report.summary())
    stages = {name: round((times.p50_seconds or 0) * 1000, 3) for name, times in report.result.stages.items()}
    return Sample(report.result.account.encoded, wall, _cpu_seconds(resource.RUSAGE_SELF) - cpu, stages)


def run_peer(program: Peer, clip: Path) -> Sample:
    """Run a peer on the first frames of the clip."""
    started, cpu = time.perf_counter(), _cpu_seconds(resource.RUSAGE_SELF)
    program(clip, clip.with_name("peer.mp4"))
    wall = time.perf_counter() - started
    return Sample(PEER_FRAMES, wall, _cpu_seconds(resource.RUSAGE_SELF) - cpu, {})


def run_ffmpeg(clip: Path) -> Sample:
    """Run the ffmpeg program on the clip, without an effect."""
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(clip), "-c:v", "libx264", "-preset", "ultrafast"]
    started, cpu = time.perf_counter(), _cpu_seconds(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, str(clip.with_name("ffmpeg.mp4"))], check=True, stdin=subprocess.DEVNULL)
    wall = time.perf_counter() - started
    with av.open(str(clip)) as container:
        frames = container.streams.video[0].frames
    return Sample(frames, wall, _cpu_seconds(resource.RUSAGE_CHILDREN) - cpu, {})


def _cpu_seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
