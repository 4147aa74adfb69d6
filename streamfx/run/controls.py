"""Controls of a run: where it is changed while it goes on, and what was changed.

It stands between the pipeline, which hands it frames, and whoever turns the knobs (a web page, say). A change
acts between two frames: a frame is done the old way or the new way, never half of each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from streamfx.capture.frame_conversion import FrameScaler
from streamfx.engine.library import list_effects
from streamfx.errors import ConfigError
from streamfx.factor.governor import FactorDecision
from streamfx.generate.chain import AnyEffect
from streamfx.generate.request import with_controls
from streamfx.media.frame import Frame, VideoFormat
from streamfx.pipeline.stats import Snapshot
from streamfx.run.control_state import Change, ControlState, controls_of, state_of, take_over
from streamfx.run.effects import Effects, exchanged

log = logging.getLogger(__name__)

_ONE_MOVE_SECONDS = 1.0  # a slider that is dragged sends many values: they are one change
_MOST_CHANGES = 1000
_MOST_EFFECTS = 8  # in a chain that grows by what viewers ask for


class RunControls:
    """Runs the effects on frames and lets them be changed meanwhile.

    `process` is for one thread; everything else may be called from any. Close it after the run.

    Args:
        effects: effects to begin with; they belong to the caller, those that come later to the controls.
        elapsed_seconds: time since the start of the run.
        kept_frames: number of sources, of frames on their way to the outputs, that are kept while
            somebody watches.
        video: format for which the outputs are opened; None: that of the effects at the start.

    Attributes:
        video: format for which the outputs are opened.
        fit: function that brings frames into that format, whatever is changed.
        snapshot: the latest state of the run; None before the first.
        changes: changes so far, in order.
        failures: effects that failed after a change and were bypassed.
        last_frame_at: time when the last frame of the source was taken up, monotonic clock; None before
            the first.
    """

    def __init__(
        self,
        effects: Effects,
        elapsed_seconds: Callable[[], float],
        kept_frames: int = 12,
        video: VideoFormat | None = None,
    ) -> None:
        self.video = video or effects.chain.output(effects.video)
        self.fit = FrameScaler(self.video)
        self.snapshot: Snapshot | None = None
        self.changes: list[Change] = []
        self.failures: list[str] = []
        self.last_frame_at: float | None = None
        self._effects, self._first = effects, effects
        self._elapsed_seconds = elapsed_seconds
        self._bypass = False
        self._last_index: int | None = None
        self._in_frame = threading.Lock()
        self._turning = threading.RLock()  # one hand at the knobs at a time, the governor's included
        self._sources: deque[Frame] = deque(maxlen=kept_frames)
        self._keeping = threading.Lock()
        self._watchers = 0
        self._listeners: list[Callable[[], None]] = []
        self._past_decisions: tuple[FactorDecision, ...] = ()
        self._opening: str | None = None
        self._problem: str | None = None
        self._switching: threading.Thread | None = None
        self._closed = False
        self._moved: tuple[str, float] = ("", 0.0)

    @property
    def effects(self) -> Effects:
        """The effects in force."""
        return self._effects

    @property
    def decisions(self) -> tuple[FactorDecision, ...]:
        """What was decided on the factor since the start, whatever effects ran."""
        now = self._effects.watch
        return (*self._past_decisions, *(now.decisions if now else ()))

    @cached_property
    def available(self) -> tuple[str, ...]:
        """Names of the effects there are; looked for once."""
        return tuple(found.name for found in list_effects() if found.spec is not None)

    def process(self, frame: Frame) -> Frame:
        """Return the frame with the effects applied, or as it is when bypassed, in the outputs' format.

        What was changed while the run went on does not end it: where the effects fail on a frame after that,
        it passes as it is, and they are bypassed.
        """
        with self._in_frame:
            chain, bypass = self._effects.chain, self._bypass
            self._last_index, self.last_frame_at = frame.index, time.monotonic()
            if self._watchers:
                with self._keeping:
                    self._sources.append(frame)
            try:
                done = frame if bypass else chain.process(frame)
            except Exception as error:  # the boundary between what viewers ask for and the run
                if not self.changes:
                    raise
                self._give_up(frame, error)
                done = frame
        return self.fit(done)

    def source_of(self, index: int) -> Frame | None:
        """Return what frame ``index`` was before the effects; None when that was not kept."""
        with self._keeping:
            return next((frame for frame in self._sources if frame.index == index), None)

    def watch_sources(self, *, on: bool) -> None:
        """Say that somebody wants to see what frames were before, or does no more. Calls must pair up."""
        with self._turning:
            self._watchers += 1 if on else -1
            if not self._watchers:
                with self._keeping:
                    self._sources.clear()

    def listen(self, told: Callable[[], None]) -> Callable[[], None]:
        """Have ``told`` called after every change, in any thread; return what ends that."""
        self._listeners.append(told)
        return lambda: self._listeners.remove(told) if told in self._listeners else None

    def look(self, snapshot: Snapshot) -> None:
        """Take the state of the run; let the governor of the effects in force act on it."""
        self.snapshot = snapshot
        with self._turning:
            # While an effect is opened the stages are slow because of that.
            if self._effects.watch is not None and self._opening is None:
                self._effects.watch.look(snapshot)

    def state(self) -> ControlState:
        """Return how everything stands."""
        return ControlState(
            effects=tuple(map(state_of, self._effects.chain.effects)),
            bypass=self._bypass,
            opening=self._opening,
            problem=self._problem,
            available=self.available,
        )

    def set_bypass(self, on: bool) -> None:
        """Let frames pass unchanged from the next one on, or have the effects applied again."""
        with self._turning:
            if on == self._bypass:
                return
            self._bypass = on
            self._note("bypass on" if on else "bypass off")
        self._tell()

    def set_control(self, position: int, name: str, value: float) -> None:
        """Set a control of the effect at ``position`` of the chain, from its next frame on.

        Raises:
            ConfigError: there is no such effect or control, or the value is out of the engine's range.
        """
        with self._turning:
            effect = self._effect_at(position)
            if name not in {control.name for control in controls_of(effect)}:
                raise ConfigError(f"effect {effect.name!r} has no control {name!r}")
            before = getattr(effect.controls, name)
            effect.controls = with_controls(effect.controls, {name: value})
            if value != before:
                self._note(f"{effect.name}: {name} {value:g}", move=f"{position} {name}")
        self._tell()

    def switch(self, position: int, name: str) -> None:
        """Open another effect in the background, and put it in the place of the one at ``position``.

        Until it is ready the old one goes on; where it cannot be opened, the old one stays and `state` says
        why. ``position`` may be one past the last, for a further effect.

        Raises:
            ConfigError: there is no such effect or place, or another is being opened already.
        """
        with self._turning:
            if name not in self.available:
                raise ConfigError(f"there is no effect {name!r}; there are: {', '.join(self.available)}")
            if not 0 <= position <= len(self._effects.chain.effects):
                raise ConfigError(f"there is no effect number {position}")
            if position >= _MOST_EFFECTS:
                raise ConfigError(f"a chain has at most {_MOST_EFFECTS} effects; replace one of them")
            if self._opening is not None:
                raise ConfigError(f"{self._opening} is being opened; {name} can be taken after that")
            if self._closed:
                raise ConfigError("the run has ended")
            self._opening, self._problem = name, None
            self._switching = threading.Thread(
                target=self._switch, args=(position, name), name="streamfx-switch", daemon=True
            )
            self._switching.start()
        self._tell()

    def note(self, what: str) -> None:
        """Keep account of something else that was done by hand: a recording, a snapshot."""
        with self._turning:
            self._note(what)

    def close(self) -> None:
        """Wait for what is being opened and give back what the controls opened. May be called twice."""
        with self._turning:
            self._closed = True
        if self._switching is not None:
            self._switching.join()
        if self._effects is not self._first:
            _give_back(self._effects, None)

    def _switch(self, position: int, name: str) -> None:
        before, after, problem = self._effects, None, None
        try:
            stages = self.snapshot.stages if self.snapshot else {}
            after = exchanged(before, position, name, stages)
        except Exception as error:  # the thread boundary: the old effects go on, and the page says why
            problem = str(error) or type(error).__name__
            log.warning("effect %s cannot be had, the one before stays: %s", name, error)
        with self._turning:
            if after is not None:
                replaced = before.chain.effects[position : position + 1]
                if before.watch is not None:
                    self._past_decisions += tuple(before.watch.decisions)
                for old in replaced:
                    take_over(old, after.chain.effects[position])
                self._effects = after
                was = replaced[0].name if replaced else "none"
                self._note(f"effect {was} → {name}")
            else:
                self._note(f"effect {name} asked for, and not to be had: {problem}")
            self._opening, self._problem = None, problem
        self._tell()
        if after is not None:
            with self._in_frame:
                pass  # the last frame that is in the old effects is done when this can be had
            _give_back(before, after)

    def _give_up(self, frame: Frame, error: Exception) -> None:
        """Bypass effects that fail after a change."""
        names = ", ".join(effect.name for effect in self._effects.chain.effects)
        self._problem = f"{names} failed on frame {frame.index}, and is bypassed: {error}"
        log.warning("%s", self._problem)
        self.failures.append(self._problem)
        self._bypass = True
        self._note(f"bypass on: {self._problem}")
        self._tell()

    def _effect_at(self, position: int) -> AnyEffect:
        effects = self._effects.chain.effects
        if not 0 <= position < len(effects):
            raise ConfigError(f"there is no effect number {position}; there are {len(effects)}")
        return effects[position]

    def _note(self, what: str, move: str = "") -> None:
        """Keep account of a change; a further value of the same move takes the place of the last."""
        now = self._elapsed_seconds()
        change = Change(round(now, 3), self._last_index, what)
        last, last_at = self._moved
        if move and move == last and now - last_at < _ONE_MOVE_SECONDS and self.changes:
            change = replace(self.changes.pop(), what=what)
        if len(self.changes) < _MOST_CHANGES:
            self.changes.append(change)
        self._moved = (move, now)

    def _tell(self) -> None:
        for told in tuple(self._listeners):
            told()


def _give_back(old: Effects, kept: Effects | None) -> None:
    """Close the watch and those effects that are not among the kept ones."""
    if old.watch is not None:
        old.watch.close()
    for effect in old.chain.effects:
        if kept is None or all(effect is not other for other in kept.chain.effects):
            effect.close()
