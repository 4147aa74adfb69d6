"""The parts of a live run, opened and joined: the same for every live source and every output."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from streamfx.capture.live.browser import within
from streamfx.capture.source import Source
from streamfx.config.live import LiveConfig
from streamfx.encode.sink import Sink
from streamfx.generate.chain import output_format
from streamfx.media.frame import Frame, Planes, VideoFormat
from streamfx.pipeline.flow import Watch
from streamfx.pipeline.stats import Stats
from streamfx.run.assembly import Parts
from streamfx.run.controls import RunControls
from streamfx.run.effects import MOST_PIXELS, most_pixels_for, numbered, open_effects
from streamfx.run.live_flow import flow_of
from streamfx.run.live_outcome import accounts, interruptions, losses
from streamfx.run.placement import find_placement

_ON_THE_WAY = 4  # frames that may be generated and not yet with the outputs

OpenSink: TypeAlias = Callable[[Source, RunControls, ExitStack], Sink]
"""Opens what is written to; what it puts into the stack is closed after the run."""

TrySink: TypeAlias = Callable[[Source, VideoFormat], None]
"""Refuses what could not be written in a format; opens nothing that stays."""


@contextmanager
def live_parts(
    config: LiveConfig,
    open_source: Callable[[], Source],
    open_sink: OpenSink,
    stats: Stats,
    *,
    try_sink: TrySink | None = None,
    largest: tuple[int, int] | None = None,
    watch: Watch | None = None,
) -> Iterator[Parts]:
    """Open source, effects and outputs; a frame must be ready soon, so all threads work on one frame.

    Args:
        config: the settings in full.
        open_source: function that opens the source.
        open_sink: function that opens the sink, last.
        try_sink: function that refuses a sink that could not be opened, before the effects, which may have to
            be compiled; None: nothing can be refused.
        stats: receiver of the measured times.
        largest: (height, width) that frames have at most when they are written; None: no limit.
        watch: observer that sees every frame that is taken up or written.
    """
    with contextlib.ExitStack() as opened:
        source = open_source()
        opened.callback(source.close)
        if try_sink is not None:
            try_sink(source, output_format(config.effects, source.format))
        place = find_placement(config.device, config.backend, 1)
        effects = opened.enter_context(open_effects(config, source, 1, stats, place))
        made = effects.chain.output(source.format)
        # What an effect makes larger than is allowed is scaled down before it is written.
        video = replace(made, size=within(made.size, largest))
        ahead = config.queue.output + _ON_THE_WAY
        most_pixels = MOST_PIXELS if largest is None else most_pixels_for(largest)
        controls = RunControls(effects, lambda: stats.elapsed_seconds, ahead, video, most_pixels)
        opened.callback(controls.close)
        sink = open_sink(source, controls, opened)
        yield Parts(
            numbered(source, effects),
            effects,
            sink,
            replace(flow_of(config), watch=watch),
            process=FillerFrames(controls.process, controls.fit),
            controls=controls,
            file=Path(config.outputs[0]) if len(config.outputs) == 1 else None,
            interruptions=partial(interruptions, source),
            accounts=partial(accounts, sink),
            losses=lambda: tuple(losses(config, source, sink, controls)),
        )


class FillerFrames:
    """Spares the effects the filler frames: those shown while nothing comes from the source.

    The last picture again gives what it gave before; a black one stays black. Called by one thread.

    Args:
        process: the effects.
        fit: function that brings a frame that no effect has seen into the format of the outputs.
    """

    def __init__(
        self, process: Callable[[Frame], Frame], fit: Callable[[Frame], Frame] = lambda frame: frame
    ) -> None:
        self._process, self._fit = process, fit
        self._last: tuple[Planes, Frame] | None = None

    def __call__(self, frame: Frame) -> Frame:
        """Return the frame as it goes to the output."""
        if frame.repeated:
            again = self._last is not None and self._last[0][0] is frame.planes[0]
            if not again or self._last is None:
                return self._fit(frame)
            # In the format that the last one had in the end, which an effect may have enlarged.
            return replace(
                self._last[1],
                index=frame.index,
                pts=frame.pts,
                duration=frame.duration,
                captured_ns=frame.captured_ns,
                repeated=True,
            )
        done = self._process(frame)
        self._last = (frame.planes, done)
        return done
