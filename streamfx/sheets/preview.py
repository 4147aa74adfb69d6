"""Preview: what effects make of moments of a film, on one sheet, before hours are spent."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from streamfx.backends.backend import Build
from streamfx.capture.backdrop import read_backdrop
from streamfx.capture.files.preparation import Preparation
from streamfx.capture.opening import open_source
from streamfx.capture.source import Source
from streamfx.config.loading import configured
from streamfx.config.preview import PreviewConfig
from streamfx.encode.files.pictures import prepare_folder
from streamfx.errors import ConfigError, SinkError
from streamfx.generate.chain import AnyEffect, Chain, open_chain
from streamfx.generate.effect import EffectSettings
from streamfx.generate.request import parse_effect
from streamfx.generate.routed import Routed
from streamfx.hardware.cpu import usable_cores
from streamfx.media.frame import Frame
from streamfx.media.paths import write_whole
from streamfx.run.placement import find_placement
from streamfx.sheets.drawing import Cell, drawn, room_for
from streamfx.sheets.moments import frames_at, spread_frames
from streamfx.sheets.pixels import picture_file, shown_size, small_picture

log = logging.getLogger(__name__)

USUAL_FACTORS = (1.0, 2.0, 4.0)
_ENDINGS = (".png", ".jpg", ".jpeg")
_ROWS = 4  # about as many by default: moments times effects

Steps = Callable[[int, int, str], None]
"""Is told how many pictures of how many are made, and which is next."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A sheet that was written.

    Attributes:
        file: the sheet.
        size: (height, width) of the sheet, in pixels.
        moments: times of the frames that it shows, in seconds.
        factors: factors that it shows of each effect, by its name as it was given.
    """

    file: Path
    size: tuple[int, int]
    moments: tuple[float, ...]
    factors: dict[str, tuple[float, ...]]

    def summary(self) -> str:
        """Return what was written, in one line."""
        times = ", ".join(map(clock_text, self.moments))
        shown = "; ".join(
            f"{name} at factor {', '.join(f'{factor:g}' for factor in factors)}"
            for name, factors in self.factors.items()
        )
        return f"{self.file}: {self.size[1]}x{self.size[0]}, moments {times}; {shown}"


def preview(
    input: str | PathLike[str],
    output: str | PathLike[str],
    *,
    effects: Sequence[str],
    at: Sequence[float | str] = (),
    factors: Sequence[float] = (),
    width: int = 1920,
    overwrite: bool = False,
    deinterlace: str = "auto",
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    progress: Steps | None = None,
) -> Preview:
    """Show on one sheet what effects make of moments of a film, and write it; return what it shows.

    Args:
        input: source: a video file, '-' for standard input, pictures (a folder, frames/%05d.png),
            test:bars.
        output: sheet to write: a PNG or a JPEG, by its ending.
        effects: effect and its controls ('streamfx effects' lists them); each of several gets a row.
        at: moments to show, in seconds (12.5) or as a clock shows them (1:02:12.5), with commas between;
            some spread over the film by default.
        factors: factors to show, of 1, 1.5, 2, 3, 4, 6, 8, with commas between; by default those of 1, 2
            and 4 that the effect offers.
        width: most pixels that the sheet is wide; pictures are never enlarged.
        overwrite: replacement of a file that exists.
        deinterlace: deinterlacing: auto (of pictures flagged as interlaced), off, bwdif or yadif (of
            all).
        backend: library that runs the network ('streamfx devices' lists them); auto: the fastest here.
        device: place of the network: auto (a GPU where one can be used), cpu, cuda, or cuda:1 for the
            second GPU.
        threads: number of processor threads to use; all by default.
        progress: callback that is told, in this thread, how many pictures of how many are made, and which is
            next.

    Raises:
        ConfigError: a setting is wrong, or a moment is past the end.
        SourceOpenError: the input cannot be read.
        SinkError: the sheet cannot be written, or is there already.
        EngineNotFoundError: there is no such effect.
        BackendUnavailableError: the backend cannot run here.

    Example:
        >>> shown = preview("in.mp4", "sheet.png", effects=["wave"], at=[0.5], factors=[2, 4])
        >>> shown.moments, shown.factors
        ((0.48,), {'wave': (2.0, 4.0)})
    """
    given = dict(locals())
    del given["progress"]
    return preview_config(configured(PreviewConfig, given | {"at": tuple(at)}), progress)


def preview_config(config: PreviewConfig, progress: Steps | None = None) -> Preview:
    """Write the sheet that the configuration describes; returns and raises as `preview`."""
    if not config.effects:
        raise ConfigError("effects: none given; name at least one ('streamfx effects' lists them)")
    output = Path(config.output)
    _check_output(config, output)
    place = find_placement(config.device, config.backend, 1)
    settings = EffectSettings(
        backend=config.backend,
        threads=config.threads or usable_cores(),
        device=place.device,
        build=Build.WAIT,
        backdrops=read_backdrop,
    )
    with ExitStack() as opened:
        preparation = Preparation(config.deinterlace, upright=True)
        source = opened.enter_context(closing(open_source(config.input, preparation=preparation)))
        if source.live:
            raise ConfigError(
                f"{source.name}: is live, and a preview shows moments of a film; record it first"
            )
        rows = []
        for text in config.effects:
            chain = opened.enter_context(closing(open_chain([text], settings)))
            rows.append(_Row(text, chain, _factors_of(text, chain.effects[0], config.factors)))
        if config.at:
            frames = frames_at(source, config.at)
        else:
            frames = spread_frames(source, max(_ROWS // len(rows), 1))
        sheet = drawn(_cells(config, source, frames, rows, progress))
    _write(output, picture_file(sheet, output.suffix.lower()), replace=config.overwrite)
    moments = tuple(float(frame.time_seconds) for frame in frames)
    return Preview(output, (sheet.shape[0], sheet.shape[1]), moments, {row.name: row.factors for row in rows})


def clock_text(seconds: float) -> str:
    """Return a time as a clock shows it, to the millisecond.

    Example:
        >>> clock_text(12.5), clock_text(3732.48), clock_text(0)
        ('0:12.5', '1:02:12.48', '0:00')
    """
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, thousandths = divmod(rest, 1000)
    text = f"{whole:02}.{thousandths:03}".rstrip("0").rstrip(".") if thousandths else f"{whole:02}"
    return f"{hours}:{minutes:02}:{text}" if hours else f"{minutes}:{text}"


@dataclass(frozen=True, slots=True)
class _Row:
    """An effect as a row shows it.

    Attributes:
        name: the effect as it was given.
        chain: the same, open.
        factors: factors to show.
    """

    name: str
    chain: Chain
    factors: tuple[float, ...]


def _check_output(config: PreviewConfig, output: Path) -> None:
    """Refuse, before anything is read, a sheet that cannot be written."""
    if output.suffix.lower() not in _ENDINGS:
        raise ConfigError(f"{output}: a sheet is a picture; end its name with one of {' '.join(_ENDINGS)}")
    if os.path.realpath(output) == os.path.realpath(config.input):
        raise ConfigError(f"{output}: is the source itself; choose another name")
    prepare_folder(output, [output], config.overwrite)


def _factors_of(text: str, effect: AnyEffect, asked: Sequence[float]) -> tuple[float, ...]:
    """Return the factors to show of an effect: those asked for that it offers; without a choice, its own.

    Raises:
        ConfigError: it offers none of those asked for.
    """
    own = effect.controls.factor
    engines = [part.engine for part in effect.parts if part.scales]
    if not engines or parse_effect(text).factor is not None:
        return (own,)
    low = max(engine.factor_range[0] for engine in engines)
    high = min(engine.factor_range[1] for engine in engines)
    offered = tuple(factor for factor in asked or USUAL_FACTORS if low <= factor <= high)
    if not offered and asked:
        raise ConfigError(
            f"--factor {','.join(f'{factor:g}' for factor in asked)}: effect {text!r} takes factors from "
            f"{low:g} to {high:g}"
        )
    for factor in asked:
        if factor not in offered:
            log.warning("effect %s takes factors from %g to %g; %g is not shown", text, low, high, factor)
    return offered or (own,)


def _cells(
    config: PreviewConfig,
    source: Source,
    frames: Sequence[Frame],
    rows: Sequence[_Row],
    progress: Steps | None,
) -> list[list[Cell]]:
    """Return the pictures of the sheet: for each moment a row for each effect, the source first."""
    columns = 1 + max(len(row.factors) for row in rows)
    size = shown_size(source.format, room_for(len(frames) * len(rows), columns, config.width))
    total, done, cells = len(frames) * sum(len(row.factors) for row in rows), 0, list[list[Cell]]()
    for frame in frames:
        clock = clock_text(float(frame.time_seconds))
        before = Cell(small_picture(frame, size), "source", clock)
        for row in rows:
            cells.append([before])
            for factor in row.factors:
                if progress is not None:
                    progress(done, total, f"{row.name}, factor {factor:g}, {clock}")
                picture = small_picture(_processed(row.chain, frame, factor), size)
                cells[-1].append(Cell(picture, row.name, f"factor {factor:g}"))
                done += 1
    return cells


def _processed(chain: Chain, frame: Frame, factor: float) -> Frame:
    """Return a frame with an effect applied; what the pictures decide, this one decides alone."""
    (effect,) = chain.effects
    if any(part.scales for part in effect.parts):
        effect.controls = replace(effect.controls, factor=factor)
    if isinstance(effect, Routed):
        effect.choices = ()
        effect.look(frame)
    return chain.process(frame)


def _write(output: Path, data: bytes, *, replace: bool) -> None:
    try:
        write_whole(output, data, replace=replace)
    except FileExistsError as error:
        raise SinkError(f"{output}: appeared meanwhile, and is not replaced") from error
    except OSError as error:
        raise SinkError(f"{output}: cannot be written: {error.strerror or error}") from error
