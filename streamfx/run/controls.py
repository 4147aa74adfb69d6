"""Controls of a run: where it is changed while it goes on, and what was changed.

It stands between the pipeline, which hands it frames, and whoever turns the knobs (a web page, say). A change
acts between two frames: a frame is done the old way or the new way, never half of each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TypeAlias

from streamfx.capture.frame_conversion import FrameScaler
from streamfx.errors import ConfigError
from streamfx.factor.governor import FactorDecision
from streamfx.generate.chain import AnyEffect, effect_names
from streamfx.generate.effect import Backdrop
from streamfx.generate.where import Where
from streamfx.media.frame import Frame, VideoFormat
from streamfx.pipeline.stats import Snapshot
from streamfx.run.change_log import Change, ChangeLog
from streamfx.run.control_state import (
    ControlState,
    WantedEffect,
    check_names,
    check_part,
    check_place,
    effect_at,
    names_of,
    places_of,
    say_kind,
    set_as_far,
    set_value,
    show_backdrop,
    state_of,
    take_over,
)
from streamfx.run.effects import MOST_PIXELS, Effects
from streamfx.run.kept_frames import KeptFrames
from streamfx.run.rearranging import ChainPlace, NewEffect, give_back, rearranged, share_factor

log = logging.getLogger(__name__)

Places: TypeAlias = Sequence[ChainPlace]
Then: TypeAlias = Callable[[Effects], str]


class RunControls:
    """Runs the effects on frames and lets them be changed meanwhile.

    `process` is for one thread; everything else may be called from any. Close it after the run.

    Args:
        effects: effects to begin with; they belong to the caller, those that come later to the controls.
        elapsed_seconds: time since the start of the run.
        kept_frames: number of sources, of frames on their way to the outputs, that are kept while
            somebody watches.
        video: format for which the outputs are opened; None: that of the effects at the start.
        most_pixels: most pixels that frames may have between effects that are asked for meanwhile.

    Attributes:
        video: format for which the outputs are opened.
        fit: function that brings frames into that format, whatever is changed.
        snapshot: the latest state of the run; None before the first.
        failures: effects that failed after a change and were bypassed.
        sources: frames before the effects, kept while somebody watches.
        last_frame_at: time when the last frame of the source was taken up, monotonic; None before the first.
    """

    def __init__(
        self,
        effects: Effects,
        elapsed_seconds: Callable[[], float],
        kept_frames: int = 12,
        video: VideoFormat | None = None,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        self.video = video or effects.chain.output(effects.video)
        self.fit = FrameScaler(self.video)
        self.snapshot: Snapshot | None = None
        self.failures: list[str] = []
        self.last_frame_at: float | None = None
        self._effects, self._first = effects, effects
        self._most_pixels = most_pixels
        self._log = ChangeLog(elapsed_seconds)
        self._bypass = False
        self._last_index: int | None = None
        self._in_frame = threading.Lock()
        self._turning = threading.RLock()  # one hand at the knobs at a time, the governor's included
        self.sources = KeptFrames(kept_frames)
        self._listeners: list[Callable[[], None]] = []
        self._past_decisions: tuple[FactorDecision, ...] = ()
        self._decided = ("",) * len(effects.chain.effects)
        self._opening: str | None = None
        self._problem: str | None = None
        self._switching: threading.Thread | None = None
        self._closed = False

    @property
    def effects(self) -> Effects:
        """The effects in force."""
        return self._effects

    @property
    def changes(self) -> list[Change]:
        """Changes so far, in order."""
        return self._log.changes

    @property
    def decisions(self) -> tuple[FactorDecision, ...]:
        """What was decided on the factor since the start, whatever effects ran."""
        now = self._effects.watch
        return (*self._past_decisions, *(now.decisions if now else ()))

    @cached_property
    def available(self) -> tuple[str, ...]:
        """Names of the effects there are; looked for once."""
        return effect_names()

    def process(self, frame: Frame) -> Frame:
        """Return the frame with the effects applied, or as it is when bypassed, in the outputs' format.

        What was changed while the run went on does not end it: where the effects fail on a frame after that,
        it passes as it is, and they are bypassed.
        """
        with self._in_frame:
            chain, bypass = self._effects.chain, self._bypass
            self._last_index, self.last_frame_at = frame.index, time.monotonic()
            self.sources.put(frame)
            try:
                done = frame if bypass else chain.process(frame)
            except Exception as error:  # the boundary between what viewers ask for and the run
                if not self.changes:
                    raise
                self._give_up(frame, error)
                done = frame
        return self.fit(done)

    def listen(self, told: Callable[[], None]) -> Callable[[], None]:
        """Have ``told`` called after every change, in any thread; return what ends that."""
        self._listeners.append(told)
        return lambda: self._listeners.remove(told) if told in self._listeners else None

    def look(self, snapshot: Snapshot) -> None:
        """Take the state of the run; let the governor of the effects in force act on it."""
        self.snapshot = snapshot
        decided = tuple(state_of(effect).decided for effect in self._effects.chain.effects)
        if decided != self._decided:
            self._decided = decided
            self._tell()
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
        self._change(position, partial(set_value, name=name, value=value), move=f"{position} {name}")

    def switch(self, position: int, name: str) -> None:
        """Open another effect in the background, and put it in the place of the one at ``position``.

        Until it is ready the old one goes on; where it cannot be opened, the old one stays and `state` says
        why. ``position`` may be one past the last, for a further effect.

        Raises:
            ConfigError: there is no such effect or place, or another is being opened already.
        """
        with self._turning:
            check_names(self.available, [name])
            check_place(self._effects.chain, position)
            self._check_free(name)
            running = self._effects.chain.effects
            old = next(iter(running[position : position + 1]), None)
            places = (*running[:position], NewEffect(name, old), *running[position + 1 :])

            def then(after: Effects) -> str:
                if old is not None:
                    take_over(old, after.chain.effects[position])
                return f"effect {old.name if old else 'none'} → {name}"

            self._open(name, places, then)
        self._tell()

    def set_chain(self, wanted: Sequence[WantedEffect]) -> None:
        """Have the chain be these effects in this order; those that run are kept, others are opened.

        As with `switch`, everything goes on as it is until all are ready. Controls are set as far as the
        engines have them.

        Raises:
            ConfigError: there is no such effect, there are too many, or another is being opened already.
        """
        with self._turning:
            running = self._effects.chain.effects
            places = places_of(wanted, running)
            new = [place.name for place in places if isinstance(place, NewEffect)]
            check_names(self.available, new)
            what = " + ".join(new) or "another order"
            self._check_free(what)
            was = names_of(running)

            def then(after: Effects) -> str:
                for effect, each in zip(after.chain.effects, wanted, strict=True):
                    set_as_far(effect, each.controls, each.where)
                return f"effects {was} → {names_of(after.chain.effects)}"

            finds_people = any(each.where not in (None, Where.ALL) for each in wanted)
            self._open(what, places, then, finds_people=finds_people)
        self._tell()

    def set_where(self, position: int, where: Where) -> None:
        """Have the effect at ``position`` act on a part of the picture, once what finds people is open.

        Raises:
            ConfigError: there is no such effect, it acts on all of the picture, or another is being opened.
        """
        with self._turning:
            effect = effect_at(self._effects.chain, position)
            check_part(effect, where)

            def then(_after: Effects) -> str:
                set_as_far(effect, {}, where)
                return f"{effect.name}: where {where}"

            if where is Where.ALL or self._effects.chain.matting is not None:
                if where is not effect.controls.where:
                    self._note(then(self._effects))
            else:
                self._check_free(f"where={where}")
                self._open(f"where={where}", self._effects.chain.effects, then, finds_people=True)
        self._tell()

    def set_backdrop(self, position: int, backdrop: Backdrop) -> None:
        """Have the backdrop at ``position`` of the chain show another picture, from its next frame on.

        Raises:
            ConfigError: there is no such effect, or it shows none.
        """
        self._change(position, partial(show_backdrop, backdrop=backdrop))

    def set_kind(self, position: int, kind: str | None) -> None:
        """Say what kind of picture frames are for the effect at ``position``, which decides by that.

        Raises:
            ConfigError: there is no such effect, it does not go by the pictures, or does not know the kind.
        """
        self._change(position, partial(say_kind, kind=kind))

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
            give_back(self._effects, None)

    def _change(self, position: int, change: Callable[[AnyEffect], str | None], move: str = "") -> None:
        """Change the effect at ``position`` from its next frame on; ``change`` returns what was done."""
        with self._turning:
            if (done := change(effect_at(self._effects.chain, position))) is not None:
                self._note(done, move)
        self._tell()

    def _check_free(self, what: str) -> None:
        if self._opening is not None:
            raise ConfigError(f"{self._opening} is being opened; {what} can be taken after that")
        if self._closed:
            raise ConfigError("the run has ended")

    def _open(self, what: str, places: Places, then: Then, *, finds_people: bool = False) -> None:
        """Have a chain take over once it is open; ``then`` sets its controls and says what was changed."""
        self._opening, self._problem = what, None
        self._switching = threading.Thread(
            target=self._switch, args=(what, places, then, finds_people), name="streamfx-switch", daemon=True
        )
        self._switching.start()

    def _switch(self, what: str, places: Places, then: Then, finds_people: bool) -> None:
        before, after, problem = self._effects, None, None
        try:
            stages = self.snapshot.stages if self.snapshot else {}
            after = rearranged(before, places, stages, self._most_pixels, finds_people=finds_people)
        except Exception as error:  # the thread boundary: the old effects go on, and the page says why
            problem = str(error) or type(error).__name__
            log.warning("effect %s cannot be had, the one before stays: %s", what, error)
        with self._turning:
            if after is not None:
                if before.watch is not None:
                    self._past_decisions += tuple(before.watch.decisions)
                with self._in_frame:  # effects that both chains have are set between two frames as well
                    done = then(after)
                    share_factor(after)
                    self._effects = after
                self._note(done)
            else:
                self._note(f"effect {what} asked for, and not to be had: {problem}")
            self._opening, self._problem = None, problem
        self._tell()
        if after is not None:
            give_back(before, after)

    def _give_up(self, frame: Frame, error: Exception) -> None:
        """Bypass effects that fail after a change."""
        names = names_of(self._effects.chain.effects)
        self._problem = f"{names} failed on frame {frame.index}, and is bypassed: {error}"
        log.warning("%s", self._problem)
        self.failures.append(self._problem)
        self._bypass = True
        self._note(f"bypass on: {self._problem}")
        self._tell()

    def _note(self, what: str, move: str = "") -> None:
        self._log.note(what, self._last_index, move)

    def _tell(self) -> None:
        for told in tuple(self._listeners):
            told()
