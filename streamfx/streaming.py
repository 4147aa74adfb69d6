"""Streaming: one call from a live source to one or several outputs, and its report. Joins all the parts."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path

from streamfx.capture.live.opening import Opening, open_live
from streamfx.capture.source import Source
from streamfx.config.live import LiveConfig
from streamfx.config.transcode import load_config
from streamfx.encode.network.sink import Delivery
from streamfx.encode.opening import check_output, open_sink
from streamfx.encode.sink import Sink
from streamfx.media.frame import Frame, Planes, VideoFormat
from streamfx.media.tracks import Extras
from streamfx.pipeline.fan_out import SeveralSinks
from streamfx.pipeline.flow import Watch
from streamfx.pipeline.stats import Stats
from streamfx.run.assembly import Parts, Progress, run_parts
from streamfx.run.controls import Desk
from streamfx.run.effects import numbered, open_effects
from streamfx.run.live_flow import backoff, flow_of, live_settings
from streamfx.run.live_outcome import accounts, interruptions, losses
from streamfx.run.placement import find_place
from streamfx.run.report import Report
from streamfx.web import check_page, is_page, open_page

log = logging.getLogger(__name__)

Announce = Callable[[str], None]
_ON_THE_WAY = 4  # frames that may be generated and not yet with the outputs


def live(
    input: str | PathLike[str],
    output: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    effects: Sequence[str] = (),
    factor: float | str = "auto",
    backend: str = "auto",
    device: str = "auto",
    codec: str | None = None,
    preset: str | None = None,
    quality: int | None = None,
    threads: int | None = None,
    seconds: float | None = None,
    overwrite: bool = False,
    wait: bool = True,
    loop: bool = False,
    report: str | PathLike[str] | None = None,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
    announce: Announce | None = None,
) -> Report:
    """Change how a live video looks while it comes; return the report of what came of it.

    Args:
        input: what to read: an address (``rtsp://`` and so on), ``camera:0``, ``test:bars``, or a video file,
            which is played in real time.
        output: what to write, or several: addresses, ``hls:FOLDER``, video files, ``virtual:``, ``window:``,
            ``web:8080``.
        effects: effects in the order they are applied, each ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``.
        factor: how many times smaller the network's picture is: 1, 1.5, 2, 3, 4, 6, 8 or "auto": the smallest
            that keeps up with the source, changed while it runs where that turns out wrong.
        backend: what runs the network; "auto" takes the fastest that can run here.
        device: where frames live and networks run: "cpu", "cuda", "cuda:1"; "auto" takes a GPU if it can.
        codec: video codec of the outputs; None takes what fits each.
        preset: speed against size, as the codec names it.
        quality: constant quality, as the codec counts it (lower is better).
        threads: processor threads to use; None for all. All work on one frame.
        seconds: end after this time; None: when the source ends, or with Ctrl-C.
        overwrite: replace output files that exist.
        wait: a source or server that is away at the start is waited for, while the others run; False: the run
            is refused.
        loop: play a file again and again.
        report: write the report to this file too, as JSON.
        settings: everything else, each ``key=value`` as for ``--set`` (``source.gap=black``).
        progress: called now and then, in this thread, with the state of the run.
        announce: called with the address of each ``web:`` output, with the secret in it that lets viewers in;
            None: it is logged.

    Raises:
        ConfigError: a setting is wrong.
        SourceOpenError: the input cannot be opened.
        SinkError: an output cannot be opened.
        EngineNotFoundError: there is no such effect.
        BackendUnavailableError: the backend cannot run here.
        StageFailedError: something failed on the way; its ``report`` is the account up to there.

    Example:
        >>> report = live("test:bars?size=320x180&frames=10", "null:")
        >>> report.exit_code, report.result.account.frames_in
        (0, 10)
    """
    several = (output,) if isinstance(output, str | PathLike) else output
    nested = ["source.loop=true"] if loop else []
    nested += [] if seconds is None else [f"limits.seconds={float(seconds)}"]
    options = {
        "input": fspath(input),
        "outputs": tuple(fspath(each) for each in several),
        "effects": tuple(effects),
        "factor": factor,
        "backend": backend,
        "device": device,
        "codec": codec,
        "preset": preset,
        "quality": quality,
        "threads": threads,
        "overwrite": overwrite,
        "wait": wait,
        "report": None if report is None else fspath(report),
    }
    return run_live(load_config(None, [*settings, *nested], options, model=LiveConfig), progress, announce)


def run_live(
    config: LiveConfig,
    progress: Progress | None = None,
    announce: Announce | None = None,
    watch: Watch | None = None,
) -> Report:
    """Run what the configuration says; returns and raises as ``live``.

    A Ctrl-C while it runs finishes the outputs; the report says so. A second one gives up and is raised.

    Args:
        config: the settings in full.
        progress: called now and then, in this thread, with the state of the run.
        announce: called with the address of each page that is an output.
        watch: sees every frame that is taken up or written.
    """
    return run_parts(config, partial(_opened, config, announce or _log_address, watch), progress)


@contextmanager
def _opened(config: LiveConfig, announce: Announce, watch: Watch | None, stats: Stats) -> Iterator[Parts]:
    """Open source, effects and sinks; a frame must be ready soon, so all threads work on one frame."""
    for output in config.outputs:  # before a source is waited for
        check_page(output, config.web) if is_page(output) else check_output(output)
    with contextlib.ExitStack() as opened:
        source = _source(config)
        opened.callback(source.close)
        place = find_place(config.device, config.backend, 1)
        effects = opened.enter_context(open_effects(config, source, 1, stats, place))
        desk = Desk(effects, lambda: stats.elapsed_seconds, config.queue.output + _ON_THE_WAY)
        opened.callback(desk.close)
        sink = _sink(config, source, desk, announce, opened, stats)
        yield Parts(
            numbered(source, effects),
            effects,
            sink,
            replace(flow_of(config), watch=watch),
            process=StandIns(desk.process, desk.fit),
            desk=desk,
            file=Path(config.outputs[0]) if len(config.outputs) == 1 else None,
            interruptions=partial(interruptions, source),
            accounts=partial(accounts, sink),
            losses=lambda: tuple(losses(config, source, sink, desk)),
        )


def _source(config: LiveConfig) -> Source:
    opening = Opening(
        live_settings(config), config.threads, config.source.loop, config.wait, config.limits.seconds
    )
    return open_live(config.input, opening)


def _sink(
    config: LiveConfig,
    source: Source,
    desk: Desk,
    announce: Announce,
    opened: contextlib.ExitStack,
    stats: Stats,
) -> Sink:
    """Open every output; with several, each has a queue and a thread of its own."""
    extras, video = source.extras, desk.video
    sinks: list[Sink] = []
    for output in config.outputs:
        share = extras if extras is None or len(config.outputs) == 1 else extras.branch()
        if is_page(output):
            page = open_page(output, source.name, video, desk, config)
            announce(page.address)
            sinks.append(page)
        else:
            sinks.append(_open_one(config, output, video, extras=share))
        opened.callback(sinks[-1].abort)  # does nothing once the output is finished
    if len(sinks) == 1:
        return sinks[0]
    several = SeveralSinks(sinks, config.queue.output, stats.add)
    opened.callback(several.abort)
    return several


def _open_one(config: LiveConfig, output: str, video: VideoFormat, extras: Extras | None) -> Sink:
    given = config.sink
    return open_sink(
        output,
        format=video,
        extras=extras,
        source_path=Path(config.input),
        codec=config.codec,
        preset=config.preset,
        quality=config.quality,
        threads=config.threads,
        overwrite=config.overwrite,
        delivery=Delivery(
            open_seconds=config.source.open_seconds,
            write_seconds=given.write_seconds,
            bitrate_kbps=given.bitrate_kbps,
            keyframe_seconds=given.keyframe_seconds,
            reconnect=backoff(given.reconnect),
            wait=config.wait,
        ),
    )


def _log_address(address: str) -> None:
    log.warning("the page is at %s", address)


class StandIns:
    """Spares the effects the pictures that stand in for those that did not come.

    The last picture again gives what it gave before; a black one stays black. Called by one thread.

    Args:
        process: the effects.
        fit: brings a frame that no effect has seen into the format of the outputs.
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
