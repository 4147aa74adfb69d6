"""Rearranging: a chain in another order, with others among its effects, opened while the run goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TypeAlias

from streamfx.engine.folder import Engine
from streamfx.engine.library import load_engine
from streamfx.factor.choice import common_factors
from streamfx.factor.watch import FactorWatch, watch_factor
from streamfx.generate.chain import AnyEffect, Chain, open_place
from streamfx.generate.people.effects import PEOPLE_EFFECTS
from streamfx.generate.people.matting import open_matting
from streamfx.generate.request import EffectRequest
from streamfx.generate.where import Where
from streamfx.pipeline.stats import Times
from streamfx.run.effects import MOST_PIXELS, Effects, check_sizes


@dataclass(frozen=True, slots=True)
class NewEffect:
    """A place of a chain in which an effect is to be opened.

    Attributes:
        name: name of the engine.
        instead_of: effect whose factor it takes over, as far as its engine allows; None: it gets that of the
            other effects whose factor nobody gave.
    """

    name: str
    instead_of: AnyEffect | None = None


ChainPlace: TypeAlias = AnyEffect | NewEffect


def rearranged(
    effects: Effects,
    places: Sequence[ChainPlace],
    stages: Mapping[str, Times],
    most_pixels: int = MOST_PIXELS,
    *,
    finds_people: bool = False,
) -> Effects:
    """Return the effects as ``places`` says, the new ones open and warm; the others are shared.

    The factor is watched on with the predictions made for the old chain: networks differ in what they cost,
    but the governor goes by how that changes with the factor, and measuring while frames are processed would
    tell of the frames.

    Args:
        effects: effects in force; they stay as they are.
        places: the chain that is wanted: effects in force, and new ones.
        stages: times so far, which say nothing about the new chain.
        most_pixels: most pixels that frames may have on their way.
        finds_people: whether an effect will act on a part of the picture that does not do so yet.

    Raises:
        EngineNotFoundError, EngineCorruptError, EngineMismatchError, BackendUnavailableError: see
            `open_effect`.
        ConfigError: frames would become too large on the way.
    """
    engines = {
        place.name: load_engine(place.name)
        for place in places
        if isinstance(place, NewEffect) and place.name not in PEOPLE_EFFECTS
    }
    governed = [place for place in places if _is_governed(effects, place, engines)]
    factors = common_factors(_scaling(governed, engines)) if governed else ()
    with ExitStack() as on_failure:
        chosen: list[AnyEffect] = []
        for place in places:
            if isinstance(place, NewEffect):
                engine = engines.get(place.name)
                factor = _factor_of(place, effects, engine, factors if place in governed else ())
                chosen.append(open_place(EffectRequest(place.name, factor=factor), effects.settings))
                on_failure.callback(chosen[-1].close)
            else:
                chosen.append(place)
        matting = effects.chain.matting
        if matting is None and (finds_people or any(each.controls.where is not Where.ALL for each in chosen)):
            matting = open_matting(effects.settings)
            on_failure.callback(matting.close)
        chain = replace(effects.chain, effects=tuple(chosen), matting=matting)
        check_sizes(chain, effects.video, most_pixels)
        automatic = tuple(each for each, place in zip(chosen, places, strict=True) if place in governed)
        now = _shared_factor(automatic, factors)
        _warm_up(effects, chain, dict.fromkeys(automatic, now))
        on_failure.pop_all()
    after = replace(effects, chain=chain, automatic=automatic, watch=None)
    return replace(after, watch=_watch(after, now, factors, stages))


def share_factor(effects: Effects) -> None:
    """Give the effects whose factor nobody gave the same one, as `rearranged` has made them ready for."""
    if effects.automatic:
        engines = [part.engine for each in effects.automatic for part in each.parts if part.scales]
        now = _shared_factor(effects.automatic, common_factors(engines) if engines else ())
        for effect in effects.automatic:
            if (
                now is not None
                and now != effect.controls.factor
                and any(part.scales for part in effect.parts)
            ):
                effect.controls = replace(effect.controls, factor=now)


def give_back(old: Effects, kept: Effects | None) -> None:
    """Close the watch and those effects, and what finds people, that are not among the kept ones."""
    if old.watch is not None:
        old.watch.close()
    for effect in old.chain.effects:
        if kept is None or all(effect is not other for other in kept.chain.effects):
            effect.close()
    matting = old.chain.matting
    if matting is not None and (kept is None or kept.chain.matting is not matting):
        matting.close()


def _is_governed(effects: Effects, place: ChainPlace, engines: Mapping[str, Engine]) -> bool:
    """Return whether the factor of what stands in a place is nobody's choice."""
    if not isinstance(place, NewEffect):
        return place in effects.automatic
    if place.name in PEOPLE_EFFECTS:
        return False
    if place.instead_of is not None:
        return place.instead_of in effects.automatic
    engine = engines.get(place.name)
    return effects.choice is not None and engine is not None and len(engine.spec.factors) > 1


def _scaling(places: Sequence[ChainPlace], engines: Mapping[str, Engine]) -> list[Engine]:
    """Return the engines of places, of effects in force those that have a choice of factors."""
    found: list[Engine] = []
    for place in places:
        if isinstance(place, NewEffect):
            found.append(engines[place.name])
        else:
            found += [part.engine for part in place.parts if part.scales]
    return found


def _factor_of(
    place: NewEffect, effects: Effects, engine: Engine | None, factors: Sequence[float]
) -> float | None:
    """Return the factor of a new effect; None: the usual one, or it has no network."""
    if engine is None:
        return None
    old, factor = place.instead_of, effects.settings.factor
    # That of an effect without a choice of factors says nothing about another.
    if old is not None and any(part.scales for part in old.parts):
        factor = old.controls.factor
    elif old is None and effects.automatic:
        factor = effects.automatic[0].controls.factor
    elif old is None and effects.choice is not None:
        factor = effects.choice.factor
    if factor is None:
        return None
    nearest = factor
    factor = min(factors, key=lambda other: abs(other - nearest)) if factors else factor
    low, high = engine.factor_range
    return min(max(factor, low), high)


def _shared_factor(automatic: Sequence[AnyEffect], factors: Sequence[float]) -> float | None:
    """Return the factor that all automatic effects may have, the nearest to that of the first."""
    if not automatic or not factors:
        return None
    now = automatic[0].controls.factor
    return min(factors, key=lambda other: abs(other - now))


def _warm_up(effects: Effects, chain: Chain, factors: Mapping[AnyEffect, float | None]) -> None:
    """Prepare those effects whose frames are not those that they had before; or whose factor is another."""
    video, ready = effects.video, {}
    for effect in effects.chain.effects:
        ready[effect] = (video.size, effect.controls.factor)
        video = effect.output(video)
    video = effects.video
    if chain.matting is not None and effects.chain.matting is not chain.matting:
        chain.matting.warm_up(video)
    for effect in chain.effects:
        factor = factors.get(effect)
        if ready.get(effect) != (video.size, factor or effect.controls.factor):
            effect.warm_up(video, factor)
        video = effect.output(video)


def _watch(
    effects: Effects, now: float | None, factors: Sequence[float], stages: Mapping[str, Times]
) -> FactorWatch | None:
    choice = effects.choice
    if choice is None or now is None:
        return None
    predictions = tuple(found for found in choice.predictions if found.factor in factors)
    if now not in {found.factor for found in predictions}:
        return None
    choice = replace(choice, factor=now, predictions=predictions)
    return watch_factor(choice, effects.automatic, effects.video, stages)
