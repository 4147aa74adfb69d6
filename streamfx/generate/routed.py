"""Routed: several effects in one place of a chain, of which the pictures decide, shot by shot, which runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from streamfx.backends.backend import CompiledEngine
from streamfx.engine.folder import Engine
from streamfx.engine.spec import ControlRange
from streamfx.errors import ConfigError
from streamfx.generate.classify import Classifier
from streamfx.generate.effect import Effect
from streamfx.generate.request import Controls, check_controls
from streamfx.media.frame import Frame, VideoFormat

log = logging.getLogger(__name__)

MARGIN = 0.2
SURE = 0.75
"""Probability of what runs below which a decision is said to be unsure."""


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """What was decided, from which frame on.

    Attributes:
        frame: index of the first frame it holds for.
        shot: number of its shot.
        effect: name of the engine that runs; None: frames pass unchanged.
        probabilities: probabilities of the classes.
        confidence: probability, 0..1, of the classes for which it runs.
    """

    frame: int
    shot: int
    effect: str | None
    probabilities: Mapping[str, float]
    confidence: float = 1.0

    @property
    def why(self) -> str:
        """The probabilities in one line, and that they are not clear where that is so."""
        said = ", ".join(f"{name} {probability:.2f}" for name, probability in self.probabilities.items())
        return said if self.confidence >= SURE else f"{said}; not sure"


@dataclass(slots=True, eq=False)
class Routed:
    """Effects of which one runs, or none. `look` is for one thread; everything else may be called from any.

    The last decision stays in force until another is clearly more probable, so that pictures on the border
    between two kinds do not go back and forth.

    Attributes:
        name: name as a user would write it.
        options: the effect for each class; frames of other classes pass unchanged.
        classifier: classifier that says what a frame shows.
        margin: margin, in 0..1, by which another decision must be more probable than the one in force.
        looks: number of frames that were looked at.
        choices: the changes, in order; the first is the first decision.
        kind: kind of picture, one of the classes, that somebody says frames are; None: the pictures decide.
    """

    name: str
    options: Mapping[str, Effect]
    classifier: Classifier
    margin: float = MARGIN
    looks: int = 0
    choices: tuple[RouteDecision, ...] = ()
    kind: str | None = None
    _closing: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    @property
    def parts(self) -> tuple[Effect, ...]:
        """The effects that may run, each once."""
        return tuple(dict.fromkeys(self.options.values()))

    @property
    def ranges(self) -> Mapping[str, ControlRange]:
        """What the controls may be set to, by name: those that all engines declare, within what all allow."""
        first, *others = (part.engine.spec.controls for part in self.parts)
        shared = {
            name: [found, *(each[name] for each in others)]
            for name, found in first.items()
            if all(name in each for each in others)
        }
        return {
            name: found[0].model_copy(
                update={"low": max(each.low for each in found), "high": min(each.high for each in found)}
            )
            for name, found in shared.items()
        }

    @property
    def engine(self) -> Engine:
        """The engine that runs now; that of the first effect while none does."""
        return self._now.engine

    @property
    def compiled(self) -> CompiledEngine:
        """The same, compiled."""
        return self._now.compiled

    @property
    def controls(self) -> Controls:
        """The controls in force. What is set otherwise takes effect with the next frame, in all effects.

        The factor is that of the effects that have a choice.

        Raises:
            ConfigError: when set to something outside the range of one of the engines; the old ones stay.
        """
        scaled = next((effect for effect in self.parts if effect.scales), self._now)
        return replace(self._now.controls, factor=scaled.controls.factor)

    @controls.setter
    def controls(self, controls: Controls) -> None:
        before, after = asdict(self.controls), asdict(controls)
        # What stays may well differ between the engines: their defaults do.
        changed = {name: value for name, value in after.items() if value != before[name]}
        factor = {"factor": changed.pop("factor")} if "factor" in changed else {}
        wanted = [
            (effect, replace(effect.controls, **changed, **(factor if effect.scales else {})))
            for effect in self.parts
        ]
        for effect, each in wanted:
            check_controls(each, effect.engine)
        for effect, each in wanted:
            effect.controls = each

    def look(self, frame: Frame) -> None:
        """Decide what runs from this frame on; frames must come in order. One that shows nothing is none.

        Raises:
            FrameError: the classifier gives no scores for it.
        """
        with self._closing:
            if self._closed:
                return
            self.looks += 1
            probabilities = self.classifier.probabilities(frame)
        if probabilities is not None:
            self._decide(frame, probabilities)

    def process(self, frame: Frame) -> Frame:
        """Return the frame with the effect applied that was decided on for it, or the very same frame.

        Frames before the first decision pass unchanged: there is nothing to see on them.
        """
        kind = self.kind
        found = self._effect_of(self._choice_at(frame.index))
        effect = found if kind is None else self.options.get(kind)
        return frame if effect is None else effect.process(frame)

    def say(self, kind: str | None) -> None:
        """Take frames for a kind of picture from the next one on, whatever they show; None: as they show.

        Raises:
            ConfigError: it is none of the kinds that are told apart.
        """
        if kind is not None and kind not in self.classifier.classes:
            known = ", ".join(self.classifier.classes)
            raise ConfigError(f"{self.name}: there is no kind of picture {kind!r}; there are: {known}")
        self.kind = kind

    def output(self, video: VideoFormat) -> VideoFormat:
        """Return the format of the frames that come out: the same as of those that go in."""
        return video

    def warm_up(self, video: VideoFormat, factor: float | None = None) -> None:
        """Do now, for every effect, what the first frame of such a video would do besides computing."""
        for effect in self.parts:
            effect.warm_up(video, factor if effect.scales else None)
        self.classifier.warm_up(video)

    def close(self) -> None:
        """Give the compiled engines back. May be called twice."""
        with self._closing:
            self._closed = True
            self.classifier.close()
        for effect in self.parts:
            effect.close()

    @property
    def _now(self) -> Effect:
        if self.kind is not None:
            return self.options.get(self.kind, self.parts[0])
        return self._effect_of(self.choices[-1] if self.choices else None) or self.parts[0]

    def _effect_of(self, choice: RouteDecision | None) -> Effect | None:
        wanted = None if choice is None else choice.effect
        return next((effect for effect in self.parts if effect.name == wanted), None)

    def _choice_at(self, index: int) -> RouteDecision | None:
        return next((choice for choice in reversed(self.choices) if choice.frame <= index), None)

    def _decide(self, frame: Frame, probabilities: Mapping[str, float]) -> None:
        # What counts is what would run: several classes may want the same effect, or none.
        wanted: dict[str | None, float] = {}
        for kind, probability in probabilities.items():
            effect = self.options.get(kind)
            name = None if effect is None else effect.name
            wanted[name] = wanted.get(name, 0.0) + probability
        best = max(wanted, key=wanted.__getitem__)
        now = self.choices[-1].effect if self.choices else best
        stays = bool(self.choices) and wanted[best] < wanted.get(now, 0.0) + self.margin
        runs = now if stays else best
        confidence = wanted.get(runs, 0.0)
        decision = RouteDecision(frame.index, frame.shot, runs, dict(probabilities), confidence)
        if runs != now or not self.choices:
            self.choices = (*self.choices, decision)
        log.log(
            logging.INFO if confidence >= SURE else logging.WARNING,
            "%s, frame %d, shot %d: %s (%s)",
            self.name, frame.index, frame.shot, runs or "unchanged", decision.why,
        )  # fmt: skip
