"""Film: what a run that turns one file into another is made of: source, sink, effects and their flow."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.capture.source import Source
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import holds_alpha, open_sink, shows_as_coded
from streamfx.encode.sink import Sink
from streamfx.errors import ConfigError, SinkError
from streamfx.generate.chain import output_format
from streamfx.generate.comparison import compared, compared_format
from streamfx.generate.request import parse_effect
from streamfx.generate.transparency import opaque_within
from streamfx.hardware.cpu import usable_cores
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.frame_memory import FrameMemories
from streamfx.media.frame_queue import Policy
from streamfx.media.notes import ALPHA_LEFT_OUT, Converted, refuse_losses, say
from streamfx.media.track_choice import keep_wanted
from streamfx.media.tracks import OtherTracks
from streamfx.pipeline.flow import Flow
from streamfx.pipeline.stats import Stats
from streamfx.run.assembly import Parts
from streamfx.run.effects import Effects, numbered, open_effects
from streamfx.run.placement import (
    MOST_IN_FLIGHT,
    Encoder,
    Placement,
    encoder_of,
    find_placement,
    open_decoded,
)

if TYPE_CHECKING:
    from streamfx.capture.files.preparation import Preparation

log = logging.getLogger(__name__)

MOST_WORKERS = 16  # each holds a model and two frames, and one encoder cannot follow many more


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a film, open, and where its frames live between them.

    Attributes:
        source: source of the frames.
        sink: sink that they are written to.
        place: place of the frames.
        encoder: encoder of a device; None where the processor encodes.
    """

    source: Source
    sink: Sink
    place: Placement
    encoder: Encoder | None


@contextmanager
def open_ends(
    config: TranscodeConfig,
    place: Placement,
    *,
    own_source: Source | None = None,
    own_sink: Sink | None = None,
    written: bool = True,
    encoding: Encoding | None = None,
) -> Iterator[Ends]:
    """Open source and sink, on a device where that can and should be.

    Args:
        config: the settings in full.
        place: place where frames are to live.
        own_source: source read instead of the configuration's input; None: that input.
        own_sink: sink written to instead of the configuration's output; None: that output.
        written: whether anything is written; else what would be refused is refused, and nothing is there.
        encoding: settings of the encoder; None: those of the configuration.
    """
    # Imported here, for it loads FFmpeg.
    from streamfx.capture.files.pictures import PictureSource
    from streamfx.encode.files.pictures import takes_any_size

    with contextlib.ExitStack() as opened:
        requests = [parse_effect(text) for text in config.effects]
        source = own_source or open_decoded(
            config.input,
            place,
            threads=min(config.threads or usable_cores(), MOST_WORKERS),
            looked_at=any(request.route or request.auto for request in requests),
            preparation=preparation_for(config),
        )
        opened.callback(source.close)
        choose_tracks(config, source)
        alone = takes_any_size(config.output) and isinstance(source, PictureSource)
        if source.format.alpha or alone or config.compare:
            place = replace(place, device_context=None)  # frames on a GPU have no alpha, and are all alike
        video = made_format(config, source.format)
        encoder = None if own_sink else encoder_of(config, video, place.device_context)
        try:
            sink = own_sink or open_output(config, source, video, encoder, written=written, encoding=encoding)
        except SinkError as error:
            if encoder is None or config.codec is not None:
                raise
            log.warning("%s: encoded by the processor: %s", config.output, error)
            encoder = None
            sink = open_output(config, source, video, encoder, written=written, encoding=encoding)
        opened.callback(sink.abort)  # does nothing once the output is finished
        _check_alpha(config, source, video, sink)
        sink.notes.extend(comparison_notes(config, video))
        if encoder is not None:
            sink.notes.append(encoder.note)
            place = replace(place, stays=True)
        yield Ends(source, sink, place, encoder)


def _check_alpha(config: TranscodeConfig, source: Source, video: VideoFormat, sink: Sink) -> None:
    """Refuse an output in which nothing would be seen of people who were cut out.

    Raises:
        ConfigError: it does not hold alpha, and the source had none before.
    """
    found = next((note for note in sink.notes if note.startswith(ALPHA_LEFT_OUT)), None)
    if video.alpha and not source.format.alpha and found is not None:
        raise ConfigError(
            f"{config.output}: nothing would be seen of what is cut out: {found}. Take .webm, .mov with "
            "--codec prores, a .png or a folder of them; or put something behind the person: "
            "--effect backdrop:colour=green"
        )


def comparison_notes(config: TranscodeConfig, video: VideoFormat) -> list[str]:
    """Return what is to be said of pictures of another size because they show before and after.

    Args:
        config: the settings.
        video: format of what is encoded.
    """
    if config.compare not in ("side", "stack"):
        return []
    height, width = video.size
    return [Converted(f"pictures are {width}x{height}: they show before and after")]


