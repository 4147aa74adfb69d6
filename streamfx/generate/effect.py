"""Effect: an engine at work on frames, reduce ▸ translate ▸ fuse; how a user names one; and chains."""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from streamfx.backends.backend import CompiledEngine, CompileOptions, Precision, choose
from streamfx.backends.golden import Array
from streamfx.backends.store import CompiledStore
from streamfx.errors import ConfigError, FrameError
from streamfx.frame import Colour, Frame, Plane, Planes, VideoFormat
from streamfx.generate.colour import code_to_rgb, rgb_to_code
from streamfx.generate.engine import Engine
from streamfx.generate.fuse import fuse
from streamfx.generate.library import load_engine
from streamfx.generate.reduce import reduce_planes, small_size

log = logging.getLogger(__name__)

DEFAULT_FACTOR = 4.0
_KEYS = ("strength", "factor")

Measure: TypeAlias = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Controls:
    """What can be changed while an effect runs, between two frames.

    Attributes:
        strength: 0..1, how much of the effect is applied; 0 gives the source bit for bit.
        factor: how many times smaller than the frame the picture is that the network sees, 1 or more.
    """

    strength: float = 1.0
    factor: float = DEFAULT_FACTOR


@dataclass(frozen=True, slots=True)
class EffectRequest:
    """An effect as a user asks for it; None where nothing was said.

    Attributes:
        engine: name of an engine, or path of its folder.
        strength: see `Controls`.
        factor: see `Controls`.
    """

    engine: str
    strength: float | None = None
    factor: float | None = None


@dataclass(frozen=True, slots=True)
class EffectSettings:
    """How effects are to run, whatever they are.

    Attributes:
        backend: name of a backend, or ``auto``.
        precision: what the network computes in.
        factor: for effects whose request names none; None for the usual one.
        threads: processor threads for one frame; None for all cores this process may use.
        workers: frames that may be processed at the same time.
        store: of compiled engines; None for the user's.
        measure: called with "reduce", "translate" or "fuse" and seconds, for each frame, in its thread.
    """

    backend: str = "auto"
    precision: Precision = Precision.AUTO
    factor: float | None = None
    threads: int | None = None
    workers: int = 1
    store: CompiledStore | None = None
    measure: Measure | None = None


@dataclass(slots=True, eq=False)
class Effect:
    """One engine, compiled, with its controls. `process` may be called from several threads at once.

    Attributes:
        engine: what it runs.
        compiled: the engine made ready by a backend; closed with the effect.
        threads: for reduce and fuse; None for all cores this process may use.
        measure: see `EffectSettings`.
    """

    engine: Engine
    compiled: CompiledEngine
    threads: int | None = None
    measure: Measure | None = None
    _controls: Controls = field(default_factory=Controls)

    @property
    def controls(self) -> Controls:
        """The controls in force. Setting them takes effect with the next frame.

        Raises:
            ConfigError: when set to something outside the engine's ranges; the old ones stay.
        """
        return self._controls

    @controls.setter
    def controls(self, controls: Controls) -> None:
        check_controls(controls, self.engine)
        self._controls = controls  # one reference, so a frame sees the old ones or the new ones, never both

    def process(self, frame: Frame) -> Frame:
        """Return the frame with the effect applied; the very same frame at strength 0.

        Raises:
            FrameError: the frame's colours cannot be converted to RGB, or the network gave values that are
                not finite; names the engine.
        """
        controls = self._controls
        if controls.strength == 0:
            return frame
        started_ns = time.perf_counter_ns()
        colour, to_rgb, from_rgb = _colour(frame.colour, frame.depth, frame.size[0])
        small = small_size(frame.size, controls.factor, self.engine.stride)
        reduced = reduce_planes(frame.planes, frame.subsampling, colour, small, threads=self.threads)
        reduced_ns = time.perf_counter_ns()
        heads = self.compiled(reduced, to_rgb, from_rgb, controls.factor)
        translated_ns = time.perf_counter_ns()
        try:
            planes = fuse(
                frame.planes,
                heads,
                reduced,
                subsampling=frame.subsampling,
                depth=frame.depth,
                code_range=colour.code_range,
                chroma_location=colour.chroma_location,
                strength=controls.strength,
                max_displacement_pixels=self.engine.spec.max_displacement_pixels,
                threads=self.threads,
            )
        except FrameError as error:
            running = f"{self.compiled.backend}, {self.compiled.precision}"
            raise FrameError(
                f"engine {self.engine.name!r} ({running}), frame {frame.index}: {error}"
            ) from error
        if self.measure is not None:
            self.measure("reduce", (reduced_ns - started_ns) / 1e9)
            self.measure("translate", (translated_ns - reduced_ns) / 1e9)
            self.measure("fuse", (time.perf_counter_ns() - translated_ns) / 1e9)
        return frame.with_planes(planes)

    def warm_up(self, video: VideoFormat, factor: float | None = None) -> None:
        """Do now what the first frame of such a video would do besides computing; nothing is measured.

        Safe while frames are processed.

        Args:
            video: format of the frames.
            factor: to prepare for; None: the one in force.
        """
        controls = self._controls if factor is None else replace(self._controls, factor=factor)
        check_controls(controls, self.engine)
        factor = controls.factor
        _, to_rgb, from_rgb = _colour(video.colour, video.depth, video.size[0])
        small = small_size(video.size, factor, self.engine.stride)
        self.compiled.warm_up(small, to_rgb, from_rgb, factor)
        replace(self, measure=None, _controls=controls).process(_grey(video))

    def close(self) -> None:
        """Give the compiled engine back. May be called twice."""
        self.compiled.close()


