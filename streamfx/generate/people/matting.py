"""Matting: the engine that tells people from the background, at work on frames."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from streamfx.engine.library import load_engine
from streamfx.engine.spec import OutputKind
from streamfx.errors import ConfigError
from streamfx.generate.effect import Effect, EffectSettings, compile_engine
from streamfx.generate.ops.matte.definition import OPAQUE, Mask
from streamfx.generate.ops.matte.operation import matte_of
from streamfx.generate.where import Where
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.stage import Stage

PERSON = "person"
"""Name of the engine that tells people from the background."""

LONG_SIDE_PIXELS = 320
"""Long side of the reduced picture in which people are looked for. The network was made for 256; with 320 its
borders are nearer to the true ones, and it finds more of who is far away."""


@dataclass(slots=True, eq=False)
class Matte:
    """How much of each pixel of a frame belongs to a person, in main memory or on a device.

    Attributes:
        on_device: frame that holds it on a device; None: it is in main memory.
    """

    _share: Mask | None = None
    on_device: Frame | None = None

    @property
    def share(self) -> Mask:
        """The matte, (H, W) in 0..255, fetched where it is on a device."""
        if self._share is None:
            assert self.on_device is not None
            self._share = self.on_device.fetched().planes[0].astype(np.uint8)
        return self._share

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        if self.on_device is not None:
            return self.on_device.size
        return self.share.shape[0], self.share.shape[1]

    def of(self, where: Where) -> Mask:
        """Return how much of each pixel belongs to a part of the picture, (H, W) in 0..255."""
        if where is Where.ALL:
            return np.full_like(self.share, OPAQUE)
        return self.share if where is Where.PERSON else OPAQUE - self.share

    def enlarged(self, size: tuple[int, int]) -> Matte:
        """Return the matte for the frame after it was made a whole number of times larger; the very same
        where it was not."""
        if self.size == size:
            return self
        down, across = size[0] // self.share.shape[0], size[1] // self.share.shape[1]
        return Matte(np.ascontiguousarray(self.share.repeat(down, axis=0).repeat(across, axis=1)))


@dataclass(frozen=True, slots=True, eq=False)
class Matting:
    """Finds people in frames. May be called from several threads at once.

    Attributes:
        network: the engine, compiled; what it gives is no picture, so only its heads are asked for.
    """

    network: Effect

    def matte(self, frame: Frame) -> Matte:
        """Return the matte of a frame.

        Raises:
            FrameError: the frame's colours cannot be converted to RGB, or the network gave values that are
                not finite.
        """
        network = self.network
        if network.on_device is not None:
            factor = self.factor(frame.format)
            return Matte(on_device=network.on_device(frame, factor, 1.0, measure=network.measure))
        frame = frame.fetched()
        given, heads = network.heads_of(frame, self.factor(frame.format))
        started = time.perf_counter()
        matte = Matte(matte_of(frame.planes[0], heads, given.values[0], network.threads))
        if network.measure is not None:
            network.measure(Stage.FUSE, time.perf_counter() - started)
        return matte

    def factor(self, video: VideoFormat) -> float:
        """Return how many times smaller than frames the picture is in which people are looked for."""
        low, high = self.network.engine.factor_range
        return min(max(max(video.size) / LONG_SIDE_PIXELS, low), high)

    def warm_up(self, video: VideoFormat) -> None:
        """Do now what the first frame of such a video would do besides computing; nothing is measured."""
        if self.network.on_device is not None:
            colour = video.colour.assumed(video.size[0])
            self.network.on_device.prepare(replace(video, colour=colour), self.factor(video))
        else:
            replace(self, network=replace(self.network, measure=None)).matte(video.grey())

    def close(self) -> None:
        """Give the compiled engine back. May be called twice."""
        self.network.close()


def open_matting(settings: EffectSettings) -> Matting:
    """Return the engine that tells people from the background, compiled and checked.

    Raises:
        ConfigError: the engine of that name does something else.
        EngineNotFoundError, EngineCorruptError: there is none, or it is broken.
        EngineMismatchError, BackendUnavailableError: see `compile_engine`.
    """
    engine = load_engine(PERSON)
    if engine.spec.kind is not OutputKind.MATTE:
        raise ConfigError(
            f"where= needs the engine {PERSON!r} that tells people from the background; the one in "
            f"{engine.folder} gives {', '.join(engine.spec.heads)}. Rename that one"
        )
    compiled, device = compile_engine(engine, settings), settings.processing_device
    on_device = None if device is None else device.step(engine, compiled)
    return Matting(Effect(engine, compiled, settings.threads, settings.measure, on_device=on_device))
