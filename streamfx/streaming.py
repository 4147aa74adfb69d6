"""Streaming: one call from a live source to one or several outputs, and its report. Joins all the parts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TypeAlias, Unpack

from streamfx.capture.live.opening import Opening, open_live
from streamfx.capture.live.pacing import PacedSource
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.source import Source
from streamfx.config.arguments import takes_settings
from streamfx.config.live import LiveArguments, LiveConfig
from streamfx.config.loading import configured
from streamfx.encode.network.sink import Delivery
from streamfx.encode.opening import check_output, open_sink, try_output
from streamfx.encode.sink import Sink
from streamfx.factor.coding import coded_output
from streamfx.media.frame import VideoFormat
from streamfx.media.tracks import OtherTracks
from streamfx.pipeline.fan_out import SeveralSinks
from streamfx.pipeline.flow import Watch
from streamfx.pipeline.stats import Stats
from streamfx.run.assembly import Parts, Progress, run_parts
from streamfx.run.controls import RunControls
from streamfx.run.live_flow import backoff, live_settings
from streamfx.run.live_parts import live_parts
from streamfx.run.report import Report
from streamfx.web import check_page, is_listening, is_page, open_page, open_publishing

log = logging.getLogger(__name__)

Announce = Callable[[str], None]
OpenOwn: TypeAlias = Callable[[LiveSettings], Source]
Output: TypeAlias = str | PathLike[str] | Sink


@takes_settings(LiveConfig, LiveArguments)
def live(
    input: str | PathLike[str] | Source,
    output: Output | Sequence[Output],
    *,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
    announce: Announce | None = None,
    **options: Unpack[LiveArguments],
) -> Report:
    """Change how a live video looks while it comes; return the report of what came of it.

    Args:
        input: source: rtsp:// rtmp:// http(s):// udp://, camera:0, whip:8090 (publishers come to it),
            test:bars, a file in real time.
        output: outputs, one or several: rtmp:// rtsp:// udp://, hls:FOLDER, a video file, virtual:,
            window:, web:8080 (a page), null:.
        **options: settings by name, those of `LiveConfig`; ``help(streamfx.live)`` tells each.
        settings: everything else, each ``key=value`` as for ``--set`` (``source.read_seconds=2``).
        progress: callback that is called now and then, in this thread, with the state of the run.
        announce: callback that is called with the address of each ``web:`` output, and of a ``whip:`` source,
            with the secret in it that lets people in; None: it is logged.

    A `Source` or `Sink` of your own may stand for an input or output: see docs/embedding.md.

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
    outputs = output if isinstance(output, Sequence) and not isinstance(output, str) else (output,)
    sinks = {number: each for number, each in enumerate(outputs) if not isinstance(each, str | PathLike)}
    source = None if isinstance(input, str | PathLike) else input
    named = {
        "input": input if source is None else source.name,
        "outputs": tuple(each if isinstance(each, str | PathLike) else each.name for each in outputs),
    }
    config = configured(LiveConfig, {**options, **named}, settings)
    return run_live(config, progress, announce, source=source, sinks=sinks)


