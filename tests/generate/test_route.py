"""Routes: the whole table of what a request by domains means, and what is said where it means nothing."""

from __future__ import annotations

import pytest

from streamfx.errors import ConfigError
from streamfx.generate.request import EffectRequest, parse_effect
from streamfx.generate.route import (
    Ambiguous,
    EngineDomains,
    EnginePerDomain,
    OneEngine,
    Route,
    Routing,
    explain,
    narrowed,
    route,
)

WAVE = EngineDomains("wave", "photo", "woodcut")
SCREAM = EngineDomains("scream", "photo", "painting")
STARRY = EngineDomains("starry", "photo", "painting")
REAL = EngineDomains("real", "painting", "photo")
CUT = EngineDomains("cut", "painting", "woodcut")
SHIPPED = (WAVE, SCREAM, STARRY)

# For every way to ask (neither, source, target, both) every outcome it can have.
TABLE = {
    "neither, one engine": (Route(), (WAVE,), OneEngine("wave")),
    "neither, one for each source": (
        Route(),
        (WAVE, REAL),
        EnginePerDomain({"photo": "wave", "painting": "real"}),
    ),
    "neither, several for a source": (Route(), (WAVE, SCREAM), Ambiguous({"photo": ("wave", "scream")})),
    "neither, several for one of the sources": (
        Route(),
        (WAVE, REAL, SCREAM),
        Ambiguous({"photo": ("wave", "scream"), "painting": ("real",)}),
    ),
    "source, one engine": (Route("painting"), (WAVE, REAL), OneEngine("real")),
    "source, several engines": (
        Route("photo"),
        (WAVE, SCREAM, REAL),
        Ambiguous({"photo": ("wave", "scream")}),
    ),
    "target, one engine": (Route(None, "woodcut"), SHIPPED, OneEngine("wave")),
    "target, one for each source": (
        Route(None, "woodcut"),
        (WAVE, CUT, SCREAM),
        EnginePerDomain({"photo": "wave", "painting": "cut"}),
    ),
    "target, several for a source": (
        Route(None, "painting"),
        SHIPPED,
        Ambiguous({"photo": ("scream", "starry")}),
    ),
    "both, one engine": (Route("photo", "woodcut"), (WAVE, CUT, SCREAM), OneEngine("wave")),
    "both, several engines": (
        Route("photo", "painting"),
        SHIPPED,
        Ambiguous({"photo": ("scream", "starry")}),
    ),
    "among one": (Route(among=("scream",)), SHIPPED, OneEngine("scream")),
    "among one for each source": (
        Route(among=("starry", "real")),
        (*SHIPPED, REAL, CUT),
        EnginePerDomain({"photo": "starry", "painting": "real"}),
    ),
    "target and among": (Route(None, "painting", ("wave", "starry")), SHIPPED, OneEngine("starry")),
}


@pytest.mark.parametrize(("request_", "engines", "expected"), TABLE.values(), ids=TABLE)
def test_the_table_says_what_a_request_means(
    request_: Route, engines: tuple[EngineDomains, ...], expected: Routing
) -> None:
    assert route(request_, engines) == expected


