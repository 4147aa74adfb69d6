"""Columns: tables of plain text, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(lines: Iterable[Sequence[str]], *, words: int = 1) -> list[str]:
    """Return lines whose columns stand below one another.

    Args:
        lines: cells, as many in each.
        words: number of the first columns that hold words and stand at the left; the others are numbers.
    """
    lines = list(lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
