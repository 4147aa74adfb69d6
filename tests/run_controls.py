"""A controls over real effects and the test picture, for tests of what changes a run while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from streamfx.backends.backend import CompiledEngine
from streamfx.capture.opening import open_source
from streamfx.capture.source import Source
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config
from streamfx.engine.golden import Array
from streamfx.media.frame import Frame
from streamfx.pipeline.stats import Stats
from streamfx.run.controls import RunControls
from streamfx.run.effects import open_effects

BARS = "test:bars?size=160x96&fps=30&frames=0"


@dataclass
class Bench:
    """A controls, the source of its frames, and a clock that a test sets."""

    controls: RunControls
    source: Source
    seconds: list[float] = field(default_factory=lambda: [0.0])

    def frame(self) -> Frame:
        """Return the next frame of the source."""
        frame = self.source.read()
        assert frame is not None
        return frame


@dataclass
class Gate:
    """A compiled engine that waits where it is told to, and counts its closings."""

    inner: CompiledEngine
    closes: int = 0
    entered: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.backend, self.precision = self.inner.backend, self.inner.precision

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        self.entered.set()
        assert self.opened.wait(60)
        return self.inner(reduced, to_rgb, from_rgb, factor)

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        self.inner.warm_up(shape, to_rgb, from_rgb, factor)

    def close(self) -> None:
        self.closes += 1
        self.inner.close()


@contextmanager
def bench(*effects: str, factor: str = "2", source: str = BARS, backend: str = "auto") -> Iterator[Bench]:
    """Open effects for the test picture, with a controls over them."""
    options = {
        "input": source, "outputs": ("null:",), "effects": effects, "factor": factor, "threads": 1,
        "backend": backend,
    }  # fmt: skip
    config = load_config(None, [], options, model=LiveConfig)
    opened = open_source(source)
    with open_effects(config, opened, 1, Stats()) as running:
        seconds = [0.0]
        controls = RunControls(running, lambda: seconds[0])
        try:
            yield Bench(controls, opened, seconds)
        finally:
            controls.close()
            opened.close()
