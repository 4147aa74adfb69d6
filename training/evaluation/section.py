"""Section: one table of figures with what it shows, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, TypeAlias

Cell: TypeAlias = str | float | int | None
_WIDTH = 108


@dataclass(frozen=True)
class Section:
    """A table.

    Attributes:
        name: Key among the figures.
        note: Explanation of what is shown, how it was measured, and on what.
        columns: Heading of each column, with how its numbers are written: `{"factor": "g", "PSNR": ".2f"}`.
        rows: A cell for each column; None is left empty.
    """

    name: str
    note: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[Cell]]

    def markdown(self) -> str:
        """The section as Markdown."""
        lines = [fill(self.note, _WIDTH), "", _line(self.columns), _line(["---"] * len(self.columns))]
        for row in self.rows:
            cells = zip(row, self.columns.values(), strict=True)
            lines.append(_line([_written(value, form) for value, form in cells]))
        return "\n".join(lines)

    def facts(self) -> dict[str, Any]:
        """The section for a JSON file: rows as they were measured."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"note": self.note, "rows": rows}


def _line(cells: Sequence[str] | Mapping[str, str]) -> str:
    return f"| {' | '.join(cells)} |"


def _written(value: Cell, form: str) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else format(value, form)
