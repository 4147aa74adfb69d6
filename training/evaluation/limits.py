"""Limits: what a look must hold to be shipped, by its manner; and who holds it.

Portrait-safe looks are for people before a camera; painterly ones may cost likeness, and their cards say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Manner(StrEnum):
    """What a look is for."""

    PORTRAIT = "portrait-safe"
    PAINTERLY = "painterly"


@dataclass(frozen=True)
class Limit:
    """How large a figure may be, or must be.

    Attributes:
        figure: Name of the figure, as `training.evaluation.look.measure` gives it.
        at: The limit by factor.
        least: Whether the figure must reach it; else it must not exceed it.
    """

    figure: str
    at: Mapping[float, float]
    least: bool = False

    def holds(self, value: float, factor: float) -> bool | None:
        """Whether a figure is within the limit; None where there is none at the factor."""
        limit = self.at.get(factor)
        if limit is None:
            return None
        return value >= limit if self.least else value <= limit

    def words(self) -> str:
        """The limit in words."""
        limits = ", ".join(f"{limit:g}" for limit in dict.fromkeys(self.at.values()))
        where = (
            ""
            if len(set(self.at.values())) == 1 and len(self.at) > 1
            else (f" at {', '.join(f'{factor:g}' for factor in self.at)}")
        )
        return f"{self.figure} {'at least' if self.least else 'at most'} {limits}{where}"

    def told(self, value: float, factor: float) -> str:
        """The figure beside the limit."""
        return f"{self.figure} {value:.3g} (at {'least' if self.least else 'most'} {self.at[factor]:g})"


def _always(value: float) -> Mapping[float, float]:
    return {1.0: value, 2.0: value, 4.0: value}


LIMITS: Mapping[Manner, Sequence[Limit]] = {
    Manner.PORTRAIT: (
        Limit("found", _always(0.95), least=True),
        Limit("moved", _always(0.03)),
        Limit("edges", _always(0.85), least=True),
        Limit("sharpness", _always(0.9), least=True),
        Limit("lock ratio", _always(1.1)),
        Limit("warping error", _always(0.3)),
        Limit("noisy", _always(1.0)),
        Limit("PSNR", {4.0: 26.0}, least=True),
        Limit("SSIM", {4.0: 0.85}, least=True),
        Limit("price", {4.0: 1.15}),
    ),
    Manner.PAINTERLY: (
        Limit("found", _always(0.7), least=True),
        Limit("moved", _always(0.03)),
        Limit("edges", _always(0.75), least=True),
        Limit("sharpness", {2.0: 0.7, 4.0: 0.6}, least=True),
        Limit("lock ratio", _always(1.1)),
        Limit("warping error", _always(1.5)),
        Limit("noisy", _always(1.5)),
        Limit("style", {1.0: 0.1, 2.0: 0.2, 4.0: 0.32}),
        Limit("price", {4.0: 1.15}),
    ),
}


def misses(figures: Mapping[str, float], factor: float, manner: Manner) -> list[str]:
    """What does not hold at a factor, in words; figures that were not measured are not judged."""
    return [
        limit.told(figures[limit.figure], factor)
        for limit in LIMITS[manner]
        if limit.figure in figures and limit.holds(figures[limit.figure], factor) is False
    ]
