"""Route: which engine a request by domains means; a table, decided without opening or running anything.

Engines say what kind of picture they take (source domain) and give (target domain). A request names the one,
the other, both or neither. What fits is sorted by source domain:

    one engine                              it is taken, whatever the pictures show
    several, one for each source domain     what the pictures show decides, shot by shot
    several for one source domain           nothing the pictures show could decide: whoever asked must
    none                                    an error that lists the domains there are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from streamfx.errors import ConfigError, did_you_mean

ROUTE = "route"
"""What stands in an effect's place where its engine is to be found by domains."""
ROUTE_KEYS = ("from", "to", "among")


@dataclass(frozen=True, slots=True)
class EngineDomains:
    """An engine, as far as routes go.

    Attributes:
        engine: name of the engine.
        source: kind of picture that goes in.
        target: kind of picture that comes out.
    """

    engine: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Route:
    """What a request says of the engine it wants; None and () where it says nothing.

    Attributes:
        source: kind of picture that goes in.
        target: kind of picture that comes out.
        among: names of the only engines that come into question.
    """

    source: str | None = None
    target: str | None = None
    among: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the request as a user writes it.

        Example:
            >>> str(Route(target="woodcut", among=("wave", "pond")))
            'route:to=woodcut,among=wave+pond'
        """
        parts = {"from": self.source, "to": self.target, "among": "+".join(self.among) or None}
        said = ",".join(f"{key}={value}" for key, value in parts.items() if value is not None)
        return f"{ROUTE}:{said}" if said else ROUTE


@dataclass(frozen=True, slots=True)
class OneEngine:
    """One engine fits."""

    engine: str


@dataclass(frozen=True, slots=True)
class EnginePerDomain:
    """One engine fits each of several source domains: what a picture shows decides."""

    engines: Mapping[str, str]  # by source domain


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several engines fit the same source domain."""

    engines: Mapping[str, tuple[str, ...]]  # by source domain, those with one engine too


Routing: TypeAlias = OneEngine | EnginePerDomain | Ambiguous


def route(request: Route, engines: Sequence[EngineDomains]) -> Routing:
    """Return which of the engines a request means.

    Raises:
        ConfigError: none fits, or the request names an engine that there is not; lists what there is.

    Example:
        >>> wave = EngineDomains("wave", "photo", "woodcut")
        >>> engines = [wave, EngineDomains("photoreal", "painting", "photo")]
        >>> route(Route(target="woodcut"), engines)
        OneEngine(engine='wave')
        >>> route(Route(), engines)
        EnginePerDomain(engines={'photo': 'wave', 'painting': 'photoreal'})
    """
    known = [each.engine for each in engines]
    for name in request.among:
        if name not in known:
            raise ConfigError(f"{request}: there is no effect {name!r}{_hint(name, known)}{_listed(engines)}")
    candidates = [each for each in engines if not request.among or each.engine in request.among]
    fitting = [
        each
        for each in candidates
        if request.source in (None, each.source) and request.target in (None, each.target)
    ]
    if not fitting:
        raise ConfigError(_nothing_fits(request, candidates, engines))
    if len(fitting) == 1:
        return OneEngine(fitting[0].engine)
    by_source: dict[str, tuple[str, ...]] = {}
    for each in fitting:
        by_source[each.source] = (*by_source.get(each.source, ()), each.engine)
    if all(len(names) == 1 for names in by_source.values()):
        return EnginePerDomain({source: names[0] for source, names in by_source.items()})
    return Ambiguous(by_source)


def narrowed(request: Route, choices: Mapping[str, str]) -> Route:
    """Return an ambiguous request with the engine that was chosen for each source domain."""
    return replace(request, among=tuple(choices.values()))


def explain(request: Route, ambiguous: Ambiguous, engines: Sequence[EngineDomains]) -> str:
    """Return why a request is ambiguous, the choices, and what to write instead."""
    target = {each.engine: each.target for each in engines}
    several = {source: names for source, names in ambiguous.engines.items() if len(names) > 1}
    choices = "; ".join(
        f"from {source}: " + ", ".join(f"{name} (to {target[name]})" for name in names)
        for source, names in several.items()
    )
    first = narrowed(request, {source: names[0] for source, names in ambiguous.engines.items()})
    advice = [f"name the effect itself (--effect {next(iter(several.values()))[0]})"]
    kinds = (replace(request, target=target[name]) for names in several.values() for name in names)
    settled = next((kind for kind in kinds if not isinstance(route(kind, engines), Ambiguous)), None)
    if settled is not None:
        advice.append(f"what it should give ({settled})")
    if len(ambiguous.engines) > 1:
        advice.append(f"one for each kind of picture ({first})")
    return f"{request}: several effects fit: {choices}. Say which: {', or '.join(advice)}"


def _nothing_fits(
    request: Route, candidates: Sequence[EngineDomains], engines: Sequence[EngineDomains]
) -> str:
    if not engines:
        return f"{request}: there are no effects to choose from"
    sources = {each.source for each in candidates}
    targets = {each.target for each in candidates}
    hints = "".join(
        _hint(asked, sorted(known))
        for asked, known in ((request.source, sources), (request.target, targets))
        if asked is not None and asked not in known
    )
    return f"{request}: no effect fits{hints}{_listed(candidates)}"


def _hint(asked: str, known: Sequence[str]) -> str:
    meant = did_you_mean(asked, known)
    return meant and f" ({meant})"


def _listed(engines: Sequence[EngineDomains]) -> str:
    listed = ", ".join(f"from {each.source} to {each.target} ({each.engine})" for each in engines)
    return f". There are: {listed or 'none'}"
