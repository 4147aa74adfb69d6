"""Figures: how a run goes just now, as a page shows it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from streamfx.generate.routed import Routed
from streamfx.media.stage import EFFECT_STAGES, Stage
from streamfx.pipeline.stats import Snapshot, Times
from streamfx.run.controls import RunControls

STAGES = (Stage.DECODE, Stage.WAITING, Stage.GENERATE, *EFFECT_STAGES, Stage.ON_DEVICE, Stage.ENCODE)
_SPAN_SECONDS = 2.5
_LATENCIES = 150


class Figures:
    """Makes figures of the last seconds out of what is counted since the start.

    `took` may be called from any thread, `now` from one.

    Args:
        controls: controls, which know the state of the run.
        stages: stages whose times are shown.
    """

    def __init__(self, controls: RunControls, stages: Sequence[str] = STAGES) -> None:
        self._controls, self._stages = controls, stages
        self._lock = threading.Lock()
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._looks: deque[Snapshot] = deque()

    def took(self, seconds: float) -> None:
        """Note how long a frame took from capture to where its picture was handed to the viewers."""
        with self._lock:
            self._latencies.append(seconds)

    def now(self) -> dict[str, Any] | None:
        """Return the figures; None before the run has told anything."""
        snapshot = self._controls.snapshot
        if snapshot is None:
            return None
        looks = self._looks
        if not looks or snapshot is not looks[-1]:
            looks.append(snapshot)
        while len(looks) > 2 and snapshot.elapsed_seconds - looks[1].elapsed_seconds > _SPAN_SECONDS:
            looks.popleft()
        first = looks[0]
        span_seconds = snapshot.elapsed_seconds - first.elapsed_seconds
        known = span_seconds > 0
        return {
            "elapsed_seconds": snapshot.elapsed_seconds,
            "fps_in": (snapshot.frames_in - first.frames_in) / span_seconds if known else None,
            "fps_out": (snapshot.frames_out - first.frames_out) / span_seconds if known else None,
            "stale_seconds": self._stale_seconds(),
            "frames_in": snapshot.frames_in,
            "frames_out": snapshot.frames_out,
            "repeated": snapshot.frames_repeated,
            "failed": snapshot.frames_failed,
            "drops": snapshot.drops,
            "latency_ms": self._latency_ms(),
            "stages_ms": _recent_ms(self._stages, snapshot.stages, first.stages),
            "factor": self._factor(),
            "routing": self._routing(),
        }

    def _stale_seconds(self) -> float | None:
        """Return how long ago the last frame came from the source; None before the first."""
        last = self._controls.last_frame_at
        return None if last is None else time.monotonic() - last

    def _latency_ms(self) -> dict[str, float] | None:
        with self._lock:
            ordered = sorted(self._latencies)
        if not ordered:
            return None
        return {
            f"p{percent}": ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] * 1000
            for percent in (50, 95)
        }

    def _factor(self) -> dict[str, Any] | None:
        controls = self._controls
        effects = controls.effects
        factors = effects.chain.factors
        if not factors:
            return None
        decisions = controls.decisions
        if decisions:
            why = f"{decisions[-1].why} (at {decisions[-1].time_seconds:.0f} s)"
        else:
            why = effects.choice.reason if effects.choice else "as asked for"
        return {"factor": factors[0], "why": why}

    def _routing(self) -> str | None:
        """Return what the pictures decided last, for each place of the chain where they do."""
        said = [
            f"{now.effect or 'no effect'} since frame {now.frame}: {now.why}"
            for effect in self._controls.effects.chain.effects
            if isinstance(effect, Routed)
            for now in effect.choices[-1:]
        ]
        return "; ".join(said) or None


def _recent_ms(
    stages: Sequence[str], now: Mapping[str, Times], before: Mapping[str, Times]
) -> dict[str, float]:
    """Return the mean milliseconds of each stage between two looks."""
    means = {}
    for name in stages:
        times, earlier = now.get(name), before.get(name)
        if times is None or not times.count:
            continue
        count, total = times.count, times.count * (times.mean_seconds or 0.0)
        if earlier is not None and earlier.count < count:
            count -= earlier.count
            total -= earlier.count * (earlier.mean_seconds or 0.0)
        elif earlier is not None and now is not before:
            continue  # it did nothing lately: bypassed, say
        means[name] = total / count * 1000
    return means
