"""Transcoding: one call from a source to a finished, checked output and its report. Joins all the parts."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path

from streamfx.capture.source import Source
from streamfx.config.loading import configured
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.opening import holds_alpha, open_sink, shows_as_coded
from streamfx.encode.sink import Sink
from streamfx.errors import SinkError
from streamfx.generate.chain import output_format
from streamfx.generate.request import parse_effect
from streamfx.generate.transparency import opaque_within
from streamfx.hardware.cpu import usable_cores
from streamfx.media.frame import VideoFormat
from streamfx.media.frame_queue import Policy
from streamfx.media.notes import refuse_losses, say
from streamfx.pipeline.flow import Flow
from streamfx.pipeline.stats import Stats
from streamfx.run.assembly import Parts, Progress, run_parts
from streamfx.run.effects import numbered, open_effects
from streamfx.run.placement import MOST_IN_FLIGHT, Encoder, encoder_of, find_place, open_decoded
from streamfx.run.report import Report

log = logging.getLogger(__name__)

MOST_WORKERS = 16  # each holds a model and two frames, and one encoder cannot follow many more


def transcode(
    input: str | PathLike[str] | Source,
    output: str | PathLike[str] | Sink,
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
    report: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Change how a video looks and write a new one; return the report of what came of it.

    Args:
        input: source: a video file, '-' for standard input, pictures (a folder, frames/%05d.png),
            test:bars.
        output: output: a video file (its ending picks the container), pictures, or null:.
        effects: effect and its controls ('streamfx effects' lists them); several are applied in order.
        factor: reduction of the picture that the network sees: 1, 1.5, 2, 3, 4, 6, 8 times, or auto: the
            smallest that keeps up with the source.
        speed: speed to reach, in times of real time, for the factor auto.
        backend: library that runs the network ('streamfx devices' lists them); auto: the fastest here.
        device: place of the frames and the network: auto (a GPU where one can be used), cpu, cuda, or
            cuda:1 for the second GPU.
        deinterlace: deinterlacing: auto (of pictures flagged as interlaced), off, bwdif or yadif (of
            all).
        codec: video codec; one that fits the output by default.
        pixel_format: pixel format to convert to, as FFmpeg names it (yuv420p); that of the video by
            default.
        preset: speed of the encoder against size of the output, as the codec names it.
        quality: constant quality, as the codec counts it (lower is better).
        threads: number of processor threads to use; all by default.
        workers: number of frames generated at a time; what is fastest by default.
        overwrite: replacement of an output file that exists.
        strict: refusal of an output that would lack something of the source.
        verify: comparison of finished files, read again, with the account.
        report: file for the account of every frame, as JSON.
        progress: called now and then, in this thread, with the state of the run.

    A `Source` or `Sink` of your own may stand for input or output: see docs/embedding.md.

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
    given = dict(locals())
    del given["progress"]
    source = None if isinstance(input, str | PathLike) else input
    sink = None if isinstance(output, str | PathLike) else output
    given["input"] = input if source is None else source.name
    given["output"] = output if sink is None else sink.name
    return run_config(configured(TranscodeConfig, given), progress, source=source, sink=sink)


def run_config(
    config: TranscodeConfig,
    progress: Progress | None = None,
    *,
    source: Source | None = None,
    sink: Sink | None = None,
) -> Report:
    """Run what the configuration says; returns and raises as ``transcode``.

    A Ctrl-C while it runs finishes the output; the report says so. A second one gives up and is raised.

    Args:
        config: the settings in full.
        progress: called now and then, in this thread, with the state of the run.
        source: read instead of the configuration's input, and closed; None: that input.
        sink: written to instead of the configuration's output; None: that output.
    """
    return run_parts(config, partial(_opened, config, source, sink), progress)


@contextmanager
def _opened(
    config: TranscodeConfig, own_source: Source | None, own_sink: Sink | None, stats: Stats
) -> Iterator[Parts]:
    """Open source, sink and effects; the effects last, because they may have to be compiled first.

    A frame generated by one thread costs less processor time than one shared among several, so for files
    there are as many workers as processors. A live frame must be ready soon, so all threads work on it.
    """
    total = config.threads or usable_cores()
    # Imported here, for it loads FFmpeg.
    from streamfx.capture.files.pictures import PictureSource
    from streamfx.capture.files.preparation import Preparation
    from streamfx.encode.files.pictures import takes_any_size

    with contextlib.ExitStack() as opened:
        queued = max(config.queue.capture or 0, config.queue.encode or 0)
        place = find_place(config.device, config.backend, config.workers or MOST_IN_FLIGHT, queued)
        requests = [parse_effect(text) for text in config.effects]
        source = own_source or open_decoded(
            config.input,
            place,
            threads=min(total, MOST_WORKERS),
            looked_at=any(request.route or request.auto for request in requests),
            preparation=Preparation(
                config.deinterlace,
                upright=shows_as_coded(config.output),
                alpha=config.pixel_format is None and holds_alpha(config.output, config.codec),
                alone=takes_any_size(config.output),
            ),
        )
        opened.callback(source.close)
        alone = takes_any_size(config.output) and isinstance(source, PictureSource)
        if source.format.alpha or alone:
            place = replace(place, residence=None)  # frames on a GPU have no alpha, and are all alike
        video = output_format(config.effects, source.format)
        encoder = None if own_sink else encoder_of(config, video, place.residence)
        try:
            sink = own_sink or _sink(config, source, video, encoder)
        except SinkError as error:
            if encoder is None or config.codec is not None:
                raise
            log.warning("%s: encoded by the processor: %s", config.output, error)
            encoder = None
            sink = _sink(config, source, video, encoder)
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
            file=None if own_sink else Path(config.output),
            said=said,
        )


def _sink(config: TranscodeConfig, source: Source, video: VideoFormat, encoder: Encoder | None) -> Sink:
    from streamfx.capture.files.pictures import PictureSource
    from streamfx.encode.files.pictures import Photos

    if config.limits.frames is not None and video.frame_count is not None:
        video = replace(video, frame_count=min(video.frame_count, config.limits.frames))
    return open_sink(
        config.output,
        format=video,
        extras=source.extras,
        source_path=Path(config.input),
        packing=encoder.packing if encoder else None,
        photos=Photos(source.names, source.photos) if isinstance(source, PictureSource) else None,
        encoding=encoder.encoding(config.encoding) if encoder else config.encoding,
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
