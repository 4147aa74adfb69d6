"""Plot: the figures as a picture to show around. The only place that knows matplotlib (extra ``bench``)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamfx.bench.result import BUSY, BenchResult, Row
from streamfx.errors import ConfigError, SinkError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"model": "#8fa3ad", "resident": "#3f88c5", "pipeline": "#d1495b"}
_OTHER_COLOUR = "#6a994e"
_WIDTH_INCHES, _DPI = 11.0, 110
_RATES_FPS = (30, 60)
_LARGE: Mapping[str, Any] = {"fontsize": 10}
_SMALL: Mapping[str, Any] = {"fontsize": 8, "color": "#555555"}
_BEHIND_TEXT: Mapping[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}


def check_plot(path: Path) -> None:
    """Check before measuring that a picture can be made afterwards.

    Raises:
        ConfigError: matplotlib is missing, or the file is not called .png.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(f"--plot writes a PNG picture: call it {path.stem}.png instead of {path.name}")
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError("--plot needs matplotlib: pip install 'streamfx[bench]'; --json works without")


def write_plot(result: BenchResult, path: Path) -> None:
    """Write a picture of the rows: frames per second by level, and how slow the slowest hundredth is.

    Raises:
        SinkError: it cannot be written there.
    """
    from matplotlib.figure import Figure

    levels = list(dict.fromkeys(row.case.level for row in result.rows))
    words = [_words(row) for row in result.rows]
    same = {place for place, column in enumerate(zip(*words, strict=True)) if len(set(column)) == 1}
    common = ", ".join(words[0][place] for place in sorted(same))
    named = {
        row.case: "  ".join(word for place, word in enumerate(each) if place not in same) or each[1]
        for row, each in zip(result.rows, words, strict=True)
    }
    labels = list(dict.fromkeys(named.values()))
    figure = Figure(figsize=(_WIDTH_INCHES, 2.4 + 0.36 * len(labels)), dpi=_DPI, layout="constrained")
    panels = figure.subplots(1, len(levels), squeeze=False, sharey=True)[0]
    for axes, level in zip(panels, levels, strict=True):
        places = {labels.index(named[row.case]): row for row in result.rows if row.case.level == level}
        _panel(axes, level, places)
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.4, -0.6)
    processor = result.device.processor
    device = ", ".join(str(gpu["name"]) for gpu in result.device.gpus) or str(processor["name"])
    figure.suptitle(
        f"streamfx {result.versions['streamfx']} on {device}, {processor['usable_cores']} cores\n"
        f"frames per second{': ' if common else ''}{common}",
        x=0.01, ha="left", fontsize=13,
    )  # fmt: skip
    figure.supxlabel(_below(result), x=0.01, ha="left", **_SMALL)
    try:
        figure.savefig(path)
    except OSError as error:
        raise SinkError(f"{path}: cannot write the picture: {error.strerror}") from error


def _panel(axes: Axes, level: str, places: Mapping[int, Row]) -> None:
    """Draw the rows of one level, each at its place from the top."""
    highest = max(row.fps for row in places.values())
    axes.barh(
        list(places),
        [row.fps for row in places.values()],
        height=0.66,
        color=_COLOURS.get(level, _OTHER_COLOUR),
    )
    for place, row in places.items():
        slow = ""
        if row.p99_ms is not None:
            rate_fps, slow = 1e3 / row.p99_ms, f"p99 {_short(row.p99_ms)} ms"
            axes.plot([rate_fps, rate_fps], [place - 0.33, place + 0.33], color="black", linewidth=1.6)
        for text, points, style in ((_short(row.fps), 4, _LARGE), (slow, 34, _SMALL)):
            axes.annotate(
                text,
                (row.fps, place),
                (points, 0),
                textcoords="offset points",
                va="center",
                bbox=_BEHIND_TEXT,
                **style,
            )
    for rate_fps in _RATES_FPS:
        if rate_fps < highest:
            axes.axvline(rate_fps, color="#999999", linewidth=0.8, linestyle=":", zorder=0)
    axes.set_xlim(0, highest * 1.6)
    axes.set_title(level, loc="left", fontsize=11)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _words(row: Row) -> tuple[str, str, str, str]:
    """Return what a row is called, level apart: effect, size, factor, what runs it."""
    case, ran = row.case, row.ran
    wide = case.width_pixels * 9 == case.height_pixels * 16
    size = f"{case.height_pixels}p" if wide else case.size
    return case.effect, size, f"factor {case.factor:g}", str(ran)


def _below(result: BenchResult) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    lines = [
        "black line: frames per second at the 99th percentile of the time of a frame; dotted: 30 and 60",
        "model: the network alone; resident: reduce, network and fuse in memory, frame by frame; "
        f"pipeline: decode to encode ({' or '.join(result.encoders)})",
        f"{result.measured_at[:10]}, {result.config.threads} threads, batch 1; {libraries}",
    ]
    if (share := result.taken_by_others) > BUSY:
        lines.append(f"not a quiet machine: other programs took up to {share:.0%} of the processors")
    return "\n".join(lines)


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}"
