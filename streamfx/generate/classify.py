"""Classify: what kind of picture a frame is, as a classifier engine sees it.

A classifier's heads are score maps, one for each class (K, h/16, w/16). Their mean over the picture, and over
all views of it, gives the probabilities.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from streamfx.backends.backend import CompiledEngine, CompileOptions
from streamfx.backends.registry import choose
from streamfx.backends.store import CompiledStore
from streamfx.engine.folder import Engine
from streamfx.engine.golden import Array
from streamfx.engine.library import load_engine
from streamfx.engine.spec import OutputKind
from streamfx.errors import ConfigError, EngineNotFoundError, FrameError
from streamfx.generate.effect import EffectSettings
from streamfx.generate.ops.reduce.definition import small_size
from streamfx.generate.ops.reduce.operation import reduce_planes
from streamfx.media.colour import both_ways
from streamfx.media.frame import Frame, Planes, VideoFormat

log = logging.getLogger(__name__)

_SHORT_SIDE = 160  # pixels of a whole picture: what kind it is shows in the large
_WINDOW = 128  # pixels of a window: how good it is shows in single pixels
_WINDOWS_USED = 4  # of nine: those with most to see
_BLANK = 0.01  # of the range of codes: deviation of the luma below which there is nothing to classify
_FACTOR = 1.0  # a classifier does not depend on it, and each value would be compiled anew

View: TypeAlias = Callable[[Frame, int, int | None], Iterator[Array]]
"""Reduced planes (3, h, w) of a frame, both sides multiples of the stride given; and threads to use."""


def whole(frame: Frame, stride: int, threads: int | None = None) -> Iterator[Array]:
    """Yield the whole picture, reduced to a short side of about 160 pixels."""
    size = small_size(frame.size, max(1.0, min(frame.size) / _SHORT_SIDE), stride)
    colour = frame.colour.assumed(frame.size[0])
    yield reduce_planes(frame.planes, frame.subsampling, colour, size, threads=threads)


def windows(frame: Frame, stride: int, threads: int | None = None) -> Iterator[Array]:
    """Yield the four windows of nine, spread over the picture at its full size, that show most.

    Detail counts, along the rows: the edge of black bars above and below must not.
    """
    side_y, side_x = (min(_WINDOW, length) for length in frame.size)
    corners = [
        (top, left) for top in _spread(frame.size[0] - side_y) for left in _spread(frame.size[1] - side_x)
    ]

    def detail(corner: tuple[int, int]) -> float:
        window = frame.planes[0][corner[0] : corner[0] + side_y, corner[1] : corner[1] + side_x]
        return float(np.abs(np.diff(window.astype(np.int32))).mean()) if side_x > 1 else 0.0

    corners.sort(key=detail, reverse=True)
    colour = frame.colour.assumed(frame.size[0])
    size = small_size((side_y, side_x), 1, stride)
    for top, left in corners[:_WINDOWS_USED]:
        planes = _cut_out(frame, (top, left), (side_y, side_x))
        yield reduce_planes(planes, frame.subsampling, colour, size, threads=threads)


@dataclass(slots=True, eq=False)
class Classifier:
    """A compiled classifier engine. `probabilities` is for one thread at a time.

    Attributes:
        engine: engine that it runs.
        compiled: the engine made ready by a backend; closed with this.
        view: part of a frame that it sees.
        threads: threads for the reduction; None for all cores this process may use.
    """

    engine: Engine
    compiled: CompiledEngine
    view: View
    threads: int | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the heads."""
        return self.engine.spec.classes

    def probabilities(self, frame: Frame) -> dict[str, float] | None:
        """Return how probable each class is; None where the frame shows nothing.

        Raises:
            FrameError: the frame's colours cannot be converted to RGB, or the scores are not finite.
        """
        if float(frame.planes[0][::4, ::4].std()) < _BLANK * (1 << frame.depth):
            return None
        to_rgb, from_rgb = _matrices(frame)
        views = [
            self.compiled(view, to_rgb, from_rgb, _FACTOR).mean(axis=(1, 2))
            for view in self.view(frame, self.engine.stride, self.threads)
        ]
        scores = np.mean(views, axis=0, dtype=np.float64)
        if not np.isfinite(scores).all():
            raise FrameError(
                f"engine {self.engine.name!r} ({self.compiled.backend}, {self.compiled.precision}), "
                f"frame {frame.index}: scores that are not finite"
            )
        shares = np.exp(scores - scores.max())
        return dict(zip(self.classes, (shares / shares.sum()).tolist(), strict=True))

    def warm_up(self, video: VideoFormat) -> None:
        """Do now what the first frame of such a video would do besides computing."""
        frame = video.grey()
        to_rgb, from_rgb = _matrices(frame)
        for view in self.view(frame, self.engine.stride, self.threads):
            self.compiled.warm_up(view.shape, to_rgb, from_rgb, _FACTOR)

    def close(self) -> None:
        """Give the compiled engine back. May be called twice."""
        self.compiled.close()


def open_classifier(name: str, view: View, settings: EffectSettings, purpose: str) -> Classifier:
    """Return the classifier of that name, its engine found, verified, compiled and checked.

    Args:
        name: name of an engine.
        view: part of a frame that it is to see.
        settings: backend, precision, threads and place of its network.
        purpose: use that needs it, for the message.

    Raises:
        ConfigError: there is no such engine, or it is no classifier.
        EngineCorruptError, EngineMismatchError, BackendUnavailableError: see `open_effect`.
    """
    try:
        engine = load_engine(name)
    except EngineNotFoundError as error:
        raise ConfigError(
            f"{purpose}: the pictures decide, and what looks at them is missing: {error}"
        ) from error
    if engine.spec.kind is not OutputKind.SCORES:
        raise ConfigError(f"{purpose}: the pictures decide, but engine {engine.folder} is no classifier")
    options = CompileOptions(
        settings.precision,
        settings.threads,
        1,
        settings.store or CompiledStore(),
        settings.device,
        settings.build,
    )
    compiled = choose(settings.backend, device=settings.device).compile(engine, options)
    log.info("classifier %s runs with %s in %s", name, compiled.backend, compiled.precision)
    return Classifier(engine, compiled, view, settings.threads)


def _spread(room: int) -> tuple[int, ...]:
    """Return up to three even positions within 0..room, where chroma samples lie, too."""
    return tuple(sorted({part * room // 4 // 2 * 2 for part in (0, 2, 4)}))


def _cut_out(frame: Frame, corner: tuple[int, int], size: tuple[int, int]) -> Planes:
    steps = frame.subsampling.steps
    (top, left), (height, width) = corner, size
    chroma_height, chroma_width = frame.subsampling.chroma_size(size)
    luma, *chroma = frame.planes
    first, second = (
        plane[top // steps[0] :, left // steps[1] :][:chroma_height, :chroma_width] for plane in chroma
    )
    return luma[top : top + height, left : left + width], first, second


def _matrices(frame: Frame) -> tuple[Array, Array]:
    return both_ways(frame.colour.assumed(frame.size[0]), frame.depth)
