"""Damaged films, hundreds of them: what comes of a run of each.

    python -m benchmarks.fuzz [--count 300] [--seed 1,2,3] [--clips mp4-h264,mkv-hevc] [--keep FOLDER]

Small clips of many containers and codecs are damaged by chance (the seed and the number of a film say how)
and each is transcoded by a process of its own, under limits of time and memory: a fork of this one, which has
loaded all that a run loads, so that a film takes a tenth of a second. What must come of it is a run
with a balanced account, whatever is missing from the film, or a clear refusal. Unexpected errors, crashes,
hangs and outputs that do not match the account are faults; ``--keep`` keeps the films that show them.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.damages import damaged
from benchmarks.options import option_parser
from benchmarks.record import record

# name: (ending, what `media.make_clip` is told)
CLIPS: dict[str, tuple[str, dict[str, Any]]] = {
    "mp4-h264": (".mp4", {}),
    "mp4-fragments": (".mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
    "mp4-av1": (".mp4", {"codec": "libsvtav1", "options": {"preset": "12"}}),
    "mov-prores": (".mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le", "audio_codec": "pcm_s16le"}),
    "mkv-h264": (".mkv", {"subtitles": ["one"], "chapters": ["A"]}),
    "mkv-hevc": (".mkv", {"codec": "libx265", "options": {"x265-params": "log-level=error"}}),
    "mkv-ffv1": (".mkv", {"codec": "ffv1", "audio_codec": "flac"}),
    "webm-vp9": (".webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
    "webm-vp8": (".webm", {"codec": "libvpx", "options": {"deadline": "realtime"}}),
    "avi-mpeg4": (".avi", {"codec": "mpeg4"}),
    "avi-mjpeg": (".avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    "ts-h264": (".ts", {}),
    "mpg-mpeg2": (".mpg", {"codec": "mpeg2video", "audio_codec": "mp2"}),
    "flv-flv1": (".flv", {"codec": "flv", "audio": False}),
    "wmv-wmv2": (".wmv", {"codec": "wmv2", "audio_codec": "wmav2"}),
    "nut-h264": (".nut", {"audio_codec": "pcm_s16le"}),
    "mxf-mpeg2": (".mxf", {"codec": "mpeg2video", "audio": False}),
    "y4m-raw": (".y4m", {"codec": "wrapped_avframe", "audio": False}),
    "gif": (".gif", {"codec": "gif", "pix_fmt": "rgb8", "audio": False}),
}
FRAMES = 12
MEMORY_BYTES = 6 << 30
GOOD = ("balanced", "refused")


@dataclass(frozen=True, slots=True)
class Limits:
    """How films are run: for how long at most, and whether in segments."""

    seconds: float
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a film.

    Attributes:
        kind: balanced, refused, unbalanced, unexpected, crash or hang.
        text: output of the run.
        seconds: time that it took.
    """

    kind: str
    text: str
    seconds: float


def main() -> None:
    """Run, print and record; exit code 1 where there were faults."""
    parser = option_parser(__doc__)
    parser.add_argument("--count", type=int, default=300, help="number of films for each seed, of all clips")
    parser.add_argument("--seed", default="1", help="seeds, with commas between")
    parser.add_argument("--first", type=int, default=0, help="number of the first film, to repeat one")
    parser.add_argument("--clips", help="names of clips, with commas between; all by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="limit for each film")
    parser.add_argument("--resume", action="store_true", help="run in segments")
    parser.add_argument("--keep", type=Path, help="folder for films that show a fault")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seed.split(",")]
    with tempfile.TemporaryDirectory() as name:
        clips = make_clips(Path(name), options.clips.split(",") if options.clips else list(CLIPS))
        numbers = range(options.first, options.first + options.count)
        limits = Limits(options.seconds, resume=options.resume)
        load_what_a_run_loads(next(iter(clips.values())), Path(name) / "out.mkv", limits)
        rows = [
            one(clips, seed, number, Path(name), limits, options.keep) for seed in seeds for number in numbers
        ]
    print(table(rows), flush=True)
    if not options.no_record:
        seed = seeds[0] if len(seeds) == 1 else seeds
        record("fuzz", table_rows(rows), {"seed": seed, "frames": FRAMES, "resume": options.resume})
    faults = [row for row in rows if row["outcome"] not in GOOD]
    for row in faults:
        print(
            f"{row['clip']} seed {row['seed']} number {row['number']} ({row['damage']}): {row['outcome']}: ",
            end="",
        )
        print(row["text"][:300])
    raise SystemExit(1 if faults else 0)


def one(
    clips: dict[str, Path], seed: int, number: int, folder: Path, how: Limits, keep: Path | None
) -> dict[str, Any]:
    """Damage a clip, run it, and return what came of it."""
    names = sorted(clips)
    name = names[number % len(names)]
    damage, data = damaged(clips[name].read_bytes(), seed, number)
    film = folder / f"damaged{clips[name].suffix}"
    film.write_bytes(data)
    outcome = run_apart(film, folder / "out.mkv", how)
    if outcome.kind not in GOOD and keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{name}-{seed}-{number}{film.suffix}").write_bytes(data)
    return {
        "clip": name,
        "seed": seed,
        "number": number,
        "damage": damage,
        "outcome": outcome.kind,
        "text": outcome.text,
        "seconds": round(outcome.seconds, 2),
    }