@contextmanager
def open_parts(
    config: TranscodeConfig,
    stats: Stats,
    *,
    own_source: Source | None = None,
    own_sink: Sink | None = None,
    written: bool = True,
    encoding: Encoding | None = None,
) -> Iterator[Parts]:
    """Open source, sink and effects; the effects last, because they may have to be compiled first.

    A frame generated by one thread costs less processor time than one shared among several, so for files
    there are as many workers as processors. A live frame must be ready soon, so all threads work on it.

    Args:
        config: the settings in full.
        stats: stats of the run.
        own_source: source read instead of the configuration's input; None: that input.
        own_sink: sink written to instead of the configuration's output; None: that output.
        written: whether anything is written, as in `open_ends`.
        encoding: settings of the encoder; None: those of the configuration.
    """
    queued = max(config.queue.capture or 0, config.queue.encode or 0)
    place = find_placement(config.device, config.backend, config.workers or MOST_IN_FLIGHT, queued)
    with open_ends(
        config, place, own_source=own_source, own_sink=own_sink, written=written, encoding=encoding
    ) as ends:
        source, sink = ends.source, ends.sink
        notes = (*source.notes, *sink.notes)
        said = say(notes)  # before the effects are opened, which may take a while
        if config.strict:
            refuse_losses(config.output, notes)
        workers = config.workers or (1 if source.live else most_workers(config.threads, ends.place))
        with open_effects(config, source, workers, stats, ends.place) as effects:
            yield Parts(
                numbered(source, effects),
                effects,
                sink,
                replace(flow_of(config, source, workers), alike=effects.chain.alike),
                process=_process_of(config, source, effects),
                workers=workers,
                file=None if own_sink else Path(config.output),
                said=said,
            )


def most_workers(threads: int | None, place: Placement) -> int:
    """Return how many frames of a film are generated at a time, where nobody says."""
    most = MOST_WORKERS if place.device_context is None else MOST_IN_FLIGHT
    return min(threads or usable_cores(), most)


def choose_tracks(config: TranscodeConfig, source: Source) -> None:
    """Keep of the source's tracks those that are wanted; its notes say which are not.

    Raises:
        ConfigError: one that was asked for is not there; the message lists those that are.
    """
    other_tracks = source.other_tracks or OtherTracks()
    source.notes.extend(keep_wanted(config.tracks, other_tracks, source.name))


def made_format(config: TranscodeConfig, video: VideoFormat) -> VideoFormat:
    """Return the format of the frames that are written for those of a source.

    Raises:
        ConfigError, EngineNotFoundError, EngineCorruptError: see `output_format`.
    """
    return compared_format(config.compare, output_format(config.effects, video))


def _process_of(config: TranscodeConfig, source: Source, effects: Effects) -> Callable[[Frame], Frame] | None:
    """Return what is done with each frame; None: no more than the effects do."""
    process: Callable[[Frame], Frame] = effects.chain.process
    if source.format.alpha:
        process = opaque_within(process)
    if config.compare is not None:
        process = compared(process, config.compare)
    return None if process == effects.chain.process else process


def preparation_for(config: TranscodeConfig) -> Preparation:
    """Return what is done to decoded pictures first, for what is to be written."""
    from streamfx.capture.files.preparation import Preparation
    from streamfx.encode.files.pictures import takes_any_size

    return Preparation(
        config.deinterlace,
        upright=shows_as_coded(config.output),
        alpha=config.pixel_format is None and holds_alpha(config.output, config.codec),
        alone=takes_any_size(config.output),
        part=config.part,
        geometry=config.geometry,
        rate_fps=config.rate_fps,
    )


def open_output(
    config: TranscodeConfig,
    source: Source,
    video: VideoFormat,
    encoder: Encoder | None,
    *,
    written: bool = True,
    encoding: Encoding | None = None,
) -> Sink:
    """Open what is to be written; ``encoder`` is that of a device, if it is one's.

    Without ``written``, only what would be refused is refused, and nothing is there. ``encoding`` stands for
    that of the configuration.
    """
    from streamfx.capture.files.pictures import PictureSource
    from streamfx.encode.files.pictures import Photos

    if config.limits.frames is not None and video.frame_count is not None:
        video = replace(video, frame_count=min(video.frame_count, config.limits.frames))
    encoding = replace(encoding or config.encoding, written=written)
    return open_sink(
        config.output,
        format=video,
        other_tracks=source.other_tracks,
        source_path=Path(config.input),
        packing=encoder.packing if encoder else None,
        photos=Photos(source.names, source.photos) if isinstance(source, PictureSource) else None,
        encoding=encoder.encoding(encoding) if encoder else encoding,
    )


def flow_of(config: TranscodeConfig, source: Source, workers: int) -> Flow:
    """Return the settings of the flow that the configuration of a film asks for."""
    from streamfx.capture.files.pictures import PictureSource

    queue, limits = config.queue, config.limits
    alone = isinstance(source, PictureSource) and source.alone
    return Flow(
        policy=None if queue.policy == "auto" else Policy(queue.policy),
        capture_capacity=queue.capture or (2 if source.live else workers + 1),
        encode_capacity=queue.encode or workers + 2,
        frame_limit=limits.frames,
        decode_failures_in_a_row=limits.decode_failures_in_a_row,
        decode_failures=limits.decode_failures,
        read_limit_seconds=limits.read_seconds,
        memories=None if alone else FrameMemories(),
    )