def run_live(
    config: LiveConfig,
    progress: Progress | None = None,
    announce: Announce | None = None,
    watch: Watch | None = None,
    *,
    source: Source | None = None,
    sinks: Mapping[int, Sink] | None = None,
) -> Report:
    """Run what the configuration says; returns and raises as ``live``.

    A Ctrl-C while it runs finishes the outputs; the report says so. A second one gives up and is raised.

    Args:
        config: the settings in full.
        progress: callback that is called now and then, in this thread, with the state of the run.
        announce: callback that is called with the address of each page that is an output, and of the source
            where it is one that publishers come to.
        watch: observer that sees every frame that is taken up or written.
        source: source read instead of the configuration's input, and closed; None: that input.
        sinks: sinks written to instead of the configuration's outputs, by their number from 0; None: those
            outputs.
    """
    sinks = sinks or {}
    for number, output in enumerate(config.outputs):  # before a source is waited for
        if number not in sinks:
            _check(config, output)

    def open_source(own: OpenOwn | None) -> Source:
        if source is not None:
            return source if source.live else PacedSource(source)
        opening = Opening(
            live_settings(config), config.threads, config.source.loop, config.wait, config.limits.seconds
        )
        return open_live(config.input, opening, own)

    def opened(stats: Stats, own: OpenOwn | None = None) -> AbstractContextManager[Parts]:
        open_sinks = partial(_open_sinks, config, announce or _log_address, stats, sinks)
        try_sinks = partial(_try_sinks, config, sinks)
        return live_parts(
            config, partial(open_source, own), open_sinks, stats, try_sink=try_sinks, watch=watch
        )

    if source is not None or not is_listening(config.input):
        return run_parts(config, opened, progress)
    with open_publishing(config.input, config.web, announce or _log_publishing) as own:
        return run_parts(config, partial(opened, own=own), progress)


def _check(config: LiveConfig, output: str) -> None:
    """Refuse an output that is none, whatever the frames are."""
    if is_page(output):
        check_page(output, config.web)
    else:
        check_output(output, Path(config.input), overwrite=config.encoding.overwrite)


def _try_sinks(config: LiveConfig, given: Mapping[int, Sink], source: Source, video: VideoFormat) -> None:
    """Refuse outputs that could not be opened: the effects come first, and may take long to compile."""
    for number, output in enumerate(config.outputs):
        if number not in given and not is_page(output):
            try_output(
                output,
                format=video,
                other_tracks=source.other_tracks,
                source_path=Path(config.input),
                delivery=_delivery(config),
                encoding=config.encoding,
            )


def _open_sinks(
    config: LiveConfig,
    announce: Announce,
    stats: Stats,
    given: Mapping[int, Sink],
    source: Source,
    controls: RunControls,
    opened: ExitStack,
) -> Sink:
    """Open every output; with several, each has a queue and a thread of its own."""
    other_tracks, video = source.other_tracks, controls.video
    sinks: list[Sink] = []
    for number, output in enumerate(config.outputs):
        shared = len(config.outputs) > 1 or is_page(output)  # a page takes sound while it records
        share = other_tracks.branch() if other_tracks is not None and shared else other_tracks
        if number in given:
            sinks.append(given[number])
        elif is_page(output):
            page = open_page(output, source.name, video, controls, config, share)
            announce(page.address)
            sinks.append(page)
        else:
            choice = controls.effects.choice
            presets = {} if choice is None else choice.presets
            sinks.append(_open_one(config, output, video, presets, other_tracks=share))
        opened.callback(sinks[-1].abort)  # does nothing once the output is finished
    if len(sinks) == 1:
        return sinks[0]
    several = SeveralSinks(sinks, config.queue.output, stats.add)
    opened.callback(several.abort)
    return several


def _open_one(
    config: LiveConfig,
    output: str,
    video: VideoFormat,
    presets: Mapping[str, str],
    other_tracks: OtherTracks | None,
) -> Sink:
    coded = coded_output(output, config, video)
    preset = None if coded is None else presets.get(coded.codec)
    return open_sink(
        output,
        format=video,
        other_tracks=other_tracks,
        source_path=Path(config.input),
        delivery=_delivery(config),
        encoding=config.encoding if preset is None else replace(config.encoding, preset=preset),
    )


def _delivery(config: LiveConfig) -> Delivery:
    given = config.sink
    return Delivery(
        open_seconds=config.source.open_seconds,
        write_seconds=given.write_seconds,
        bitrate_kbps=given.bitrate_kbps,
        keyframe_seconds=given.keyframe_seconds,
        reconnect=backoff(given.reconnect),
        wait=config.wait,
    )


def _log_address(address: str) -> None:
    log.warning("the page is at %s", address)


def _log_publishing(address: str) -> None:
    log.warning("publish to %s (WHIP)", address)
