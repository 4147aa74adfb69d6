"""Real servers killed and started again at random moments, streamfx reading from them or writing to them.

    python -m benchmarks.outages --server rtmp|rtsp --direction in|out [--kills 20] [--seed S] [--other-size]

Nginx with its RTMP module, or GStreamer's RTSP server, runs on a free port with a folder of its own. A test
picture goes through it in real time, and through `streamfx.live` with an effect. The server is killed
(SIGKILL) and started again; now and then it is killed once more while everybody is still connecting. In the
end the account of streamfx, what it wrote and what it left behind are looked at. ``in``: the server gets the
picture from a publisher, streamfx reads it there and writes a file. ``out``: streamfx sends to the server, a
viewer watches it there. ``--other-size``: the publisher comes back with another size each time.

Reconnecting is as a user has it, nothing is set. The last run of each kind counts in the results.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import streamfx
from benchmarks.outages import checks
from benchmarks.outages.breaker import Breaker, Outage
from benchmarks.outages.peers import LINE_BYTES, read_log
from benchmarks.outages.servers import SERVERS, Server
from benchmarks.record import RESULTS, record
from streamfx.pipeline.stats import Snapshot

FPS = 25
SIZE, OTHER_SIZES = "320x180", ("256x144", "400x300", "480x270")
EFFECT, FACTOR, THREADS = "wave", 2.0, 1  # a small picture: one thread is enough, and never waits for another


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of run; the results hold one row for each."""

    server: str
    direction: str
    other_size: bool

    @property
    def name(self) -> str:
        """How its row is called."""
        return f"{self.server} {self.direction}" + (", other sizes" if self.other_size else "")


def main() -> None:
    """Run, print and record."""
    options = _options()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.ERROR)
    kind = Kind(options.server, options.direction, options.other_size)
    seed = random.SystemRandom().randrange(1 << 16) if options.seed is None else options.seed
    with tempfile.TemporaryDirectory(prefix="streamfx-outages-") as name:
        row = run(kind, options.kills, random.Random(seed), Path(name))
    row["seed"] = seed
    for key, value in row.items():
        if key != "each":
            print(f"{key:26} {value}")
    if not options.no_record:
        settings = {
            "size": SIZE,
            "fps": FPS,
            "effect": EFFECT,
            "factor": FACTOR,
            "threads": THREADS,
            "reconnect": "as it is",
        }
        record("outages", _with_the_others(row), settings)
    sys.exit(0 if row["verdict"] == "passed" else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--server", choices=sorted(SERVERS), required=True)
    parser.add_argument("--direction", choices=("in", "out"), required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--seed", type=int, help="seed of the random moments; the default is another each time"
    )
    parser.add_argument("--other-size", action="store_true", help="the publisher changes its size (in only)")
    parser.add_argument("--no-record", action="store_true", help="print only")
    parser.add_argument("--verbose", action="store_true", help="show the log of streamfx, too")
    options = parser.parse_args()
    if options.other_size and options.direction == "out":
        parser.error("--other-size is for --direction in: streamfx keeps the size of what it sends")
    return options


def run(kind: Kind, kills: int, luck: random.Random, folder: Path) -> dict[str, Any]:
    """Run one kind with so many kills; return its row."""
    streamfx.live(
        "test:bars?size=320x180&frames=25", "null:", effects=[EFFECT], factor=FACTOR, threads=THREADS
    )  # opens what stays
    before = checks.Belongings.now()
    server = SERVERS[kind.server](folder)
    server.start()
    try:
        found = (
            _in(kind, server, kills, luck, folder)
            if kind.direction == "in"
            else _out(kind, server, kills, luck, folder)
        )
    finally:
        server.kill()
    report, outages, seen = found
    left = checks.Belongings.now().beyond(before)
    row = {"run": kind.name, **checks.recovery(outages), **checks.account(report), **seen, **left}
    problems = checks.problems(row, kills)
    return {
        **row,
        "verdict": "passed" if not problems else "; ".join(problems),
        "each": [asdict(each) for each in outages],
    }


def _in(
    kind: Kind, server: Server, kills: int, luck: random.Random, folder: Path
) -> tuple[streamfx.Report, list[Outage], dict[str, Any]]:
    """Read from the server, write a file; pictures have come through when they are no stand-ins."""
    sizes = [SIZE, *OTHER_SIZES] if kind.other_size else [SIZE]
    output, made = folder / "out.mkv", 0

    def look(snapshot: Snapshot) -> None:
        nonlocal made
        made = snapshot.frames_out - snapshot.frames_repeated

    with _peer("publish", server.publish, folder / "publisher.log", str(FPS), *sizes) as log:
        _wait_for(log, 1)
        time.sleep(1.5)  # until the server offers it
        report, outages = _live(server, server.view, str(output), lambda: made, kills, luck, look)
    seen, found = checks.read_file(output)
    return report, outages, {**checks.timeline(seen, FPS), "frames_in_file": len(seen), "sizes": len(found)}


def _out(
    kind: Kind, server: Server, kills: int, luck: random.Random, folder: Path
) -> tuple[streamfx.Report, list[Outage], dict[str, Any]]:
    """Send to the server; pictures have come through when a viewer has them."""
    source = f"test:bars?size={SIZE}&fps={FPS}&frames=0&live=1"
    with _peer("view", server.view, folder / "viewer.log") as log:
        passed = partial(_lines, log)
        report, outages = _live(server, source, server.publish, passed, kills, luck, None)
    seen = read_log(log)
    found = checks.timeline(seen, FPS, retimed=kind.server == "rtsp")
    return report, outages, {**found, "sizes": 1}


def _live(
    server: Server,
    source: str,
    output: str,
    passed: Callable[[], int],
    kills: int,
    luck: random.Random,
    look: Callable[[Snapshot], None] | None,
) -> tuple[streamfx.Report, list[Outage]]:
    breaker = Breaker(server, passed, kills, luck)
    breaker.start()
    try:
        report = streamfx.live(
            source,
            output,
            effects=[EFFECT],
            factor=FACTOR,
            threads=THREADS,
            preset="ultrafast",
            progress=look,
        )
    finally:
        breaker.end()
    return report, breaker.outages


@contextmanager
def _peer(*arguments: str | Path) -> Iterator[Path]:
    """Run a publisher or a viewer; gives its log."""
    command = [sys.executable, "-m", "benchmarks.outages.peers", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield Path(arguments[2])
    finally:
        process.kill()
        process.wait()


def _lines(log: Path) -> int:
    return log.stat().st_size // LINE_BYTES if log.exists() else 0


def _wait_for(log: Path, lines: int) -> None:
    deadline = time.monotonic() + 30
    while _lines(log) < lines:
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing came into {log.name} within 30 s")
        time.sleep(0.05)


def _with_the_others(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the other kinds as they were recorded, and this one, in order."""
    path = RESULTS / "outages.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return sorted([each for each in rows if each["run"] != row["run"]] + [row], key=lambda each: each["run"])


if __name__ == "__main__":
    main()