@dataclass(frozen=True, slots=True)
class Chain:
    """Effects applied one after the other. `process` may be called from several threads at once."""

    effects: tuple[Effect, ...]

    def process(self, frame: Frame) -> Frame:
        """Return the frame with every effect applied, in order."""
        for effect in self.effects:
            frame = effect.process(frame)
        return frame

    def warm_up(self, video: VideoFormat) -> None:
        """Do now what the first frame of such a video would do besides computing."""
        for effect in self.effects:
            effect.warm_up(video)

    def close(self) -> None:
        """Give everything back. May be called twice."""
        for effect in self.effects:
            effect.close()


def parse_effect(text: str) -> EffectRequest:
    """Return the effect that ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE`` asks for; NAME may be a path.

    Raises:
        ConfigError: a key is unknown, given twice or without a number, or a number is out of range.

    Example:
        >>> parse_effect("wave:strength=0.5,factor=2")
        EffectRequest(engine='wave', strength=0.5, factor=2.0)
    """
    name, colon, settings = text.partition(":")
    if not name.strip():
        raise ConfigError(f"effect {text!r} has no name; write NAME or NAME:KEY=VALUE,KEY=VALUE")
    values: dict[str, float] = {}
    for setting in settings.split(",") if colon else ():
        key, equals, value = (part.strip() for part in setting.partition("="))
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigError(f"effect {text!r}: unknown key {key!r}; {hint}known: {', '.join(_KEYS)}")
        if key in values:
            raise ConfigError(f"effect {text!r}: {key} is given twice")
        try:
            values[key] = float(value)
        except ValueError as error:
            found = f"found {value!r}" if equals else "nothing was given"
            raise ConfigError(
                f"effect {text!r}: {key} needs a number, {key}=0.5 for instance; {found}"
            ) from error
    _check_ranges(values, {"strength": (0.0, 1.0), "factor": (1.0, 64.0)}, f"effect {text!r}")
    return EffectRequest(name.strip(), **values)


def open_effect(request: EffectRequest | str, settings: EffectSettings | None = None) -> Effect:
    """Return the effect asked for, its engine found, verified, compiled and checked.

    Raises:
        ConfigError: the request cannot be read, or is outside the engine's ranges.
        EngineNotFoundError, EngineCorruptError: there is no such engine, or it is broken.
        EngineMismatchError: compiled, it does not give its golden heads.
        BackendUnavailableError: the backend asked for cannot run here.
    """
    settings = settings or EffectSettings()
    request = parse_effect(request) if isinstance(request, str) else request
    engine = load_engine(request.engine)
    low, high = engine.factor_range
    usual = min(max(DEFAULT_FACTOR, low), high)
    factor = next(value for value in (request.factor, settings.factor, usual) if value is not None)
    strength = engine.spec.controls["strength"].default if request.strength is None else request.strength
    controls = Controls(strength, factor)
    check_controls(controls, engine)
    options = CompileOptions(
        settings.precision, settings.threads, settings.workers, settings.store or CompiledStore()
    )
    compiled = choose(settings.backend).compile(engine, options)
    log.info("effect %s runs with %s in %s", engine.name, compiled.backend, compiled.precision)
    return Effect(engine, compiled, settings.threads, settings.measure, controls)


def open_chain(requests: Sequence[EffectRequest | str], settings: EffectSettings | None = None) -> Chain:
    """Return the effects asked for, to be applied in order; see `open_effect` for what can go wrong."""
    effects: list[Effect] = []
    with ExitStack() as on_failure:
        for request in requests:
            effects.append(open_effect(request, settings))
            on_failure.callback(effects[-1].close)
        on_failure.pop_all()
    return Chain(tuple(effects))


def check_controls(controls: Controls, engine: Engine) -> None:
    """Check controls against what an engine can do.

    Raises:
        ConfigError: one of them is outside its range; names the engine and the range.
    """
    strength = engine.spec.controls["strength"]
    ranges = {"strength": (strength.low, strength.high), "factor": engine.factor_range}
    values = {"strength": controls.strength, "factor": controls.factor}
    _check_ranges(values, ranges, f"engine {engine.name!r}")


def _check_ranges(values: Mapping[str, float], ranges: Mapping[str, tuple[float, float]], what: str) -> None:
    for key, value in values.items():
        low, high = ranges[key]
        if not low <= value <= high:  # not-a-number fails here, too
            raise ConfigError(f"{what}: {key} must be {low:g} to {high:g}, found {value:g}")


@lru_cache(maxsize=64)
def _colour(tagged: Colour, depth: int, height: int) -> tuple[Colour, Array, Array]:
    """Return the colours assumed, and their matrices to RGB and back; logs what was assumed, once."""
    colour = tagged.assumed(height)
    if colour != tagged:
        log.info(
            "colours are not fully tagged; taken as %s, %s range, chroma %s",
            colour.matrix.name,
            colour.code_range,
            colour.chroma_location,
        )
    return (
        colour,
        code_to_rgb(colour, depth).astype(np.float32),
        rgb_to_code(colour, depth).astype(np.float32),
    )


def _grey(video: VideoFormat) -> Frame:
    middle = 1 << (video.depth - 1)

    def plane(size: tuple[int, int]) -> Plane:
        if video.depth == 8:
            return np.full(size, middle, np.uint8)
        return np.full(size, middle, np.uint16)

    chroma_size = video.subsampling.chroma_size(video.size)
    planes: Planes = (plane(video.size), plane(chroma_size), plane(chroma_size))
    return video.frame(planes, index=0, pts=0)
