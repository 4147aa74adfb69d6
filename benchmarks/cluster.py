"""A film on a cluster of this machine alone beside one process: times, processor time, and what follows.

    python -m benchmarks.cluster [--seconds 60] [--rounds 2] [--factor 4] [--workers 1,2,4]

The film is the 720p clip of the tests, again and again, with its sound. It is done by one process, in
segments, with as many threads as there are workers otherwise, and by Ray with so many workers of one thread
each; all in turn, each run a process of its own. From the processor times of its segments it is computed how
well more machines would be used: each segment can begin when the planning has come past it, and goes to the
machine that is free first.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av

from benchmarks.options import option_parser
from benchmarks.record import record

CLIP = Path(__file__).parent.parent / "tests" / "clips" / "bigbuckbunny.mp4"
SEGMENT_SECONDS = 10.0
MACHINES = (8, 64)
PLANNING_PROCESSORS = (1, 4)
HOURS = 2.0


def main() -> None:
    """Run, print and record."""
    parser = option_parser(__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="length of the film")
    parser.add_argument("--rounds", type=int, default=2, help="number of times that each case has its turn")
    parser.add_argument("--factor", type=float, default=4, help="factor of the effect")
    parser.add_argument("--workers", default="1,2,4", help="numbers of workers, with commas between")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, workers, film, output = options.one
        print(json.dumps(measured(kind, int(workers), Path(film), Path(output), options.factor)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        film = Path(name) / "film.mkv"
        frames = repeated(CLIP, film, options.seconds)
        for turn in range(options.rounds + 1):  # the first time compiles the engine
            for workers in map(int, options.workers.split(",")):
                for kind in ("one process", "ray"):
                    if turn == 0 and (kind, workers) != ("one process", 1):
                        continue
                    row = apart(kind, workers, film, options.factor)
                    if turn:
                        rows.append(row)
                        print(
                            *(
                                f"{key} {value}"
                                for key, value in row.items()
                                if not key.startswith("segments")
                            ),
                            flush=True,
                        )
    on_paper = [
        foreseen(rows, machines, processors, options.seconds)
        for processors in PLANNING_PROCESSORS
        for machines in MACHINES
    ]
    for line in on_paper:
        print(line)
    config = {"seconds": options.seconds, "frames": frames, "segment_seconds": SEGMENT_SECONDS}
    record("cluster", rows, {**config, "factor": options.factor, "on_paper": on_paper})


def repeated(clip: Path, film: Path, seconds: int) -> int:
    """Write a clip again and again, packet by packet, until the film is so long; return its frames."""
    frames, shift = 0, 0
    with av.open(str(clip)) as source, av.open(str(film), "w") as out:
        streams = [*source.streams.video, *source.streams.audio]
        targets = {stream.index: out.add_stream_from_template(stream) for stream in streams}
        length = source.duration or 0
        while shift < seconds * av.time_base:
            source.seek(0)
            for packet in source.demux(streams):
                if packet.dts is None or packet.pts is None:
                    continue
                frames += packet.stream.type == "video"
                ticks = int(shift / av.time_base / (packet.time_base or 1))
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = targets[packet.stream.index]
                out.mux(packet)
            shift += length
    return frames


def apart(kind: str, workers: int, film: Path, factor: float) -> dict[str, Any]:
    """Measure a case in a process of its own."""
    output = film.with_name("out.mkv")
    output.unlink(missing_ok=True)
    # Ray has workers give way to all else, which on a busy machine one process does not.
    environment = os.environ | {"RAY_worker_niceness": "0"}
    case = ["--one", kind, str(workers), str(film), str(output)]
    command = [sys.executable, "-m", "benchmarks.cluster", "--factor", f"{factor:g}", *case]
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return row


def measured(kind: str, workers: int, film: Path, output: Path, factor: float) -> dict[str, Any]:
    """Do the film once; return the times."""
    import streamfx
    from streamfx.cluster.film import run_on_cluster
    from streamfx.cluster.ray_pool import RayPool
    from streamfx.pipeline.stats import process_cpu_seconds
    from streamfx.resume import resuming
    from streamfx.resume.alone import SegmentDone

    tasks: list[SegmentDone] = []
    opened: list[float] = []

    class Watched(RayPool):
        """Keeps what the tasks came to."""

        def ended(self, wait_seconds: float) -> Any:
            found = super().ended(wait_seconds)
            tasks.extend(end.returned[0] for end in found)
            return found

    def open_pool(address: str, retries: int) -> RayPool:
        pool = Watched(address, retries, cpus=workers)
        opened.append(time.monotonic() - started)
        return pool

    threads = workers if kind == "one process" else 1
    config = streamfx.load_config(
        overrides=["resume=true", f"segment_seconds={SEGMENT_SECONDS}", "device=cpu", f"threads={threads}"],
        options={"input": str(film), "output": str(output), "effects": ("wave",), "factor": factor},
    )
    joining: list[float] = []
    joined = resuming._joined

    def timed(*arguments: Any) -> Any:
        before = process_cpu_seconds()
        found = joined(*arguments)
        joining.append(process_cpu_seconds() - before)
        return found

    setattr(resuming, "_joined", timed)  # noqa: B010  # a part of the run that nothing else measures
    started, before = time.monotonic(), process_cpu_seconds()
    if kind == "ray":
        report = run_on_cluster(config.model_copy(update={"cluster": "auto"}), None, open_pool)
    else:
        report = resuming.run_resumable(config)
    wall_seconds = time.monotonic() - started
    here_seconds = process_cpu_seconds() - before
    assert report.exit_code == 0, report.summary()
    start_seconds = opened[0] if opened else 0.0
    tasks_seconds = [round(each.cpu_seconds, 3) for each in tasks]
    planning_seconds = report.result.speed.cpu_seconds - sum(each.result.speed.cpu_seconds for each in tasks)
    return {
        "case": kind,
        "workers": workers,
        "frames": report.result.account.encoded,
        "wall_seconds": round(wall_seconds - start_seconds, 2),
        "cluster_start_seconds": round(start_seconds, 2),
        "cpu_seconds": round(here_seconds + sum(tasks_seconds), 2),
        "joining_cpu_seconds": round(joining[0], 2),
        "planning_cpu_seconds": round(planning_seconds, 2) if tasks else None,
        "segments_cpu_seconds": tasks_seconds,
    }


def foreseen(
    rows: Sequence[dict[str, Any]], machines: int, processors: int, seconds: float
) -> dict[str, Any]:
    """Return how well so many machines like one worker would be used by a long film.

    From processor times, as if a worker had a processor of its own, and planning so many.
    """
    alone = [row for row in rows if (row["case"], row["workers"]) == ("ray", 1)]
    times = [each for row in alone for each in row["segments_cpu_seconds"][1:]]  # the first warms up
    count = len(alone[0]["segments_cpu_seconds"])
    planning_seconds = min(row["planning_cpu_seconds"] for row in alone) / count / processors
    joining_seconds = min(row["joining_cpu_seconds"] for row in alone) / seconds * HOURS * 3600
    segments = int(HOURS * 3600 / seconds * count)
    free = [0.0] * machines
    for number in range(segments):
        begins = max(heapq.heappop(free), (number + 1) * planning_seconds)
        heapq.heappush(free, begins + times[number % len(times)])
    work_seconds = sum(times[number % len(times)] for number in range(segments))
    return {
        "machines": machines,
        "planning_processors": processors,
        "segments": segments,
        "segment_seconds": round(work_seconds / segments, 2),
        "planning_seconds_per_segment": round(planning_seconds, 3),
        "all_segments_seconds": round(max(free), 1),
        "joining_seconds": round(joining_seconds, 1),
        "efficiency": round(work_seconds / machines / max(free), 3),
        "efficiency_with_joining": round(work_seconds / machines / (max(free) + joining_seconds), 3),
    }


if __name__ == "__main__":
    main()
