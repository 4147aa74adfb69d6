"""Random kills of runs in segments: whether each resumed film is what an uninterrupted run gives, and cost.

    python -m benchmarks.resume [--kills 50] [--seconds 8] [--seed 1]

The film has a variable frame rate, cuts, sound, subtitles and chapters; the effects are a route that the
pictures decide, one that takes noise, and one that remembers the frames before. A run is killed (SIGKILL) at
a random moment and started again, until it ends; then its output is compared, decoded, with that of a run
that nobody killed. That goes on until there were as many kills as asked for.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

import streamfx
from benchmarks.options import option_parser
from benchmarks.record import record
from streamfx.resume.journal import read_journal
from streamfx.resume.work import work_folder

BY_COLOUR = {"photo": (20, 0, -20, 0.0), "painting": (-20, 0, 20, 0.0), "drawing": (0, 0, 0, 3.0)}
TINTS = ("red", "blue", "grey")
EFFECTS = ("route:to=linocut", "convert_sr:noise_amplitude=0.7,seed=3", "remembers")
SEGMENT_SECONDS = 1.0
MILLISECOND = Fraction(1, 1000)


def main() -> None:
    """Run, print and record; exit code 1 where a film differs."""
    parser = option_parser(__doc__)
    parser.add_argument("--kills", type=int, default=50, help="number of kills, altogether")
    parser.add_argument("--seconds", type=int, default=8, help="length of the film")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"STREAMFX_ENGINES": str(folder / "engines"), "STREAMFX_CACHE": str(folder / "cache")}
        apart(lambda: make_engines(folder / "engines"))
        film = folder / "in.mkv"
        apart(lambda: make_film(film, options.seconds))
        load()
        rows = []
        for row in measured(film, options.kills, random.Random(options.seed)):
            rows.append(row)
            print(row, flush=True)
            config = {"seconds": options.seconds, "segment_seconds": SEGMENT_SECONDS, "effects": EFFECTS}
            record("resume", rows, {**config, "kills": options.kills, "seed": options.seed})
    if bad := [row for row in rows if row["differences"]]:
        raise SystemExit(f"{len(bad)} of {len(rows)} resumed films differ")


def measured(film: Path, kills: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield a row for each film that came of broken-off runs."""
    from tests.resume.contents import contents

    whole = film.with_name("whole.mp4")
    for _ in range(2):  # the first compiles the engines
        whole.unlink(missing_ok=True)
        started, before = time.monotonic(), children_seconds()
        if code := waited(begin(film, whole)):
            raise SystemExit(f"the run that nobody killed ended with {code}")
        whole_seconds, busy_seconds = time.monotonic() - started, children_seconds() - before
    expected = contents(whole)
    plain = film.with_name("plain.mp4")
    waited(begin(film, plain, in_segments=False))
    plain_bytes = plain.stat().st_size
    print(f"whole run {whole_seconds:.1f} s, {len(expected[0])} frames", flush=True)
    done = 0
    while done < kills:
        output = film.with_name("resumed.mp4")
        moments, seconds = broken_off(film, output, busy_seconds, kills - done, chance)
        done += len(moments)
        found = contents(output)
        differences = [
            what for what, a, b in zip(("pictures", "tracks"), found, expected, strict=True) if a != b
        ]
        differences += [each.text for each in streamfx.verify(film, output).differences]
        yield {
            "kills": len(moments),
            "segments_finished_at_each": moments,
            "seconds": round(seconds, 2),
            "whole_seconds": round(whole_seconds, 2),
            "size_bytes": output.stat().st_size,
            "size_in_one_piece_bytes": plain_bytes,
            "differences": differences,
        }
        output.unlink()


def broken_off(
    film: Path, output: Path, busy_seconds: float, most: int, chance: random.Random
) -> tuple[list[int], float]:
    """Run until the output is there, killing at random moments; return how far each found it, and seconds.

    Args:
        film: input.
        output: file to make.
        busy_seconds: processor time that a whole run takes.
        most: kills at most.
        chance: random numbers for the moments.
    """
    moments: list[int] = []
    started = time.monotonic()
    while True:
        process = begin(film, output)
        limit = chance.uniform(0.05, 1.0) * busy_seconds if len(moments) < most else None
        code = waited(process, limit)
        if code is None:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            moments.append(finished_segments(output))
            if output.exists():  # it struck between the output's naming and the end of the process
                return moments, time.monotonic() - started
            continue
        if code:
            raise SystemExit(f"a run that nobody killed ended with {code}")
        return moments, time.monotonic() - started


