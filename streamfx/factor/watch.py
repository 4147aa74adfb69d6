"""Factor watch: what a governor decides is done to the effects of a live run, and noted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from streamfx.errors import StreamfxError
from streamfx.factor.choice import FactorChoice
from streamfx.factor.governor import STAGES, FactorDecision, Governor, Rules
from streamfx.generate.chain import AnyEffect
from streamfx.media.frame import VideoFormat
from streamfx.media.stage import Stage
from streamfx.pipeline.fan_out import OUTPUT_STAGE
from streamfx.pipeline.stats import Snapshot, Times

log = logging.getLogger(__name__)

_NETWORK = {Stage.TRANSLATE, Stage.ON_DEVICE}


def watch_factor(
    choice: FactorChoice,
    effects: Sequence[AnyEffect],
    video: VideoFormat,
    before: Mapping[str, Times] | None = None,
) -> FactorWatch | None:
    """Return what keeps a chosen factor right; None where there is no rate to keep up with, or no choice."""
    if video.rate_fps is None or len(choice.predictions) < 2:
        return None
    rules = Rules(budget_seconds=float(1 / video.rate_fps))
    return FactorWatch(Governor(choice.predictions, choice.factor, rules), effects, video, before)


class FactorWatch:
    """Lets a governor act on running effects. `look` is for one thread; close it after the run.

    Engines are prepared for the factors that may come next, so that a change costs no stall; a factor is
    changed to only when it is ready. The change is made between two frames. Every larger factor is prepared
    before the run: once frames are late there is no time for that. What else may come next is prepared in
    a thread of its own, while there is room.

    Args:
        governor: decides.
        effects: effects whose factor is governed.
        video: format of the frames.
        before: times of the stages up to now, which do not count: they tell of other effects.

    Attributes:
        decisions: decisions made so far; times are seconds since the start of the run.
    """

    def __init__(
        self,
        governor: Governor,
        effects: Sequence[AnyEffect],
        video: VideoFormat,
        before: Mapping[str, Times] | None = None,
    ) -> None:
        self.decisions: list[FactorDecision] = []
        self._governor, self._effects, self._video = governor, effects, video
        self._ready = {governor.factor}
        self._failed: set[float] = set()
        self._before: dict[str, Times] = dict(before or {})
        self._preparing: threading.Thread | None = None
        self._closed = threading.Event()

    def prepare(self) -> None:
        """Prepare the next smaller factor and all larger ones; to be called before the run."""
        wanted = {*self._governor.neighbours, *self._governor.larger}
        self._prepare_all(sorted(wanted - self._ready))

    def look(self, snapshot: Snapshot) -> None:
        """Take the state of the run; change the factor where that is decided."""
        if snapshot.stopping or self._closed.is_set():
            return
        busy = self._preparing is not None and self._preparing.is_alive()
        times = self._since_last(snapshot.stages)
        if not busy:
            self._prepare()
        # While engines are built, the stages are slowed by that; and without the network there is no cost.
        if busy or not (times.keys() >= {*STAGES} and times.keys() & _NETWORK):
            return
        stages = {name: times[name] for name in STAGES}
        # With several outputs, encode only hands over: what the slowest of them takes is what counts.
        outputs = [seconds for name, seconds in times.items() if name.startswith(OUTPUT_STAGE)]
        stages[Stage.ENCODE] = max([stages[Stage.ENCODE], *outputs])
        decision = self._governor.observe(stages, snapshot.elapsed_seconds, self._ready)
        if decision is not None:
            self._act(decision)

    def close(self) -> None:
        """Wait for what is being prepared; nothing is changed from here on. May be called twice."""
        self._closed.set()
        if self._preparing is not None:
            self._preparing.join()

    def _act(self, decision: FactorDecision) -> None:
        self.decisions.append(decision)
        if decision.after == decision.before:
            log.warning("factor stays %g: %s", decision.after, decision.why)
            return
        for effect in self._effects:
            effect.controls = replace(effect.controls, factor=decision.after)
        log.info("factor %g instead of %g: %s", decision.after, decision.before, decision.why)
        self._prepare()

    def _prepare(self) -> None:
        wanted = [
            factor
            for factor in self._governor.neighbours
            if factor not in self._ready and factor not in self._failed
        ]
        if wanted and not self._closed.is_set():
            self._preparing = threading.Thread(
                target=self._prepare_all, args=(wanted,), name="streamfx-prepare", daemon=True
            )
            self._preparing.start()

    def _prepare_all(self, factors: Sequence[float]) -> None:
        for factor in factors:
            try:
                for effect in self._effects:
                    if self._closed.is_set():
                        return
                    effect.warm_up(self._video, factor)
            except (StreamfxError, RuntimeError, ValueError, OSError) as error:
                self._failed.add(factor)
                log.warning("factor %g cannot be prepared and is left out: %s", factor, error)
            else:
                self._ready.add(factor)

    def _since_last(self, stages: Mapping[str, Times]) -> dict[str, float]:
        """Return the mean seconds of each stage over what was measured since the last look."""
        means = {}
        for name, now in stages.items():
            before = self._before.get(name)
            count = now.count - (before.count if before else 0)
            if count > 0:
                means[name] = (_total(now) - (_total(before) if before else 0.0)) / count
        self._before = dict(stages)
        return means


def _total(times: Times) -> float:
    return times.count * (times.mean_seconds or 0.0)
