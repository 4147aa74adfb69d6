"""Cases: what was asked for, as every combination that is to be measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from streamfx.backends.backend import Precision
from streamfx.backends.registry import backends
from streamfx.bench.levels import LEVELS
from streamfx.bench.result import BenchConfig, Case
from streamfx.capture.opening import open_source
from streamfx.config.values import check_device
from streamfx.engine.folder import Engine
from streamfx.engine.library import load_engine
from streamfx.errors import ConfigError
from streamfx.generate.request import EffectRequest, parse_effect


def cases_of(config: BenchConfig) -> tuple[Case, ...]:
    """Return every combination, once: an effect that has one factor only is measured at that.

    Raises:
        ConfigError: an effect, level, backend, precision or device is not known, or an effect is none that
            can be measured by itself.
        EngineNotFoundError, EngineCorruptError: see `streamfx.engine.library.load_engine`.
    """
    _check_names(config)
    effects = [(text, *_engine_of(text)) for text in config.effects]
    found: dict[Case, None] = {}
    for level, size, (text, request, engine), backend, precision in itertools.product(
        config.levels, config.sizes, effects, config.backends, config.precisions
    ):
        for factor in _factors(config, request, engine):
            case = Case(
                level=level,
                effect=text,
                width_pixels=size[1],
                height_pixels=size[0],
                factor=factor,
                backend=backend,
                precision=precision,
            )
            found[case] = None
    return tuple(found)


def size_of(clip: str) -> tuple[int, int]:
    """Return the (height, width) of a video.

    Raises:
        ConfigError: there are no frames that could be counted beforehand.
        SourceOpenError: it cannot be opened.
    """
    source = open_source(clip)
    source.close()
    if source.live or source.format.frame_count is None:
        raise ConfigError(f"--clip takes a video file of known length, found {clip}")
    return source.format.size


def _check_names(config: BenchConfig) -> None:
    for what, names, known in (
        ("level", config.levels, tuple(LEVELS)),
        ("backend", config.backends, ("auto", *(backend.name for backend in backends()))),
        ("precision", config.precisions, tuple(Precision)),
    ):
        for name in names:
            if name not in known:
                raise ConfigError(f"there is no {what} {name!r}; there are: {', '.join(known)}")
    try:
        check_device(config.device)
    except ValueError as error:
        raise ConfigError(f"device {error}; found {config.device!r}") from error


def _engine_of(text: str) -> tuple[EffectRequest, Engine]:
    request = parse_effect(text)
    if request.route is not None or request.auto:
        raise ConfigError(
            f"effect {text!r}: the pictures decide what runs, so a figure would tell of them; name the effect"
        )
    engine = load_engine(request.engine)
    if engine.spec.no_effect is not None:
        raise ConfigError(f"engine {engine.name!r} is no effect: it {engine.spec.no_effect}")
    return request, engine


def _factors(config: BenchConfig, request: EffectRequest, engine: Engine) -> Iterator[float]:
    low, high = engine.factor_range
    if request.factor is not None:
        yield request.factor
    elif low == high:
        yield low
    else:
        yield from config.factors