def finished_segments(output: Path) -> int:
    """Return how many segments the journal lists; -1 where there is none."""
    try:
        return sum("segment" in entry for entry in read_journal(work_folder(output) / "journal.jsonl"))
    except OSError:
        return -1


def begin(film: Path, output: Path, *, in_segments: bool = True) -> int:
    """Start a run in a process forked from this one, so that nothing is loaded anew; return its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        know_classifier()
        settings = {
            "input": str(film),
            "output": str(output),
            "effects": EFFECTS,
            "factor": 2,
            "backend": "eager",
        }
        how = [
            f"segment_seconds={SEGMENT_SECONDS}",
            f"resume={str(in_segments).lower()}",
            "threads=1",
            "device=cpu",
        ]
        code = streamfx.run_config(streamfx.load_config(overrides=how, options=settings)).exit_code
    except BaseException:  # noqa: BLE001  # the process boundary
        traceback.print_exc()
    finally:
        os._exit(code)


def children_seconds() -> float:
    """Return the processor time of all processes that have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system


def spent_seconds(process: int) -> float:
    """Return the processor time of a process at work (Linux), which other load does not change."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited(process: int, limit_seconds: float | None = None) -> int | None:
    """Wait for a process to end and return its exit code; None once it has spent that processor time."""
    while limit_seconds is None or spent_seconds(process) < limit_seconds:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def apart(act: Callable[[], object]) -> None:
    """Do something in a process of its own: threads that it starts would be missing in forks of this one."""
    process = os.fork()
    if process == 0:
        try:
            act()
        finally:
            os._exit(0)
    waited(process)


def load() -> None:
    """Load what runs need, without starting any thread of it."""
    for module in (
        "torch",
        "streamfx.backends.eager",
        "streamfx.generate.ops.fuse.numba_kernels",
        "streamfx.transcoding",
    ):
        importlib.import_module(module)


def know_classifier() -> None:
    """Let engines be of the family of the smallest classifier."""
    from streamfx.engine.families.build import NETWORKS
    from tests.mean_colour import MeanColour

    NETWORKS.setdefault("mean_colour", MeanColour)


def make_engines(folder: Path) -> None:
    """Write tiny engines: two that a route chooses from, what tells pictures apart, one that takes noise,
    one that remembers the frames before."""
    from tests import engines
    from tests.generate.test_placed_families import make_placed

    memory: dict[str, Any] = {"format": 3, "memory_tolerance": 0.1}
    engines.make_engine(folder, "carve", 7, source_domain="photo", target_domain="linocut", **memory)
    engines.make_engine(folder, "remembers", 5, **memory)
    engines.make_engine(folder, "print", 11, source_domain="painting", target_domain="linocut")
    engines.make_classifier(folder, "domain", BY_COLOUR)
    make_placed(folder, "convert_sr")


def make_film(path: Path, seconds: int) -> Path:
    """Write a film with cuts, a variable frame rate, sound, subtitles and chapters."""
    from tests import media
    from tests.scenes import scene_planes

    frames = seconds * 20
    times = [number * 50 + number % 5 * 4 for number in range(frames)]
    base = media.make_clip(
        path.with_name("sound.mkv"),
        times=times,
        subtitles=["a line", "another", "and a third"],
        chapters=["first", "second", "third"],
        metadata={"title": "A film to be killed"},
    )
    with av.open(str(base)) as sound, av.open(str(path), "w") as out:
        out.metadata.update(sound.metadata)
        out.set_chapters(sound.chapters())
        video = out.add_stream("libx264", rate=20, options={"preset": "veryfast", "g": "60"})
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        video.codec_context.time_base = MILLISECOND
        copies = {s.index: out.add_stream_from_template(s) for s in sound.streams if s.type != "video"}
        for number, time_ms in enumerate(times):
            scene = number // 37
            planes = scene_planes(scene, number % 37, TINTS[scene % 3])
            picture = av.VideoFrame(160, 96, "yuv420p")
            for plane, samples in zip(picture.planes, planes, strict=True):
                data = bytearray(plane.buffer_size)
                for row, line in enumerate(samples):
                    data[row * plane.line_size : row * plane.line_size + len(line)] = line.tobytes()
                plane.update(bytes(data))
            picture.pts, picture.time_base = time_ms, MILLISECOND
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        for packet in sound.demux(*[s for s in sound.streams if s.index in copies]):
            if packet.size and packet.pts is not None:
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
    return path


if __name__ == "__main__":
    main()
