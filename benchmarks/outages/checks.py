"""What is looked at after a run: what it left behind, its account, the times and pictures that came out."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from benchmarks.outages.breaker import Outage
from benchmarks.outages.peers import ReceivedPicture
from streamfx.capture.pattern import read_stamp
from streamfx.media.av_planes import plane_array
from streamfx.run.report import Report

GAP_LIMIT_SECONDS = (
    0.75  # stand-ins begin after half a second without a picture; the rest is for a busy machine
)
LAG_LIMIT_SECONDS = 1.0
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Belongings:
    """What this process holds: names of threads, open files, processes it has started."""

    threads: Counter[str]
    files: Counter[str]
    processes: Counter[str]

    @classmethod
    def now(cls) -> Belongings:
        """Return what there is now."""
        return cls(
            Counter(thread.name for thread in threading.enumerate()), Counter(_files()), Counter(_children())
        )

    def beyond(self, before: Belongings) -> dict[str, Any]:
        """Return what there is more than before; what is on its way out gets a while."""
        found, deadline = self, time.monotonic() + _PATIENCE_SECONDS
        while found._more(before) and time.monotonic() < deadline:
            time.sleep(0.2)
            found = Belongings.now()
        names = ("threads", "files", "processes")
        return {
            f"{name}_left": sum((getattr(found, name) - getattr(before, name)).values()) for name in names
        } | {"left": found._more(before)}

    def _more(self, before: Belongings) -> list[str]:
        more = (self.threads - before.threads, self.files - before.files, self.processes - before.processes)
        return [name for each in more for name in each.elements()]


def recovery(outages: Sequence[Outage]) -> dict[str, Any]:
    """Return how often the server was killed, and how long it took to recover."""
    took = [each.recovered_seconds for each in outages if each.recovered_seconds is not None]
    return {
        "kills": sum(each.kills for each in outages),
        "outages": len(outages),
        "recovered": len(took),
        "recovered_median_seconds": round(statistics.median(took), 2) if took else None,
        "recovered_longest_seconds": max(took, default=None),
        "memory_grew_mib": round(outages[-1].memory_mib - outages[0].memory_mib, 1) if outages else None,
    }


def account(report: Report) -> dict[str, Any]:
    """Return what became of the frames."""
    result = report.result.account
    settled = result.encoded + result.repeated + result.frames_dropped + result.frames_failed
    latency = report.result.stages.get("latency")
    return {
        "frames_in": result.frames_in,
        "encoded": result.encoded,
        "repeated": result.repeated,
        "dropped": ", ".join(f"{count} {cause}" for cause, count in result.dropped.items()) or "0",
        "failed": ", ".join(f"{count} {stage}" for stage, count in result.failed.items()) or "0",
        "balanced": settled == result.frames_in + result.fillers and not report.differences,
        "reconnects": len(report.interruptions) or _losses(report),
        "latency_p99_ms": None if latency is None else round((latency.p99_seconds or 0) * 1000),
    }


def read_file(path: Path) -> tuple[list[ReceivedPicture], set[str]]:
    """Return the pictures of a file, and the sizes they have."""
    seen, sizes = [], set()
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            sizes.add(f"{picture.width}x{picture.height}")
            assert picture.pts is not None
            assert picture.time_base is not None
            stamp = read_stamp(plane_array(picture.planes[0], 8))
            seconds = float(picture.pts * picture.time_base)
            seen.append(ReceivedPicture(0, seconds, seconds, stamp))
    return seen, sizes


def timeline(seen: Sequence[ReceivedPicture], rate_fps: int, *, retimed: bool = False) -> dict[str, Any]:
    """Return whether times go forward, the largest step, and whether the pictures fell behind.

    Args:
        seen: pictures in the order they came; for a viewer, of all its connections.
        rate_fps: rate at which numbers were given to the pictures.
        retimed: the server gives times anew, by when it got a picture; two that meet get the same.
    """
    steps = [
        after.time_seconds - before.time_seconds
        for before, after in pairwise(seen)
        if _together(before, after)
    ]
    numbered = [(each.at_seconds, each.stamp) for each in seen if each.stamp is not None]
    stamps = [stamp for _, stamp in numbered]
    new = [now for before, now in pairwise(numbered) if now[1] != before[1]]  # not one that is shown again
    lags = [at_seconds - stamp / rate_fps for at_seconds, stamp in new]
    share = max(len(lags) // 10, 1)
    return {
        "forward": all(step >= 0 if retimed else step > 0 for step in steps),
        "largest_gap_seconds": round(max(steps, default=0.0), 3),
        "pictures_in_order": all(before <= after for before, after in pairwise(stamps)),
        "share_numbered": round(len(stamps) / max(len(seen), 1), 3),
        "lag_grew_seconds": round(statistics.median(lags[-share:]) - statistics.median(lags[:share]), 3)
        if lags
        else None,
    }


def problems(row: dict[str, Any], kills: int) -> list[str]:
    """Return what is not as it must be, in words; empty: everything is."""
    lag = row["lag_grew_seconds"]
    checks = {
        f"recovered {row['recovered']} of {kills} times": row["recovered"] == kills,
        "the account does not balance": row["balanced"],
        "times do not go forward": row["forward"],
        f"a gap of {row['largest_gap_seconds']} s": row["largest_gap_seconds"] <= GAP_LIMIT_SECONDS,
        "old pictures came after new ones": row["pictures_in_order"],
        f"pictures are {lag} s further behind": lag is not None and lag < LAG_LIMIT_SECONDS,
        f"sizes {row['sizes']}": row["sizes"] == 1,
        f"left behind: {row['left']}": not row["left"],
    }
    return [problem for problem, fine in checks.items() if not fine]


def _together(before: ReceivedPicture, after: ReceivedPicture) -> bool:
    return before.connection == after.connection


def _losses(report: Report) -> int | None:
    """Return how often an output was lost, which is in its notes."""
    found = [note.rsplit(" ", 2)[1] for note in report.notes if "the connection was lost" in note]
    return int(found[0]) if found else 0


def _files() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue  # that of the listing itself
        found.append(target.split(":")[0] if ":" in target else target)  # pipe:[123]: any pipe
    return found


def _children() -> list[str]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:
            continue  # gone meanwhile
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        if int(rest[1]) == os.getpid():
            found.append(name)
    return found