def make_clips(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Make the clips; one whose encoder is not there is left out, and named."""
    import av

    from tests import media

    os.environ.setdefault("SVT_LOG", "1")
    found = {}
    for name in names:
        ending, options = CLIPS[name]
        try:
            path = media.make_clip(folder / f"{name}{ending}", frames=FRAMES, size=(72, 96), **options)
        except (av.FFmpegError, ValueError) as error:
            print(f"{name}: cannot be made here: {error}", flush=True)
            continue
        found[name] = path
    return found


def load_what_a_run_loads(film: Path, output: Path, how: Limits) -> None:
    """Import what a run of a sound film imports, so that no child does; nothing is run in this process."""
    names: list[str] = json.loads(run_apart(film, output, how, tell_modules=True).text)
    for name in sorted(set(names) - set(sys.modules)):
        with contextlib.suppress(ImportError):  # made while the program runs
            importlib.import_module(name)


def run_apart(film: Path, output: Path, how: Limits, *, tell_modules: bool = False) -> Outcome:
    """Transcode a film in a process of its own, and return what came of it, or the modules that it loaded."""
    limit_seconds = how.seconds
    import streamfx.transcoding  # before the fork, so that no child loads it anew  # noqa: F401

    output.unlink(missing_ok=True)
    started = time.monotonic()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(film, output, writer, how, tell_modules=tell_modules)
    os.close(writer)
    said = b""
    while (left := started + limit_seconds - time.monotonic()) > 0:
        ready, _, _ = select.select([reader], [], [], left)
        if not ready or not (part := os.read(reader, 1 << 16)):
            break
        said += part
    os.close(reader)
    seconds = time.monotonic() - started
    hangs = seconds >= limit_seconds
    if hangs:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    for left_over in output.parent.glob(".out.*"):
        shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
    if hangs:
        return Outcome("hang", f"still at work after {limit_seconds:.0f} s", seconds)
    if os.WIFSIGNALED(status):
        return Outcome("crash", signal.Signals(os.WTERMSIG(status)).name, seconds)
    kind, text = json.loads(said) if said else ("crash", f"ended with {os.waitstatus_to_exitcode(status)}")
    return Outcome(kind, text, seconds)


def _child(film: Path, output: Path, writer: int, how: Limits, *, tell_modules: bool) -> None:
    """Run, say what came of it, and end; never returns."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        told = _outcome(film, output, how)
        if tell_modules:
            told = (told[0], json.dumps([*sys.modules]))
        os.write(writer, json.dumps(told).encode("utf-8", "backslashreplace"))
    finally:
        os._exit(0)


def _outcome(film: Path, output: Path, how: Limits) -> tuple[str, str]:
    import streamfx
    from streamfx.errors import StageFailedError, StreamfxError

    try:
        files = {"input": str(film), "output": str(output)}
        said = ["preset=ultrafast", "threads=1", "device=cpu", "segment_seconds=0.1"]
        config = streamfx.load_config(overrides=[*said, f"resume={str(how.resume).lower()}"], options=files)
        report = streamfx.run_config(config)
    except StageFailedError as failed:
        known = isinstance(failed.__cause__, StreamfxError)
        return ("refused" if known and str(failed) else "unexpected"), repr(failed.__cause__ or failed)
    except StreamfxError as refused:
        return ("refused" if str(refused).strip() else "unexpected"), str(refused)
    except MemoryError as error:
        return "refused", f"memory: {error}"
    except BaseException as error:  # noqa: BLE001  # the process boundary
        return "unexpected", repr(error)
    wrong = [text for text in report.differences if str(output) in text or "states add up" in text]
    if wrong or report.result.account.differences(report.result.packets_written):
        return "unbalanced", "; ".join(report.differences)
    return "balanced", "; ".join(report.losses)


def table_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how many films of each clip came to what."""
    found = []
    for clip in sorted({row["clip"] for row in rows}):
        of_clip = [row for row in rows if row["clip"] == clip]
        counts = Counter(row["outcome"] for row in of_clip)
        slowest = max(row["seconds"] for row in of_clip)
        found.append({"clip": clip, "films": len(of_clip), **counts, "slowest_seconds": slowest})
    return found


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the outcomes as text."""
    kinds = ("balanced", "refused", "unbalanced", "unexpected", "crash", "hang")
    lines = [f"{'clip':16}{'films':>7}" + "".join(f"{kind:>12}" for kind in kinds)]
    lines += [
        f"{row['clip']:16}{row['films']:7}" + "".join(f"{row.get(kind, 0):12}" for kind in kinds)
        for row in table_rows(rows)
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
