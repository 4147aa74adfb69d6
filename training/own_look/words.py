"""Words: what the terms of a loss are called where people read them who did not write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_NAMES = {
    "imitation": "first attempt",
    "style": "strokes and colours",
    "content": "shapes",
    "structure": "outlines",
    "tone": "light and dark",
    "variation": "smoothness",
    "grid": "traces of pixels",
    "weight_bias": "switches",
    "mask": "how much is painted over",
    "displacement": "how far is moved",
    "detail": "detail let through",
    "temporal": "steadiness",
    "difference": "difference to the drawing",
    "slopes": "edges",
    "crispness": "crispness",
    "belief": "credibility",
    "critic true": "critic, of drawings",
    "critic made": "critic, of the network's",
}
_MOST = 4


def described(terms: Iterable[Mapping[str, float]]) -> str:
    """The largest terms of the last steps, in plain words; the smaller, the nearer to the goal.

    Example:
        >>> described([{"style": 0.4, "content": 0.1}, {"style": 0.2, "temporal": 0.06}])
        'strokes and colours 0.30, shapes 0.10, steadiness 0.06'
    """
    found: dict[str, list[float]] = {}
    for each in terms:
        for name, value in each.items():
            found.setdefault(name, []).append(value)
    means = {name: sum(values) / len(values) for name, values in found.items()}
    largest = sorted(means, key=lambda name: -means[name])[:_MOST]
    return ", ".join(f"{_NAMES.get(name, name)} {means[name]:.2f}" for name in largest)
