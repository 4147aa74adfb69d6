"""Transcoding: one call from a source to a finished, checked output and its report. Joins all the parts."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.capture.source import Source
from streamfx.config import TranscodeConfig, load_config
from streamfx.device import usable_cores
from streamfx.encode.sink import Sink, holds_alpha, open_sink, shows_as_coded
from streamfx.errors import SinkError
from streamfx.flow import Flow
from streamfx.frame import VideoFormat
from streamfx.frame_queue import Policy
from streamfx.generate.chain import output_format
from streamfx.generate.request import parse_effect
from streamfx.generate.transparent import opaque_within
from streamfx.notes import refuse_losses, say
from streamfx.report import Report
from streamfx.run_device import MOST_IN_FLIGHT, Encoder, encoder_of, find_place, open_decoded
from streamfx.run_effects import numbered, open_effects
from streamfx.running import Parts, Progress, run_parts
from streamfx.stats import Stats

if TYPE_CHECKING:
    from streamfx.capture.preparation import Preparation

log = logging.getLogger(__name__)

MOST_WORKERS = 16  # each holds a model and two frames, and one encoder cannot follow many more


def transcode(
    input: str | PathLike[str],
    output: str | PathLike[str],
    *,
    effects: Sequence[str] = (),
    factor: float | str = "auto",
    speed: float = 1.0,
    backend: str = "auto",
    device: str = "auto",
    deinterlace: str = "auto",
    codec: str | None = None,
    pixel_format: str | None = None,
    preset: str | None = None,
    quality: int | None = None,
    threads: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    strict: bool = False,
    verify: bool = True,
    resume: bool = False,
    report: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Change how a video looks and write a new one; return the report of what came of it.

    Args:
        input: what to read: a video file, ``-``, pictures, ``test:bars``.
        output: what to write: a video file, ``null:``.
        effects: effects in the order they are applied, each ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``.
        factor: how many times smaller the network's picture is: 1, 1.5, 2, 3, 4, 6, 8 or "auto": the smallest
            that keeps up with the source, or with ``speed``.
        speed: how many times faster than real time a file is to be done, for the factor "auto".
        backend: what runs the network; "auto" takes the fastest that can run here.
        device: where frames live and networks run: "cpu", "cuda", "cuda:1"; "auto" takes a GPU if it can.
        deinterlace: "auto" makes interlaced pictures whole, where they are flagged as such; "off" leaves them
            their fields; "bwdif" or "yadif" takes all pictures for interlaced.
        codec: video codec of the output; None takes one that fits.
        pixel_format: FFmpeg's name of a format to convert pictures to; None takes one that fits.
        preset: speed against size, as the codec names it.
        quality: constant quality, as the codec counts it (lower is better).
        threads: processor threads to use; None for all.
        workers: frames generated at a time; None takes what is fastest.
        overwrite: replace the output when it exists.
        strict: refuse an output that would lack something of the source.
        verify: read the finished output again and compare it with the account.
        resume: work in segments that survive a crash, and go on after those that an earlier run finished.
        report: write the report to this file too, as JSON.
        progress: called now and then, in this thread, with the state of the run.

    Raises:
        ConfigError: a setting is wrong.
        SourceOpenError: the input cannot be read.
        SinkError: the output cannot be written.
        EngineNotFoundError: there is no such effect.
        BackendUnavailableError: the backend cannot run here.
        StageFailedError: something failed on the way; its ``report`` is the account up to there.

    Example:
        >>> report = transcode("in.mp4", "same.mp4")
        >>> report.exit_code, report.result.account.encoded == report.source.frame_count
        (0, True)
    """
    options = {
        "input": fspath(input),
        "output": fspath(output),
        "effects": tuple(effects),
        "factor": factor,
        "speed": speed,
        "backend": backend,
        "device": device,
        "deinterlace": deinterlace,
        "codec": codec,
        "pixel_format": pixel_format,
        "preset": preset,
        "quality": quality,
        "threads": threads,
        "workers": workers,
        "overwrite": overwrite,
        "strict": strict,
        "verify": verify,
        "resume": resume,
        "report": None if report is None else fspath(report),
    }
    return run_config(load_config(options=options), progress)


def run_config(config: TranscodeConfig, progress: Progress | None = None) -> Report:
    """Run what the configuration says; returns and raises as ``transcode``.

    A Ctrl-C while it runs finishes the output; the report says so. A second one gives up and is raised.
    """
    if config.resume:
        from streamfx.jobs.resume import run_resumable

        return run_resumable(config, progress)
    return run_parts(config, partial(open_parts, config), progress)


