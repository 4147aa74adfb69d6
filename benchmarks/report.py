"""Tables from the recorded results: all of them in results/report.md, the whole pipeline's in the README.

    python benchmarks/report.py

Nothing is measured here and nothing is typed in by hand: published figures are in benchmarks/results/*.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results"
README = ROOT / "README.md"
FIRST = "pipeline"  # the benchmark that the README shows
_MARKS = re.compile(r"(<!-- figures:begin[^\n]*-->\n).*?(<!-- figures:end -->)", re.DOTALL)
_UNITS = {"ms": "ms", "fps": "fps", "pixels": "pixels", "seconds": "s", "bytes": "bytes"}


def main() -> None:
    """Write results/report.md and the figures of the README."""
    results = read_results(RESULTS)
    if not results:
        raise SystemExit(f"no results in {RESULTS}; run python -m benchmarks first")
    whole = ["# Measured", "", "Written by `python benchmarks/report.py` from the JSON files beside it.", ""]
    for result in results:
        whole += section(result, level=2)
    (RESULTS / "report.md").write_text("\n".join(whole).rstrip() + "\n", encoding="utf-8")
    shown = next((result for result in results if result["benchmark"] == FIRST), None)
    if shown is not None:
        lines = [*table(shown["rows"]), "", f"{origin(shown)} [All figures](benchmarks/results/report.md)."]
        README.write_text(put_between_marks(README.read_text(encoding="utf-8"), lines), encoding="utf-8")


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Return what benchmarks recorded, the whole pipeline first, then by name; other files are left out."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    results = [result for result in found if "benchmark" in result]
    return sorted(results, key=lambda result: (result["benchmark"] != FIRST, result["benchmark"]))


def section(result: Mapping[str, Any], level: int) -> list[str]:
    """Return the lines of one benchmark: title, table, where the figures come from."""
    config = ", ".join(f"{_words(key)} {_cell(value)}" for key, value in result["config"].items())
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [
        f"{'#' * level} {result['benchmark'].replace('_', ' ').capitalize()}",
        "",
        *table(result["rows"]),
        "",
        origin(result),
        f"Settings: {config}. Versions: {versions}.",
        "",
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a Markdown table of rows that are dictionaries; nested values are left to the JSON.

    Example:
        >>> for line in table([{"program": "a", "fps": 81.52, "cpu_ms_per_frame": 21.0, "more": {}}]):
        ...     print(line)
        | program | fps | cpu per frame, ms |
        | --- | ---: | ---: |
        | a | 81.5 | 21 |
    """
    keys: list[str] = []
    for row in rows:
        keys += [key for key, value in row.items() if key not in keys and not isinstance(value, dict | list)]
    numbers = {key for key in keys if any(isinstance(row.get(key), int | float) for row in rows)}
    lines = [_line(_words(key) for key in keys), _line("---:" if key in numbers else "---" for key in keys)]
    return lines + [_line(_cell(row.get(key), key) for key in keys) for row in rows]


def origin(result: Mapping[str, Any]) -> str:
    """Return a sentence on what was measured where and when."""
    device = result["device"]
    extensions = ", ".join(device["extensions"]) or "no known extensions"
    gpu = f"; {device['gpu']}" if device.get("gpu") else ""
    return (
        f"Measured on {device['usable_cores']} cores of {device['name']} ({extensions}){gpu}, "
        f"{result['time'][:10]}, commit {result['commit'] or 'unknown'}."
    )


def put_between_marks(text: str, lines: Sequence[str]) -> str:
    """Return ``text`` with the lines between its marks instead of what is there.

    Raises:
        ValueError: the marks are not there.
    """
    if not _MARKS.search(text):
        raise ValueError("the README has no lines '<!-- figures:begin … -->' and '<!-- figures:end -->'")
    return _MARKS.sub(lambda found: found[1] + "\n" + "\n".join(lines) + "\n\n" + found[2], text)


def _words(key: str) -> str:
    """Return a key as a heading: ``cpu_ms_per_frame`` becomes "cpu per frame, ms"."""
    words = key.split("_")
    unit = next((word for word in words if word in _UNITS), None)
    if unit is None or len(words) == 1:
        return " ".join(words)
    return f"{' '.join(word for word in words if word != unit)}, {_UNITS[unit]}"


def _cell(value: Any, key: str = "") -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        if key.startswith("share"):
            return f"{value:.0%}"
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, list | tuple):
        return " and ".join(_cell(part) for part in value)
    return str(value)


def _line(cells: Iterator[str] | Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
