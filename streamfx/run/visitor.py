"""The run of a visitor: an ordinary live run, from the browser's camera and back to the browser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from streamfx.capture.live.browser import IncomingPictures, open_browser
from streamfx.capture.source import Source
from streamfx.config.live import LiveConfig
from streamfx.encode.browser import BrowserSink, Give
from streamfx.encode.sink import Sink
from streamfx.pipeline.stats import Stats
from streamfx.run.assembly import Parts, run_parts
from streamfx.run.controls import RunControls
from streamfx.run.live_flow import live_settings
from streamfx.run.live_parts import live_parts
from streamfx.run.report import Report


@dataclass(frozen=True, slots=True)
class Camera:
    """What a browser says of its camera, and what it may have.

    Attributes:
        size: (height, width) in pixels; None where it does not say.
        rate_fps: None where it does not say.
        largest: (height, width) that pictures have at most, there and back, whatever it says; None: no limit.
    """

    size: tuple[int, int] | None = None
    rate_fps: Fraction | None = None
    largest: tuple[int, int] | None = None


class VisitorConnection(Protocol):
    """The way back to a browser.

    Attributes:
        measure: callback that is called with "send" and the seconds that a picture took to be compressed and
            sent.
    """

    measure: Callable[[str, float], None]

    @property
    def give(self) -> Give:
        """Hands a picture over, as soon as the one before is sent; see `BrowserSink`."""


def run_visitor(
    config: LiveConfig,
    camera: Camera,
    incoming: IncomingPictures,
    connection: VisitorConnection,
    ready: Callable[[RunControls], None] = lambda _controls: None,
) -> Report:
    """Change the pictures that arrive, and give them back, until no more come; return the report.

    Args:
        config: config of the run; ``input`` is the visitor's name.
        camera: camera that sends the pictures.
        incoming: the pictures; ended by whoever fills it.
        connection: connection that takes the changed pictures.
        ready: callback that is called with what the run is changed and watched by, before its first frame,
            in this thread.

    Raises:
        SourceOpenError: no picture came in time.
        EngineNotFoundError: there is no such effect.
        BackendUnavailableError: the backend cannot run here.
        StageFailedError: something failed on the way; its ``report`` is the account up to there.
    """

    def open_source() -> Source:
        return open_browser(
            config.input,
            incoming,
            live_settings(config),
            size=camera.size,
            largest=camera.largest,
            rate_fps=camera.rate_fps,
        )

    def opened(stats: Stats) -> AbstractContextManager[Parts]:
        def open_sink(_: Source, controls: RunControls, _opened: ExitStack) -> Sink:
            connection.measure = stats.add
            ready(controls)
            return BrowserSink(config.outputs[0], controls.video, connection.give)

        return live_parts(config, open_source, open_sink, stats, largest=camera.largest)

    return run_parts(config, opened)
