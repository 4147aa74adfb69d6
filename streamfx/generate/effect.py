"""Effect: an engine at work on frames: reduce, translate, fuse."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

from streamfx.backends.backend import Build, CompiledEngine, CompileOptions, Precision
from streamfx.backends.registry import choose
from streamfx.backends.store import CompiledStore
from streamfx.engine.folder import Engine
from streamfx.engine.golden import Array
from streamfx.engine.library import load_engine
from streamfx.engine.spec import ControlRange
from streamfx.errors import ConfigError, FrameError
from streamfx.generate.device_effects import DeviceStep, Measure, ProcessingDevice
from streamfx.generate.network_input import NetworkInput, Noise, input_size, network_input, with_noise
from streamfx.generate.network_output import NetworkOutput
from streamfx.generate.ops.steady.definition import Past
from streamfx.generate.ops.steady.operation import steady
from streamfx.generate.request import (
    Controls,
    EffectRequest,
    check_controls,
    controls_for,
    parse_effect,
)
from streamfx.generate.tiles import in_tiles, tile_shape
from streamfx.hardware.cuda import Device
from streamfx.media.array_memory import arrays
from streamfx.media.colour import both_ways
from streamfx.media.frame import Colour, Frame, Planes, VideoFormat
from streamfx.media.frame_memory import FrameMemory
from streamfx.media.stage import Stage

log = logging.getLogger(__name__)


class Backdrop(Protocol):
    """A picture, or a video, that stands behind what frames show."""

    def __call__(self, video: VideoFormat, time_seconds: Fraction, /) -> Planes:
        """Return the planes of what fills frames of a format at a time of the run."""

    def close(self) -> None:
        """Give it back. May be called twice."""


@dataclass(frozen=True, slots=True)
class EffectSettings:
    """How effects are to run, whatever they are.

    Attributes:
        backend: name of a backend, or ``auto``.
        precision: number format of the network.
        factor: factor for effects whose request names none; None for the usual one.
        threads: processor threads for one frame; None for all cores this process may use.
        workers: frames that may be processed at the same time.
        store: store of compiled engines; None for the user's.
        measure: callback that is called with "reduce", "translate" or "fuse" and seconds, for each frame, in
            its thread; where frames stay on a device, with "on device" and the seconds that took, for all
            three.
        device: place where networks run.
        build: whether to wait for what takes long to build.
        processing_device: device on which frames stay between effects; None for main memory.
        backdrops: function that reads the picture of a file that a backdrop shows; None: there are none.
    """

    backend: str = "auto"
    precision: Precision = Precision.AUTO
    factor: float | None = None
    threads: int | None = None
    workers: int = 1
    store: CompiledStore | None = None
    measure: Measure | None = None
    device: Device = Device.AUTO
    build: Build = Build.BACKGROUND
    processing_device: ProcessingDevice | None = None
    backdrops: Callable[[str], Backdrop] | None = None


@dataclass(slots=True, eq=False)
class Effect:
    """One engine, compiled, with its controls. `process` may be called from several threads at once.

    Attributes:
        engine: engine that it runs.
        compiled: the engine made ready by a backend; closed with the effect.
        threads: threads for reduce and fuse; None for all cores this process may use.
        measure: receiver of (name, seconds) of reduce, translate and fuse.
        doublings: number of times that the frame becomes twice as large each way.
        on_device: implementation for frames that stay on a device; None: they are processed in main memory.
    """

    engine: Engine
    compiled: CompiledEngine
    threads: int | None = None
    measure: Measure | None = None
    doublings: int = 0
    _controls: Controls = field(default_factory=Controls)
    on_device: DeviceStep | None = None

    @property
    def name(self) -> str:
        """Name of the engine."""
        return self.engine.name

    @property
    def parts(self) -> tuple[Effect, ...]:
        """The effect itself; see `streamfx.generate.routed.Routed` for one that has several."""
        return (self,)

    @property
    def ranges(self) -> Mapping[str, ControlRange]:
        """What the controls may be set to, by name."""
        return self.engine.spec.controls

    @property
    def scales(self) -> bool:
        """Whether there is a choice of factors."""
        return len(self.engine.spec.factors) > 1

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
        """Return the frame with the effect applied; at strength 0 the very same one, unless it is enlarged.

        Raises:
            FrameError: the frame's colours cannot be converted to RGB, or the network gave values that are
                not finite; names the engine.
        """
        controls, spec = self._controls, self.engine.spec
        if controls.strength == 0 and not self.doublings:
            return frame
        noise = Noise(controls.noise_amplitude, controls.seed, frame.shot, controls.detail_amplitude)
        if self.on_device is not None:
            return self.on_device(frame, controls.factor, controls.strength, noise, self.measure)
        frame = frame.fetched()
        given, heads = self.heads_of(frame, controls.factor, noise)
        clock, colour = _Clock(self.measure), self._colours(frame)[0]
        try:
            output = NetworkOutput(spec, colour, controls.strength, self.threads)
            if self.doublings:
                picture = output.larger(given.values[:3], heads)
                for _ in range(spec.doublings, self.doublings, spec.doublings):
                    seen = with_noise(picture, spec, noise)
                    heads = self._translated(frame, seen, controls.factor)
                    picture = output.larger(picture, heads)
                planes = output.enlarged(self.output(frame.format), given, picture)
            else:
                planes = output.full_size(frame, given, heads)
        except FrameError as error:
            running = f"{self.compiled.backend}, {self.compiled.precision}"
            raise FrameError(
                f"engine {self.engine.name!r} ({running}), frame {frame.index}: {error}"
            ) from error
        clock.done(Stage.FUSE)
        return frame.with_planes(planes)

    def heads_of(self, frame: Frame, factor: float, noise: Noise | None = None) -> tuple[NetworkInput, Array]:
        """Return what the network sees of a frame in main memory, and the heads it gives: averaged with those
        of the frames before where the engine has a memory.

        Args:
            frame: frame with its pixels in main memory.
            factor: reduction of the picture that the network sees, 1 or more.
            noise: noise for engines that take some; None: without.

        Raises:
            FrameError: the frame's colours cannot be converted to RGB.
        """
        spec, clock = self.engine.spec, _Clock(self.measure)
        given = network_input(frame, self._colours(frame)[0], spec, factor, noise or Noise(), self.threads)
        clock.done(Stage.REDUCE)
        heads = self._translated(frame, given.values, factor)
        if spec.memory_tolerance and frame.memory is not None:
            heads = self._steadied(frame.memory, given, heads, frame.depth)
        clock.done(Stage.TRANSLATE)
        return given, heads

    def _translated(self, frame: Frame, values: Array, factor: float) -> Array:
        """Return the heads for what the network sees of a frame."""
        _, to_rgb, from_rgb = self._colours(frame)
        spec = self.engine.spec
        return in_tiles(lambda part: self.compiled(part, to_rgb, from_rgb, factor), values, spec)

    @staticmethod
    def _colours(frame: Frame) -> tuple[Colour, Array, Array]:
        return _colour(frame.colour, frame.depth, frame.size[0])

    def _steadied(self, memory: FrameMemory, given: NetworkInput, heads: Array, depth: int) -> Array:
        """Return the heads of a frame averaged with those of the frames before, and keep them for those
        after it."""
        reduced = given.values[:3]
        kept_reduced = arrays.like(reduced)  # by itself: what else the network saw need not stay
        kept_reduced[:] = reduced
        memory.keep(self, Past(kept_reduced, heads))
        past = []
        for kept in memory.recall(self):
            if not isinstance(kept, Past) or kept.heads.shape != heads.shape:  # the factor was another
                break
            past.append(kept)
        tolerance = self.engine.spec.memory_tolerance * (1 << depth)
        return steady(heads, reduced, past, tolerance, self.threads)

    def output(self, video: VideoFormat) -> VideoFormat:
        """Return the format of the frames that come out for those that go in."""
        return enlarged_format(video, self.doublings)

    def warm_up(self, video: VideoFormat, factor: float | None = None) -> None:
        """Do now what the first frame of such a video would do besides computing; nothing is measured.

        Safe while frames are processed.

        Args:
            video: format of the frames.
            factor: factor to prepare for; None: the one in force.
        """
        controls = self._controls if factor is None else replace(self._controls, factor=factor)
        check_controls(controls, self.engine)
        colour, to_rgb, from_rgb = _colour(video.colour, video.depth, video.size[0])
        if self.on_device is not None:
            self.on_device.prepare(replace(video, colour=colour), controls.factor)
            return
        size = input_size(video.size, controls.factor, self.engine.spec)
        shape = tile_shape(self.engine.input_shape(size), self.engine.spec)
        self.compiled.warm_up(shape, to_rgb, from_rgb, controls.factor)
        replace(self, measure=None, _controls=controls).process(video.grey())

    def close(self) -> None:
        """Give the compiled engine back. May be called twice."""
        if self.on_device is not None:
            self.on_device.close()
        self.compiled.close()


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
    if engine.spec.no_effect is not None:
        raise ConfigError(f"engine {engine.name!r} is no effect: it {engine.spec.no_effect}")
    controls = controls_for(request, engine, settings.factor)
    compiled = compile_engine(engine, settings)
    log.info("effect %s runs with %s in %s", engine.name, compiled.backend, compiled.precision)
    on_device = (
        settings.processing_device.step(engine, compiled) if settings.processing_device is not None else None
    )
    doublings = doublings_of(request, engine)
    return Effect(engine, compiled, settings.threads, settings.measure, doublings, controls, on_device)


def compile_engine(engine: Engine, settings: EffectSettings) -> CompiledEngine:
    """Return an engine made ready as the settings say, checked against its golden heads.

    Raises:
        EngineMismatchError: compiled, it does not give its golden heads.
        BackendUnavailableError: the backend asked for cannot run here.
    """
    options = CompileOptions(
        settings.precision,
        settings.threads,
        settings.workers,
        settings.store or CompiledStore(),
        settings.device,
        settings.build,
    )
    return choose(settings.backend, device=settings.device).compile(engine, options)


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
    return (colour, *both_ways(colour, depth))


class _Clock:
    """Says how long each part of a frame took."""

    def __init__(self, measure: Measure | None) -> None:
        self._measure, self._since_ns = measure, time.perf_counter_ns()

    def done(self, part: str) -> None:
        if self._measure is not None:
            now_ns = time.perf_counter_ns()
            self._measure(part, (now_ns - self._since_ns) / 1e9)
            self._since_ns = now_ns


def doublings_of(request: EffectRequest, engine: Engine) -> int:
    """Return how many times an effect makes frames twice as large each way."""
    return (request.scale or engine.spec.scale).bit_length() - 1 if engine.spec.enlarges else 0


def enlarged_format(video: VideoFormat, doublings: int) -> VideoFormat:
    """Return the format of frames that were made twice as large so many times."""
    height, width = (side << doublings for side in video.size)
    return replace(video, size=(height, width))
