"""Network input: what a network sees of a frame: its planes, reduced, on the grid that it wants, and noise.

Sides must be multiples of the network's stride. Where the picture is reduced anyway it is reduced to such a
size. At factor 1, where that would blur it, it is left as it is, and its edge is repeated up to the next
multiple; what the network gives for that border is thrown away. A picture for the fused step, which adds the
source's own detail, is always reduced. Networks whose lines must follow the source's see its luma on a finer
grid as well (`streamfx.generate.ops.reduce.fine_luma`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from streamfx.engine.golden import Array
from streamfx.engine.spec import EngineSpec
from streamfx.generate.ops.reduce.definition import small_size
from streamfx.generate.ops.reduce.operation import fine_luma, reduce_own_grids, reduce_planes
from streamfx.media.array_memory import arrays
from streamfx.media.frame import Colour, Frame, Subsampling


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Noise that a network takes, the same picture for every frame of a shot, so that nothing flickers.

    Attributes:
        amplitude: 0..1, its standard deviation.
        seed: number that decides the noise pictures.
        shot: number of the shot; each has a picture of its own.
        detail_amplitude: 0..1, standard deviation of detail noise, where an engine has some.
    """

    amplitude: float = 0.0
    seed: int = 0
    shot: int = 0
    detail_amplitude: float = 0.0

    def amplitudes(self, spec: EngineSpec) -> Array:
        """Return the amplitude of each channel of noise of an engine, (C, 1, 1)."""
        of_all = np.full((spec.noise_channels, 1, 1), self.amplitude, np.float32)
        of_all[spec.noise_channels - spec.detail_noise_channels :] = self.detail_amplitude
        return of_all


@dataclass(frozen=True, slots=True, eq=False)
class NetworkInput:
    """What a network sees.

    Attributes:
        values: (N, h, w) float32: planes in code values, then fine luma, then noise; or an I420 surface
            (1, 3h/2, w).
        size: (height, width) of the picture in it, from the top left corner; the rest repeats its edge.
    """

    values: Array
    size: tuple[int, int]


def input_size(size: tuple[int, int], factor: float, spec: EngineSpec) -> tuple[int, int]:
    """Return the (height, width) of the picture that an engine sees of a frame of ``size``, border apart."""
    if factor == 1 and not spec.spans_frame:
        return size
    return small_size(size, factor, spec.stride)


def network_input(
    frame: Frame, colour: Colour, spec: EngineSpec, factor: float, noise: Noise, threads: int | None = None
) -> NetworkInput:
    """Return what an engine sees of a frame.

    Args:
        frame: the source.
        colour: colour of the frame, nothing in it unknown.
        spec: spec of the engine.
        factor: reduction of the frame, 1 or more.
        noise: noise for engines that take some.
        threads: threads for the reduction; None for all cores this process may use.
    """
    size = input_size(frame.size, factor, spec)
    if spec.layout == "i420":
        return NetworkInput(_surface(frame, size, spec.stride, threads), size)
    if spec.fine_luma:
        values = arrays.empty((spec.input_channels, *size))
        reduce_planes(frame.planes, frame.subsampling, colour, size, values[:3], threads)
        fine_luma(frame.planes[0], values[0], values[3:], threads)
        return NetworkInput(values, size)
    if spec.noise_channels == 0 and all(side % spec.stride == 0 for side in size):
        return NetworkInput(
            reduce_planes(frame.planes, frame.subsampling, colour, size, threads=threads), size
        )
    reduced = reduce_planes(frame.planes, frame.subsampling, colour, size, threads=threads)
    return NetworkInput(with_noise(bordered(reduced, spec.stride), spec, noise), size)


def bordered(planes: Array, stride: int) -> Array:
    """Return (C, h, w) planes with the edge repeated up to multiples of ``stride`` below and to the right."""
    borders = [(0, -side % stride) for side in planes.shape[1:]]
    return planes if not any(map(any, borders)) else np.pad(planes, [(0, 0), *borders], mode="edge")


def with_noise(planes: Array, spec: EngineSpec, noise: Noise) -> Array:
    """Return (3, h, w) planes followed by the channels of noise that an engine takes."""
    channels = spec.noise_channels
    if not channels:
        return planes
    height, width = planes.shape[1:]
    given = arrays.empty((len(planes) + channels, height, width))
    given[: len(planes)] = planes
    normal = standard_noise(noise.seed, noise.shot, channels, height, width)
    np.multiply(normal, noise.amplitudes(spec), out=given[len(planes) :])
    return given


def surface_planes(surface: Array, size: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Return Y, U, V of an I420 surface (1, 3h/2, w), as views, cut to a picture of ``size``."""
    height, width = surface.shape[1] * 2 // 3, surface.shape[2]
    luma = surface[0, :height]
    u, v = surface[0, height:].reshape(2, height // 2, width // 2)
    rows, columns = Subsampling.YUV420.chroma_size(size)
    return luma[: size[0], : size[1]], u[:rows, :columns], v[:rows, :columns]


def _surface(frame: Frame, size: tuple[int, int], stride: int, threads: int | None) -> Array:
    height, width = (-(-side // stride) * stride for side in size)
    surface = arrays.empty((1, height * 3 // 2, width))
    targets = surface_planes(surface, (height, width))
    for target, plane in zip(targets, reduce_own_grids(frame.planes, size, threads), strict=True):
        missing = [(0, whole - side) for whole, side in zip(target.shape, plane.shape, strict=True)]
        target[:] = np.pad(plane, missing, mode="edge") if any(map(any, missing)) else plane
    return surface


@lru_cache(maxsize=4)
def standard_noise(seed: int, shot: int, channels: int, height: int, width: int) -> Array:
    """Return (channels, height, width) of standard normal noise, float32; cached, do not write to it."""
    return np.random.default_rng([seed, shot]).standard_normal((channels, height, width), np.float32)