@pytest.mark.parametrize(
    ("request_", "engines", "message"),
    [
        (Route(), (), r"^route: there are no effects to choose from$"),
        (
            Route("painting"),
            (WAVE, SCREAM),
            r"^route:from=painting: no effect fits\. There are: from photo to woodcut \(wave\), "
            r"from photo to painting \(scream\)$",
        ),
        (
            Route(None, "woodcat"),
            SHIPPED,
            r"^route:to=woodcat: no effect fits \(did you mean 'woodcut'\?\)\. ",
        ),
        (Route("foto"), SHIPPED, r"^route:from=foto: no effect fits \(did you mean 'photo'\?\)"),
        (Route("photo", "photo"), (WAVE, REAL), r"^route:from=photo,to=photo: no effect fits\. There are: "),
        (
            Route(None, "painting", ("wave",)),
            SHIPPED,
            r"no effect fits\. There are: from photo to woodcut \(wave\)$",
        ),
        (
            Route(among=("weve",)),
            SHIPPED,
            r"^route:among=weve: there is no effect 'weve' \(did you mean 'wave'\?\)\. There are: ",
        ),
    ],
)
def test_where_nothing_fits_the_domains_there_are_are_listed(
    request_: Route, engines: tuple[EngineDomains, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        route(request_, engines)


@pytest.mark.parametrize(
    ("request_", "engines", "message"),
    [
        (
            Route(),
            SHIPPED,
            "route: several effects fit: from photo: wave (to woodcut), scream (to painting), "
            "starry (to painting). Say which: name the effect itself (--effect wave), "
            "or what it should give (route:to=woodcut)",
        ),
        (
            Route(None, "painting"),
            SHIPPED,
            "route:to=painting: several effects fit: from photo: scream (to painting), starry (to painting). "
            "Say which: name the effect itself (--effect scream)",
        ),
        (
            Route(),
            (SCREAM, STARRY, WAVE),
            "route: several effects fit: from photo: scream (to painting), starry (to painting), "
            "wave (to woodcut). Say which: name the effect itself (--effect scream), "
            "or what it should give (route:to=woodcut)",
        ),
        (
            Route(),
            (WAVE, SCREAM, REAL),
            "route: several effects fit: from photo: wave (to woodcut), scream (to painting). Say which: "
            "name the effect itself (--effect wave), or what it should give (route:to=woodcut), "
            "or one for each kind of picture (route:among=wave+real)",
        ),
        (
            Route(None, "woodcut"),
            (CUT, WAVE, EngineDomains("pond", "photo", "woodcut")),
            "route:to=woodcut: several effects fit: from photo: wave (to woodcut), pond (to woodcut). Say "
            "which: name the effect itself (--effect wave), "
            "or one for each kind of picture (route:to=woodcut,among=cut+wave)",
        ),
    ],
)
def test_an_ambiguous_request_is_told_with_the_choices_and_what_to_write(
    request_: Route, engines: tuple[EngineDomains, ...], message: str
) -> None:
    found = route(request_, engines)
    assert isinstance(found, Ambiguous)
    assert explain(request_, found, engines) == message


@pytest.mark.parametrize(
    ("engines", "choices", "expected"),
    [
        (SHIPPED, {"photo": "starry"}, OneEngine("starry")),
        (
            (*SHIPPED, REAL, CUT),
            {"photo": "scream", "painting": "cut"},
            EnginePerDomain({"photo": "scream", "painting": "cut"}),
        ),
    ],
)
def test_what_is_chosen_for_each_domain_settles_an_ambiguous_request(
    engines: tuple[EngineDomains, ...], choices: dict[str, str], expected: Routing
) -> None:
    assert route(narrowed(Route(), choices), engines) == expected


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (Route(), "route"),
        (Route("photo", "painting"), "route:from=photo,to=painting"),
        (Route(among=("a", "b")), "route:among=a+b"),
    ],
)
def test_a_route_is_shown_as_it_is_written(request_: Route, text: str) -> None:
    assert str(request_) == text


# ------------------------------------------------------------------------------------- as a user writes it


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("route", EffectRequest("route", route=Route())),
        ("route:to=woodcut", EffectRequest("route", route=Route(None, "woodcut"))),
        (
            " route : from = photo , to=oil painting,strength=0.5,factor=2",
            EffectRequest("route", 0.5, 2.0, route=Route("photo", "oil painting")),
        ),
        (
            "route:among=wave + real,margin=0.3",
            EffectRequest("route", route=Route(among=("wave", "real")), margin=0.3),
        ),
        ("restore:auto", EffectRequest("restore", auto=True)),
        ("restore:strength=0.5,auto,margin=0", EffectRequest("restore", 0.5, auto=True, margin=0.0)),
    ],
)
def test_routes_and_auto_are_read(text: str, request_: EffectRequest) -> None:
    assert parse_effect(text) == request_


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "route:too=woodcut",
            "effect 'route:too=woodcut': unknown key 'too'; did you mean 'to'[?] known: from, to, among",
        ),
        ("route:to=", "to needs a name; nothing was given"),
        ("route:to=a,to=b", "to is given twice"),
        ("route:auto", "unknown key 'auto'"),
        ("wave:to=woodcut", "unknown key 'to'; .*known: strength, .*, auto$"),
        ("restore:auto=yes", "effect 'restore:auto=yes': auto stands alone, without '=yes'"),
        ("restore:auto,auto", "auto is given twice"),
        ("restore:margin=0.2", "margin is for routes and for 'auto', where the pictures decide"),
        ("restore:auto,margin=2", "margin must be 0 to 1, found 2"),
    ],
)
def test_what_is_wrong_with_a_route_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_effect(text)
