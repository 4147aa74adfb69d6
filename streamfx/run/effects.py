"""Run effects: the effects of a run, opened, their factor chosen and watched."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from streamfx.backends.backend import Build, Precision
from streamfx.capture.backdrop import read_backdrop
from streamfx.capture.shots import ShotSource
from streamfx.capture.source import Source
from streamfx.config.live import LiveConfig
from streamfx.config.transcode import TranscodeConfig
from streamfx.errors import ConfigError, DeviceMemoryError
from streamfx.factor.choice import FactorChoice, automatic_effects, common_factors, fit_factor
from streamfx.factor.watch import FactorWatch, watch_factor
from streamfx.generate.chain import AnyEffect, Chain, open_chain
from streamfx.generate.effect import EffectSettings
from streamfx.generate.routed import Routed
from streamfx.hardware.cpu import usable_cores
from streamfx.media.array_memory import arrays
from streamfx.media.frame import VideoFormat
from streamfx.pipeline.stats import Stats
from streamfx.run.placement import MAIN_MEMORY, Placement

log = logging.getLogger(__name__)

MOST_PIXELS = 7680 * 4320
"""Most pixels of a frame between the effects of a chain that viewers change."""


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of a run, and what became of the factor that nobody gave.

    Attributes:
        chain: the effects, ready for the first frame.
        settings: settings that the effects were opened with.
        video: format of the frames.
        automatic: effects whose factor nobody gave.
        choice: choice of the factor; None where it was given.
        watch: watch that keeps the factor right while a live source runs; None where nothing is to be
            watched.
    """

    chain: Chain
    settings: EffectSettings
    video: VideoFormat
    automatic: tuple[AnyEffect, ...] = ()
    choice: FactorChoice | None = None
    watch: FactorWatch | None = None


def check_sizes(chain: Chain, video: VideoFormat, most_pixels: int = MOST_PIXELS) -> None:
    """Check that frames do not become too large on their way through effects that viewers ask for.

    Raises:
        ConfigError: they would; says after which effect, and how large.
    """
    for effect in chain.effects:
        video = effect.output(video)
        height, width = video.size
        if height * width > most_pixels:
            raise ConfigError(
                f"effect {effect.name!r} would make frames {width}x{height}; while a run goes on, they may "
                f"become no larger than {most_pixels / 1e6:.2g} million pixels"
            )


def most_pixels_for(largest: tuple[int, int]) -> int:
    """Return the most pixels between the effects of a visitor, whose pictures have a largest size.

    One effect that makes them twice as large each way fits in, and is scaled down in the end.

    Example:
        >>> most_pixels_for((1080, 1920)) == 2160 * 3840
        True
    """
    return 4 * largest[0] * largest[1]


def numbered(source: Source, effects: Effects) -> Source:
    """Return the source with its frames numbered by shot if an effect needs to know, else as it is.

    Those effects of which the pictures decide are shown the frames that tell what a shot is about. Those that
    take noise get new noise with each shot.
    """
    looks = [effect.look for effect in effects.chain.effects if isinstance(effect, Routed)]
    takes_noise = any(part.engine.spec.noise_channels for part in effects.chain.networks)
    return ShotSource(source, looks) if looks or takes_noise else source


@contextmanager
def open_effects(
    config: TranscodeConfig | LiveConfig,
    source: Source,
    workers: int,
    stats: Stats,
    place: Placement = MAIN_MEMORY,
    precision: Precision = Precision.AUTO,
) -> Iterator[Effects]:
    """Open the effects asked for, choose the factor where none was given, and prepare the first frame.

    The processors are shared out among the workers. While a live source runs, the factor is watched.
    """
    settings = EffectSettings(
        backend=config.backend,
        precision=precision,
        factor=None if config.factor == "auto" else config.factor,
        threads=max(1, (config.threads or usable_cores()) // workers),
        workers=workers,
        measure=stats.add,
        device=place.device,
        build=Build(config.build),
        processing_device=place.processing_device(source.format),
        backdrops=read_backdrop,
    )
    video = source.format
    with contextlib.ExitStack() as opened:
        opened.callback(arrays.clear)
        chain = open_chain(config.effects, settings)
        opened.callback(chain.close)
        choice = watch = None
        if automatic := automatic_effects(config, chain):
            choice = fit_factor(chain, automatic, video, config, settings, live=source.live)
            watch = watch_factor(choice, automatic, video) if source.live else None
        if watch is not None:
            opened.callback(watch.close)
        choice = warm_up(chain, automatic, video, choice)
        if watch is not None:
            watch.prepare()
        yield Effects(chain, settings, video, automatic, choice, watch)


def warm_up(
    chain: Chain, automatic: Sequence[AnyEffect], video: VideoFormat, choice: FactorChoice | None
) -> FactorChoice | None:
    """Prepare the first frame; where a device has not the memory, with a larger factor. Return the choice.

    Args:
        chain: all effects.
        automatic: effects whose factor nobody gave.
        video: format of the frames.
        choice: choice of the factor so far.

    Raises:
        DeviceMemoryError: it does not suffice with the largest factor either, or the factor was given.
    """
    while True:
        try:
            chain.warm_up(video)
            return choice
        except DeviceMemoryError as error:
            if choice is None:
                raise
            factors = common_factors(
                [part.engine for each in automatic for part in each.parts if part.scales]
            )
            larger = [factor for factor in factors if factor > choice.factor]
            if not larger:
                raise
            log.warning("factor %g instead of %g: %s", larger[0], choice.factor, error)
            why = f"factor {larger[0]:g}: device memory does not suffice for {choice.factor:g}"
            choice = replace(choice, factor=larger[0], reason=why)
        for effect in automatic:
            effect.controls = replace(effect.controls, factor=choice.factor)
