"""Verdict: which limits a look holds at each factor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.evaluation.limits import Manner, misses
from training.evaluation.section import Section


def verdict(found: Sequence[Section], factors: Sequence[float], manner: Manner) -> Section:
    """Which limits do not hold at each factor.

    Args:
        found: Sections with the figures.
        factors: Factors that were tried.
        manner: Manner whose limits count.
    """
    figures = engine_figures(row for section in found for row in section.facts()["rows"])
    rows = []
    for factor in factors:
        missed = misses(figures.get(factor, {}), factor, manner)
        rows.append([factor, "no" if missed else "yes", "; ".join(missed)])
    return Section(
        "limits",
        f"Limits of {manner} looks.",
        {"factor": "g", "holds": "", "what does not": ""},
        rows,
    )


def engine_figures(rows: Iterable[Mapping[str, Any]]) -> dict[float, dict[str, float]]:
    """The engine's figures by factor and name, out of the rows of all sections."""
    figures: dict[float, dict[str, float]] = {}
    for row in rows:
        if row.get("method") == "engine" and row.get("factor") is not None:
            numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
            figures.setdefault(float(row["factor"]), {}).update(numbers)
    return figures