@contextmanager
def open_parts(config: TranscodeConfig, stats: Stats) -> Iterator[Parts]:
    """Open source, sink and effects; the effects last, because they may have to be compiled first.

    A frame generated by one thread costs less processor time than one shared among several, so for files
    there are as many workers as processors. A live frame must be ready soon, so all threads work on it.
    """
    total = config.threads or usable_cores()
    # Imported here, for it loads FFmpeg.
    from streamfx.capture.pictures import PictureSource
    from streamfx.encode.pictures import takes_any_size

    with contextlib.ExitStack() as opened:
        queued = max(config.queue.capture or 0, config.queue.encode or 0)
        place = find_place(config.device, config.backend, config.workers or MOST_IN_FLIGHT, queued)
        requests = [parse_effect(text) for text in config.effects]
        source = open_decoded(
            config.input,
            place,
            threads=min(total, MOST_WORKERS),
            looked_at=any(request.route or request.auto for request in requests),
            preparation=preparation_for(config),
        )
        opened.callback(source.close)
        alone = takes_any_size(config.output) and isinstance(source, PictureSource)
        if source.format.alpha or alone:
            place = replace(place, residence=None)  # frames on a GPU have no alpha, and are all alike
        video = output_format(config.effects, source.format)
        encoder = encoder_of(config, video, place.residence)
        try:
            sink = open_output(config, source, video, encoder)
        except SinkError as error:
            if encoder is None or config.codec is not None:
                raise
            log.warning("%s: encoded by the processor: %s", config.output, error)
            encoder = None
            sink = open_output(config, source, video, encoder)
        opened.callback(sink.abort)  # does nothing once the output is finished
        if encoder is not None:
            sink.notes.append(encoder.note)
            place = replace(place, stays=True)
        notes = (*source.notes, *sink.notes)
        said = say(notes)  # before the effects are opened, which may take a while
        if config.strict:
            refuse_losses(config.output, notes)
        most = MOST_WORKERS if place.residence is None else MOST_IN_FLIGHT
        workers = config.workers or (1 if source.live else min(total, most))
        effects = opened.enter_context(open_effects(config, source, workers, stats, place))
        flow = _flow(config, source, workers)
        yield Parts(
            numbered(source, effects),
            effects,
            sink,
            flow,
            process=opaque_within(effects.chain.process) if source.format.alpha else None,
            workers=workers,
            file=Path(config.output),
            said=said,
        )


def preparation_for(config: TranscodeConfig) -> Preparation:
    """Return what is done to decoded pictures first, for what is to be written."""
    from streamfx.capture.preparation import Preparation
    from streamfx.encode.pictures import takes_any_size

    return Preparation(
        config.deinterlace,
        upright=shows_as_coded(config.output),
        alpha=config.pixel_format is None and holds_alpha(config.output, config.codec),
        alone=takes_any_size(config.output),
    )


def open_output(config: TranscodeConfig, source: Source, video: VideoFormat, encoder: Encoder | None) -> Sink:
    """Open what is to be written; ``encoder`` is that of a device, if it is one's."""
    from streamfx.capture.pictures import PictureSource
    from streamfx.encode.pictures import Photos

    if config.limits.frames is not None and video.frame_count is not None:
        video = replace(video, frame_count=min(video.frame_count, config.limits.frames))
    return open_sink(
        config.output,
        format=video,
        extras=source.extras,
        source_path=Path(config.input),
        codec=encoder.codec if encoder else config.codec,
        preset=config.preset,
        quality=config.quality,
        threads=config.threads,
        pixel_format=encoder.pixel_format if encoder else config.pixel_format,
        overwrite=config.overwrite,
        packing=encoder.packing if encoder else None,
        photos=Photos(source.names, source.photos) if isinstance(source, PictureSource) else None,
    )


def _flow(config: TranscodeConfig, source: Source, workers: int) -> Flow:
    queue, limits = config.queue, config.limits
    return Flow(
        policy=None if queue.policy == "auto" else Policy(queue.policy),
        capture_capacity=queue.capture or (2 if source.live else workers + 1),
        encode_capacity=queue.encode or workers + 2,
        frame_limit=limits.frames,
        decode_failures_in_a_row=limits.decode_failures_in_a_row,
        decode_failures=limits.decode_failures,
        read_limit_seconds=limits.read_seconds,
    )
