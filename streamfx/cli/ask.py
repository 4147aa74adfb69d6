"""Ask: an effect that several engines fit is settled at a terminal, by whoever sits there."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from streamfx.errors import ConfigError


def resolved(effects: Sequence[str]) -> tuple[str, ...]:
    """Return the effects, with those routes narrowed that could mean several engines; asks at a terminal.

    Raises:
        ConfigError: nobody can be asked, or gives no answer; or a route cannot be read, or nothing fits it.
    """
    if not any(text.partition(":")[0].strip() == "route" for text in effects):
        return tuple(effects)  # without loading what reads engines
    return tuple(map(_resolved, effects))


def _resolved(text: str) -> str:
    from streamfx.generate.chain import domains
    from streamfx.generate.request import parse_effect
    from streamfx.generate.route import ROUTE_KEYS, Ambiguous, explain, narrowed, route

    request, engines = parse_effect(text).route, domains()
    if request is None:
        return text
    found = route(request, engines)
    if not isinstance(found, Ambiguous):
        return text
    problem = explain(request, found, engines)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(problem)
    target = {each.engine: each.target for each in engines}
    chosen = {}
    for source, names in found.engines.items():
        chosen[source] = names[0]
        if len(names) > 1:
            answer = _ask(
                f"{request}: several effects fit a {source}",
                [f"{name} (to {target[name]})" for name in names],
            )
            if answer is None:
                raise ConfigError(problem)
            chosen[source] = names[answer]
    others = [
        setting
        for setting in text.partition(":")[2].split(",")
        if setting.strip() and setting.partition("=")[0].strip() not in ROUTE_KEYS
    ]
    result = ",".join([str(narrowed(request, chosen)), *others])
    print(f"streamfx: to be asked no more, write --effect {result}", file=sys.stderr)
    return result


def _ask(question: str, choices: Sequence[str]) -> int | None:
    """Return the number of the choice taken; None where there is no answer."""
    print(f"{question}:", file=sys.stderr)
    for number, choice in enumerate(choices, 1):
        print(f"  {number}  {choice}", file=sys.stderr)
    while True:
        print(f"Which, 1 to {len(choices)}? ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer:
            return None
        if answer.strip().isdecimal() and 1 <= int(answer) <= len(choices):
            return int(answer) - 1
