"""Matte runner: what the engine gives for pictures and for frames that follow one another, at full size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import torch

from streamfx.backends.backend import CompileOptions, Precision
from streamfx.backends.registry import choose
from streamfx.engine.folder import read_engine
from streamfx.engine.golden import Array
from streamfx.generate.network_input import Noise, input_size, network_input
from streamfx.generate.ops.steady.definition import Past
from streamfx.generate.ops.steady.operation import steady
from streamfx.generate.people.matting import LONG_SIDE_PIXELS
from streamfx.media.colour import both_ways
from streamfx.media.frame_memory import FRAMES_BEFORE
from training.evaluation.masks import Mask
from training.evaluation.video import COLOUR, to_video
from training.matte import form
from training.pictures import Picture


def factor_for(size: tuple[int, int], long_side: int = LONG_SIDE_PIXELS) -> float:
    """Factor at which the long side of a picture becomes that of the reduced one, or the picture as it is."""
    return max(1.0, max(size) / long_side)


class MatteRunner:
    """An engine that gives a matte; close it after use, or use it as a context.

    Pictures go in as most video does, 8 bits and 4:2:0.

    Args:
        folder: Folder of the engine.
        detail: Whether its answers to the source's own detail count.
        threads: Processor threads.
        long_side: Long side of the reduced picture, in pixels.
        backend: Backend that runs it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        detail: bool = True,
        threads: int = 1,
        long_side: int = LONG_SIDE_PIXELS,
        backend: str = "auto",
    ) -> None:
        self.engine = read_engine(folder)
        self._detail, self._threads, self._long_side = detail, threads, long_side
        self._compiled = choose(backend).compile(self.engine, CompileOptions(Precision.F32, threads))

    def __enter__(self) -> MatteRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._compiled.close()

    def __call__(self, picture: Picture) -> Mask:
        """The matte HW of an RGB picture."""
        return self.clip([picture], remembers=False)[0]

    def clip(self, frames: Sequence[Picture], *, remembers: bool) -> list[Mask]:
        """The mattes of frames that follow one another, with the memory of those before or each alone."""
        tolerance = self.engine.spec.memory_tolerance * 256
        past: list[Past] = []
        found = []
        for frame in frames:
            luma, reduced, heads = self._heads(frame)
            steadied = steady(heads, reduced, past, tolerance, self._threads) if remembers else heads
            past = [Past(reduced, heads), *past][:FRAMES_BEFORE]
            found.append(self._formed(luma, reduced, steadied))
        return found

    def timed(self, picture: Picture) -> Callable[[], object]:
        """A call of the network alone, for a picture."""
        seen, to_rgb, from_rgb, factor = self._seen(picture)
        return lambda: self._compiled(seen, to_rgb, from_rgb, factor)

    def _seen(self, picture: Picture) -> tuple[Array, Array, Array, float]:
        frame = to_video(picture)
        factor = factor_for(frame.size, self._long_side)
        given = network_input(frame, COLOUR, self.engine.spec, factor, Noise(), self._threads)
        assert given.size == input_size(frame.size, factor, self.engine.spec)
        return given.values, *both_ways(COLOUR, frame.depth), factor

    def _heads(self, picture: Picture) -> tuple[Array, Array, Array]:
        """Luma HW of a picture in codes, the reduced planes 3hw, and the heads for them."""
        seen, to_rgb, from_rgb, factor = self._seen(picture)
        heads = np.array(self._compiled(seen, to_rgb, from_rgb, factor), np.float32)
        if not self._detail:
            heads[1:] = 0
        return to_video(picture).planes[0].astype(np.float32), seen.copy(), heads

    def _formed(self, luma: Array, reduced: Array, heads: Array) -> Mask:
        luma_11HW, reduced_11hw = (torch.from_numpy(plane)[None, None] for plane in (luma, reduced[0]))
        with torch.no_grad():
            formed = form(luma_11HW, reduced_11hw, torch.from_numpy(heads)[None])
        return np.asarray(formed[0, 0].clamp(0, 1).numpy(), np.float32)
