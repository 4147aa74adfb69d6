"""Placed heads: the steps around a network whose heads take the place of the frame's planes or are added.

The steps of `streamfx.generate.network_input` and `streamfx.generate.network_output` on surfaces. All is put
on torch's current stream, in memory of its own, so that it can be recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streamfx.engine.spec import OutputKind
from streamfx.generate.network_input import Noise, input_size, standard_noise, surface_planes
from streamfx.generate.ops.place.operation import place_on
from streamfx.generate.ops.reduce.operation import reduce_each_on
from streamfx.generate.tiles import bands, tile_shape
from streamfx.media.colour import chroma_shift

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.backends.backend import DeviceEngine
    from streamfx.engine.folder import Engine
    from streamfx.generate.gpu.steps import GraphKey
    from streamfx.generate.ops.surface_checks import SmallPlanes
    from streamfx.media.surface import Surface


class PlacedHeads:
    """Does one kind of picture with one engine; see `streamfx.generate.gpu.steps.HeadSteps`.

    Args:
        engine: engine whose heads are placed or added; they are as large as the frame.
        compiled: engine compiled for a device.
        kind: kind of picture.
        device: device on which it runs.
    """

    def __init__(self, engine: Engine, compiled: DeviceEngine, kind: GraphKey, device: torch.device) -> None:
        import torch

        self._spec, self._colour = engine.spec, kind.colour
        self._own_grids = engine.spec.layout == "i420"
        chroma = chroma_shift(kind.form.subsampling, kind.colour.chroma_location)
        self._shift = (0.0, 0.0) if self._own_grids else chroma
        self._size = input_size(kind.form.size, kind.factor, engine.spec)
        self._padded = tuple(-(-side // engine.stride) * engine.stride for side in self._size)
        shape = engine.input_shape(self._size)
        self._seen, self._heads = _buffers(compiled, shape, device)
        band = tile_shape(shape, engine.spec)
        whole = (self._seen, self._heads)
        self._band_seen, self._band_heads = whole if band == shape else _buffers(compiled, band, device)
        self._noise_set = Noise()
        self._normal = torch.zeros((1, engine.spec.noise_channels, *shape[1:]), device=device)
        self._amplitudes = torch.zeros((engine.spec.noise_channels, 1, 1), device=device)
        self._noise_there = not engine.spec.noise_channels

    def take(self, noise: Noise) -> None:
        """Let the pictures from now on have this noise: brought here once for a shot."""
        if not self._spec.noise_channels:
            return
        import torch

        former = self._noise_set
        amplitudes = (noise.amplitude, noise.detail_amplitude)
        if amplitudes != (former.amplitude, former.detail_amplitude):
            self._amplitudes.copy_(torch.from_numpy(noise.amplitudes(self._spec)))
        if not self._noise_there or (noise.seed, noise.shot) != (former.seed, former.shot):
            drawn = torch.from_numpy(standard_noise(noise.seed, noise.shot, *self._normal.shape[1:]))
            staged = torch.empty(drawn.shape, pin_memory=self._normal.device.type == "cuda")
            self._normal[0].copy_(staged.copy_(drawn), non_blocking=True)
        self._noise_set, self._noise_there = noise, True

    def know(self, frames: int) -> None:
        """Do nothing: such engines have no memory."""

    def reduce(self, source: Surface) -> None:
        """Write what the network sees of a picture, its edge repeated up to the stride."""
        import torch

        small = self._planes(self._seen, self._size)
        reduce_each_on(source, small, self._colour, own_grids=self._own_grids)
        for whole, plane in zip(self._planes(self._seen, self._padded), small, strict=True):
            _repeat_edge(whole, plane.shape[1], plane.shape[2])
        if self._spec.noise_channels:
            torch.mul(self._normal, self._amplitudes, out=self._seen[:, 3:])

    def translate(self, network: Callable[[Tensor, Tensor], None]) -> None:
        """Call a network that writes the heads of what it sees to its second argument: by bands, if large."""
        if self._band_seen is self._seen:
            network(self._seen, self._heads)
            return
        rows, height = self._band_seen.shape[2], self._seen.shape[2]
        ratio = self._heads.shape[2] // height
        for top, begin, end in bands(height, rows, self._spec):
            self._band_seen.copy_(self._seen[:, :, top : top + rows])
            network(self._band_seen, self._band_heads)
            part = self._band_heads[:, :, (begin - top) * ratio : (end - top) * ratio]
            self._heads[:, :, begin * ratio : end * ratio].copy_(part)

    def full_size(self, source: Surface, target: Surface, strength: Tensor, not_finite: Tensor) -> None:
        """Write the picture with the heads in the place of its planes, or added to them."""
        height, width = (side * self._spec.scale for side in self._size)
        place_on(
            source,
            target,
            self._planes(self._heads, (height, width)),
            colour=self._colour,
            shift=self._shift,
            strength=strength,
            not_finite=not_finite,
            added=self._spec.kind is OutputKind.ADDED,
        )

    def _planes(self, values: Tensor, size: tuple[int, ...]) -> SmallPlanes:
        """Return Y, U, V, each (1, h, w), of what is seen or of heads, cut to a picture of a size."""
        if self._own_grids:
            surface: Any = values[0]  # arrays and tensors are cut alike
            planes: Any = surface_planes(surface, (size[0], size[1]))
            y, u, v = (plane[None] for plane in planes)
        else:
            y, u, v = (values[:, index, : size[0], : size[1]] for index in range(3))
        return y, u, v


def _buffers(compiled: DeviceEngine, shape: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return memory for what a network sees, (N, h, w), and for its heads."""
    import torch

    seen = torch.zeros((1, *shape), dtype=compiled.dtype, device=device)
    return seen, torch.zeros(compiled.heads_shape(seen.shape), dtype=compiled.dtype, device=device)


def _repeat_edge(plane: Tensor, height: int, width: int) -> None:
    """Repeat the last row and column of the picture of a size in a plane, (1, H, W), up to its end."""
    if plane.shape[2] > width:
        plane[:, :height, width:] = plane[:, :height, width - 1 : width]
    if plane.shape[1] > height:
        plane[:, height:] = plane[:, height - 1 : height]
