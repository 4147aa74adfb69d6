"""Figures: what a page shows of a run, from one snapshot to the next."""

from __future__ import annotations

from streamfx.stats import Snapshot, Times


class Figures:
    """Turns snapshots into figures of what happened since the one before."""

    def __init__(self) -> None:
        self._before: dict[str, Times] = {}

    def of(self, snapshot: Snapshot) -> dict[str, float | int | None]:
        """Return the figures, times in milliseconds: means since the snapshot before; None where nothing is
        known."""
        shown: dict[str, float | int | None] = {
            "fps": None if snapshot.fps is None else round(snapshot.fps, 1),
            "frames_in": snapshot.frames_in,
            "frames_out": snapshot.frames_out,
            "dropped": snapshot.frames_dropped,
            "seconds": round(snapshot.elapsed_seconds, 1),
        }
        for stage in ("waiting", "generate", "latency", "send"):
            shown[f"{stage}_ms"] = self._mean_ms(stage, snapshot.stages.get(stage))
        self._before = dict(snapshot.stages)
        return shown

    def _mean_ms(self, stage: str, now: Times | None) -> float | None:
        if now is None:
            return None
        before = self._before.get(stage)
        count = now.count - (before.count if before else 0)
        if count <= 0:
            return None
        return round((_total(now) - (_total(before) if before else 0.0)) / count * 1000, 1)


def _total(times: Times) -> float:
    return times.count * (times.mean_seconds or 0.0)
