"""Chain: effects applied one after the other; opened from what a user asks for, routes among it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TypeAlias

from streamfx.engine.folder import Engine
from streamfx.engine.library import list_effects, load_engine
from streamfx.errors import ConfigError, EngineNotFoundError, FrameError, did_you_mean
from streamfx.generate.classify import Classifier, open_classifier, whole, windows
from streamfx.generate.device_effects import ProcessingDevice
from streamfx.generate.effect import (
    Backdrop,
    Effect,
    EffectSettings,
    doublings_of,
    enlarged_format,
    open_effect,
)
from streamfx.generate.ops.matte.operation import mix
from streamfx.generate.people.backdrop import colour_backdrop
from streamfx.generate.people.effects import (
    PEOPLE_EFFECTS,
    BackdropChange,
    PeopleEffect,
    open_people_effect,
)
from streamfx.generate.people.matting import Matte, Matting, open_matting
from streamfx.generate.request import EffectRequest, parse_effect
from streamfx.generate.route import Ambiguous, EngineDomains, EnginePerDomain, OneEngine, explain, route
from streamfx.generate.routed import MARGIN, Routed
from streamfx.generate.where import Where
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.frame_memory import FRAMES_BEFORE

log = logging.getLogger(__name__)

DOMAIN, QUALITY = "domain", "quality"
"""Names of the classifiers that decide on routes and on ``auto``."""

_GOOD = "good"
_LEAVES_GOOD_ALONE = "restore"

AnyEffect: TypeAlias = Effect | Routed | PeopleEffect
"""What stands in one place of a chain."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Effects applied one after the other. `process` may be called from several threads at once.

    Attributes:
        effects: effects in order.
        processing_device: device on which frames stay between effects; None for main memory.
        matting: engine that finds people, once for each frame; None: no effect asks for them.
    """

    effects: tuple[AnyEffect, ...]
    processing_device: ProcessingDevice | None = None
    matting: Matting | None = None

    def process(self, frame: Frame) -> Frame:
        """Return the frame with every effect applied, in order, where the output wants its pixels."""
        source, matte = frame, None
        for effect in self.effects:
            if effect.controls.where is Where.ALL:
                within = None
            else:
                matte = matte or self._matte(source)
                within = matte.enlarged(frame.size)
            frame = self._changed(effect, frame, within)
        return frame if self.processing_device is None else self.processing_device.leave(frame)

    def _changed(self, effect: AnyEffect, frame: Frame, matte: Matte | None) -> Frame:
        """Return a frame with an effect applied where it acts; without a matte: everywhere."""
        if isinstance(effect, PeopleEffect):
            return effect.process(frame.fetched(), matte)
        made = effect.process(frame)
        if matte is None or made is frame:
            return made
        where, device = effect.controls.where, self.processing_device
        if device is not None and matte.on_device is not None and made.device_pixels is not None:
            return device.mix(made, frame, matte.on_device, inverted=where is Where.BACKGROUND)
        frame, made = frame.fetched(), made.fetched()
        return made.with_planes(mix(made, frame, matte.of(where), effect.parts[0].threads))

    def _matte(self, frame: Frame) -> Matte:
        """Return the matte of a frame as it came, before any effect."""
        if self.matting is None:
            raise FrameError(f"frame {frame.index}: an effect acts on people, and nothing finds them")
        return self.matting.matte(frame)

    @property
    def looks_back(self) -> int:
        """Number of frames before a frame on which what comes out for it depends.

        Each effect with a memory looks back from what the effects before it give, on which the matte has a
        say.
        """
        networks = [effect.parts for effect in self.effects]
        networks += [(self.matting.network,)] if self.matting else []
        return FRAMES_BEFORE * sum(
            any(part.engine.spec.memory_tolerance for part in parts) for parts in networks
        )

    @property
    def alike(self) -> bool:
        """Whether what comes out for a picture can be used again where the picture is shown again.

        Not where a backdrop may move on meanwhile, nor on a device, where the memory of a frame is soon that
        of another. What is looked back on are pictures then, and not times at which one was shown.
        """
        moves = any(
            isinstance(effect, PeopleEffect) and isinstance(effect.change, BackdropChange)
            for effect in self.effects
        )
        return self.processing_device is None and not moves

    @property
    def factors(self) -> tuple[float, ...]:
        """Factors in force, of each effect that has a network."""
        return tuple(effect.controls.factor for effect in self.effects if effect.parts)

    @property
    def networks(self) -> tuple[Effect, ...]:
        """Every network that may run: those of the effects, in order, and the one that finds people."""
        parts = tuple(part for effect in self.effects for part in effect.parts)
        return parts if self.matting is None else (*parts, self.matting.network)

    def output(self, video: VideoFormat) -> VideoFormat:
        """Return the format of the frames that come out for those that go in."""
        for effect in self.effects:
            video = effect.output(video)
        return video

    def warm_up(self, video: VideoFormat) -> None:
        """Do now what the first frame of such a video would do besides computing."""
        if self.matting is not None:
            self.matting.warm_up(video)
        for effect in self.effects:
            effect.warm_up(video)
            video = effect.output(video)

    def close(self) -> None:
        """Give everything back. May be called twice."""
        for effect in self.effects:
            effect.close()
        if self.matting is not None:
            self.matting.close()


def open_chain(requests: Sequence[EffectRequest | str], settings: EffectSettings | None = None) -> Chain:
    """Return the effects asked for, to be applied in order.

    Raises:
        ConfigError: a request cannot be read, is outside an engine's ranges, fits no engine or several.
        EngineNotFoundError, EngineCorruptError, EngineMismatchError, BackendUnavailableError: see
            `open_effect`.
    """
    effects: list[AnyEffect] = []
    with ExitStack() as on_failure:
        for request in requests:
            effects.append(open_place(request, settings or EffectSettings()))
            on_failure.callback(effects[-1].close)
        matting = open_matting_for(effects, settings or EffectSettings())
        on_failure.pop_all()
    return Chain(tuple(effects), settings.processing_device if settings else None, matting)


def open_matting_for(effects: Sequence[AnyEffect], settings: EffectSettings) -> Matting | None:
    """Return the engine that finds people, if any of the effects acts on a part of the picture.

    Raises:
        ConfigError, EngineNotFoundError, EngineCorruptError: see `open_matting`.
        EngineMismatchError, BackendUnavailableError: see `open_matting`.
    """
    asked = any(effect.controls.where is not Where.ALL for effect in effects)
    return open_matting(settings) if asked else None


def output_format(requests: Sequence[EffectRequest | str], video: VideoFormat) -> VideoFormat:
    """Return the format of the frames that come out of effects, which need not be open.

    Raises:
        ConfigError, EngineNotFoundError, EngineCorruptError: see `open_chain`.
    """
    for request in requests:
        asked = _resolved(parse_effect(request) if isinstance(request, str) else request)
        if isinstance(asked, EffectRequest) and asked.engine in PEOPLE_EFFECTS:
            video = open_people_effect(asked, EffectSettings(backdrops=_unread)).output(video)
        elif isinstance(asked, EffectRequest):  # where the pictures decide, frames keep their size
            video = enlarged_format(video, doublings_of(asked, _engine_of(asked)))
    return video


def _engine_of(request: EffectRequest) -> Engine:
    """Return the engine that a request names.

    Raises:
        EngineNotFoundError, EngineCorruptError, EngineMismatchError: see `load_engine`.
    """
    try:
        return load_engine(request.engine)
    except EngineNotFoundError as error:
        if meant := did_you_mean(request.engine, PEOPLE_EFFECTS):
            raise EngineNotFoundError(f"there is no effect {request.engine!r}; {meant}") from error
        raise


def _unread(_name: str) -> Backdrop:
    """Stand for the picture of a backdrop where only its format matters."""
    return colour_backdrop("black")


def effect_names() -> tuple[str, ...]:
    """Return the names of every effect that a user may pick, those that need no engine of their own last."""
    return (*(found.name for found in list_effects() if found.spec is not None), *PEOPLE_EFFECTS)


def domains() -> tuple[EngineDomains, ...]:
    """Return the domains of every effect there is."""
    return tuple(
        EngineDomains(found.name, found.spec.source_domain, found.spec.target_domain)
        for found in list_effects()
        if found.spec is not None
    )


def open_place(request: EffectRequest | str, settings: EffectSettings) -> AnyEffect:
    """Return what a request puts in one place of a chain; raises what `open_chain` does."""
    request = parse_effect(request) if isinstance(request, str) else request
    resolved = _resolved(request)
    if isinstance(resolved, EffectRequest) and resolved.engine in PEOPLE_EFFECTS:
        return open_people_effect(resolved, settings)
    if isinstance(resolved, EnginePerDomain):
        return _open_route(request, resolved, settings)
    if request.route is not None:
        log.info("%s: effect %s is the one that fits", request.route, resolved.engine)
    return _open_auto(resolved, settings) if resolved.auto else open_effect(resolved, settings)


def _resolved(request: EffectRequest) -> EffectRequest | EnginePerDomain:
    """Return a request that names its engine, or between which engines the pictures decide.

    Raises:
        ConfigError: it is a route that no engine fits, or that several do.
    """
    if request.route is None:
        return request
    engines = domains()
    found = route(request.route, engines)
    if isinstance(found, Ambiguous):
        raise ConfigError(explain(request.route, found, engines))
    if isinstance(found, OneEngine):
        return replace(request, engine=found.engine, route=None)
    return found


def _open_route(request: EffectRequest, found: EnginePerDomain, settings: EffectSettings) -> Routed:
    """Return all effects that may run, of which the pictures decide."""
    wanted = request.route
    with ExitStack() as on_failure:
        classifier = open_classifier(DOMAIN, whole, settings, str(wanted))
        on_failure.callback(classifier.close)
        if unknown := sorted(set(found.engines) - set(classifier.classes)):
            raise ConfigError(
                f"{wanted}: the pictures decide, but pictures of the kind {', '.join(unknown)} are not told "
                f"from others, only {', '.join(classifier.classes)}; say what goes in ({wanted} with from=)"
            )
        options = {}
        # A factor asked for is meant for those that have a choice, as one for the whole run is.
        settings = replace(settings, factor=request.factor or settings.factor)
        for source, name in found.engines.items():
            named = replace(request, engine=name, route=None, factor=None)
            options[source] = open_effect(named, settings)
            on_failure.callback(options[source].close)
        routed = _routed(str(wanted), options, classifier, request.margin)
        on_failure.pop_all()
    return routed


def _open_auto(request: EffectRequest, settings: EffectSettings) -> Routed:
    """Return an effect that leaves alone what is good already."""
    text, engine = f"{request.engine}:auto", load_engine(request.engine)
    if engine.spec.family != _LEAVES_GOOD_ALONE:
        raise ConfigError(
            f"{text}: 'auto' leaves good pictures alone, which makes sense for effects that restore; "
            f"{engine.name} is of the family {engine.spec.family}"
        )
    with ExitStack() as on_failure:
        classifier = open_classifier(QUALITY, windows, settings, text)
        on_failure.callback(classifier.close)
        if _GOOD not in classifier.classes:
            known = ", ".join(classifier.classes)
            raise ConfigError(
                f"{text}: engine {classifier.engine.folder} does not know {_GOOD!r}, only {known}"
            )
        effect = open_effect(request, settings)
        on_failure.callback(effect.close)
        options = {kind: effect for kind in classifier.classes if kind != _GOOD}
        routed = _routed(text, options, classifier, request.margin)
        on_failure.pop_all()
    return routed


def _routed(name: str, options: Mapping[str, Effect], classifier: Classifier, margin: float | None) -> Routed:
    for effect in options.values():
        if effect.engine.spec.enlarges:
            raise ConfigError(
                f"{name}: {effect.engine.name} makes frames larger, so it cannot run for some of them only; "
                f"name it itself (--effect {effect.engine.name})"
            )
    _agree_on_factor([effect for effect in options.values() if effect.scales])
    return Routed(name, options, classifier, MARGIN if margin is None else margin)


def _agree_on_factor(effects: Sequence[Effect]) -> None:
    """Give effects the same factor to begin with, as far as their engines allow."""
    if effects:
        low = max(effect.engine.factor_range[0] for effect in effects)
        high = min(effect.engine.factor_range[1] for effect in effects)
        factor = min(max(effects[0].controls.factor, low), high)
        for effect in effects if low <= high else ():
            effect.controls = replace(effect.controls, factor=factor)
