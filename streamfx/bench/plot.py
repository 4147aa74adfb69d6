"""Plot: the figures as a picture to show around. The only place that knows matplotlib (extra ``bench``)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.bench.result import BenchResult, Row
from streamfx.errors import ConfigError, SinkError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"model": "#8fa3ad", "resident": "#3f88c5", "pipeline": "#d1495b"}
_OTHER_COLOUR = "#6a994e"
_WIDTH_INCHES, _DPI = 11.0, 110
_RATES_FPS = (30, 60)


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
    labels = list(dict.fromkeys(map(_label, result.rows)))
    figure = Figure(figsize=(_WIDTH_INCHES, 2.2 + 0.34 * len(labels)), dpi=_DPI, layout="constrained")
    panels = figure.subplots(1, len(levels), squeeze=False, sharey=True)[0]
    for axes, level in zip(panels, levels, strict=True):
        _panel(axes, level, labels, [row for row in result.rows if row.case.level == level])
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].invert_yaxis()
    processor = result.device.processor
    device = ", ".join(str(gpu["name"]) for gpu in result.device.gpus) or str(processor["name"])
    figure.suptitle(
        f"streamfx {result.versions['streamfx']} on {device}, {processor['usable_cores']} cores: "
        "frames per second",
        x=0.01, ha="left", fontsize=13, fontweight="bold",
    )  # fmt: skip
    figure.supxlabel(_below(result), x=0.01, ha="left", fontsize=8, color="#555555")
    try:
        figure.savefig(path)
    except OSError as error:
        raise SinkError(f"{path}: cannot write the picture: {error.strerror}") from error


def _panel(axes: Axes, level: str, labels: list[str], rows: list[Row]) -> None:
    highest = max(row.fps for row in rows)
    axes.barh(
        [labels.index(_label(row)) for row in rows],
        [row.fps for row in rows],
        height=0.66,
        color=_COLOURS.get(level, _OTHER_COLOUR),
    )
    for row in rows:
        place = labels.index(_label(row))
        axes.text(row.fps + 0.015 * highest, place, _short(row.fps), va="center", fontsize=9)
        if row.p99_ms is not None:
            rate = 1e3 / row.p99_ms
            axes.plot([rate, rate], [place - 0.33, place + 0.33], color="black", linewidth=1.6)
    for rate_fps in _RATES_FPS:
        if rate_fps < highest * 1.15:
            axes.axvline(rate_fps, color="#999999", linewidth=0.8, linestyle=":", zorder=0)
    axes.set_xlim(0, highest * 1.22)
    axes.set_title(level, loc="left", fontsize=11)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _label(row: Row) -> str:
    case, ran = row.case, row.ran
    lines = f"{case.height_pixels}p" if case.width_pixels * 9 == case.height_pixels * 16 else case.size
    return f"{case.effect}  {lines}  factor {case.factor:g}  {ran.backend} {ran.precision}"


def _below(result: BenchResult) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    lines = [
        "black line: frames per second at the 99th percentile of the time of a frame; dotted: 30 and 60",
        "model: the network alone; resident: reduce, network and fuse in memory, frame by frame; "
        f"pipeline: decode to encode ({result.config.encoder})",
        f"{result.measured_at[:10]}, {result.config.threads} threads, batch 1; {libraries}",
    ]
    return "\n".join(lines)


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}"
