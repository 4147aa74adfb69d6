"""Compare: looks side by side, from the figures that `python -m training evaluate` saved for each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from training.evaluation.limits import LIMITS, Manner
from training.evaluation.section import Cell, Section
from training.evaluation.verdict import engine_figures

_FORMS = {"price": ".2f", "moved": ".3f", "style": ".2f", "PSNR": ".1f"}


class CompareOptions(BaseModel):
    """Settings of `python -m training compare`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    evaluations: list[Path] = Field(
        min_length=1, description="evaluation.json of engines, or files that this command wrote before"
    )
    table: Path | None = Field(default=None, description="Markdown file to write")
    out: Path | None = Field(default=None, description="JSON file to write, with all figures of all engines")


@dataclass(frozen=True)
class Entry:
    """The figures of one engine.

    Attributes:
        name: Name of the engine.
        version: Version of the engine.
        manner: Manner whose limits apply to it.
        figures: Figures by factor and name.
        ablation: Losses without each part, as rows.
    """

    name: str
    version: str
    manner: Manner
    figures: Mapping[float, Mapping[str, float]]
    ablation: list[Mapping[str, Any]]


def run(options: CompareOptions) -> None:
    """Print a table of engines and factors with the figures that have limits; write it, and all figures."""
    entries = [entry for path in options.evaluations for entry in read_entries(path)]
    text = "\n\n".join(section.markdown() for section in tables(entries))
    print(text)
    if options.table is not None:
        options.table.write_text(text + "\n", encoding="utf-8")
    if options.out is not None:
        lines = ",\n".join(json.dumps(_rounded(asdict(entry)), ensure_ascii=False) for entry in entries)
        options.out.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_entries(path: Path) -> Iterator[Entry]:
    """The engines whose figures a file holds.

    Raises:
        ValueError: It holds none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, list):
            for one in found:
                figures = {float(factor): values for factor, values in one["figures"].items()}
                yield Entry(one["name"], one["version"], Manner(one["manner"]), figures, one["ablation"])
        else:
            sections = [value for value in found.values() if isinstance(value, dict) and "rows" in value]
            figures = engine_figures(row for section in sections for row in section["rows"])
            about = found["engine"]
            ablation = found.get("ablation", {"rows": []})["rows"]
            yield Entry(about["name"], about["version"], Manner(about["manner"]), figures, ablation)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold the figures of a look: {error!r}; evaluate the engine with `look` set"
        ) from error


def tables(entries: list[Entry]) -> Iterator[Section]:
    """One table for each manner of look: what has a limit, in bold where the limit does not hold."""
    for manner, limits in LIMITS.items():
        held = [entry for entry in entries if entry.manner == manner]
        rows: list[list[Cell]] = []
        for entry in held:
            for factor, figures in sorted(entry.figures.items()):
                cells, holds = [], True
                for limit in limits:
                    value = figures.get(limit.figure)
                    within = None if value is None else limit.holds(value, factor)
                    holds = holds and within is not False
                    text = "" if value is None else format(value, _FORMS.get(limit.figure, ".2f"))
                    cells.append(f"**{text}**" if within is False else text)
                rows.append([f"{entry.name} {entry.version}", factor, *cells, "yes" if holds else "no"])
        if rows:
            yield Section(
                f"{manner} looks",
                f"Looks that are to be {manner}. Bold: the limit does not hold. Limits: "
                + "; ".join(limit.words() for limit in limits)
                + ".",
                {"engine": "", "factor": "g", **{limit.figure: "" for limit in limits}, "holds": ""},
                rows,
            )


def _rounded(value: Any) -> Any:
    """Figures to five digits, to keep the file small."""
    if isinstance(value, Mapping):
        return {str(key): _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
