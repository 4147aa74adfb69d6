"""Transcoding: one call from a source to a finished, checked output and its report. Joins all the parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from os import PathLike

from streamfx.capture.source import Source
from streamfx.config.loading import configured
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.sink import Sink
from streamfx.errors import ConfigError
from streamfx.run.assembly import Progress, run_parts
from streamfx.run.film import open_parts
from streamfx.run.report import Report


def transcode(
    input: str | PathLike[str] | Source,
    output: str | PathLike[str] | Sink,
    *,
    effects: Sequence[str] = (),
    start: float | str | None = None,
    end: float | str | None = None,
    duration: float | str | None = None,
    crop: str | None = None,
    rotate: int = 0,
    flip: str | None = None,
    size: str | None = None,
    fps: float | str | None = None,
    compare: str | None = None,
    factor: float | str = "auto",
    speed: float = 1.0,
    backend: str = "auto",
    device: str = "auto",
    deinterlace: str = "auto",
    container: str | None = None,
    codec: str | None = None,
    pixel_format: str | None = None,
    preset: str | None = None,
    quality: int | None = None,
    bitrate: int | str | None = None,
    size_limit: int | str | None = None,
    audio: str = "auto",
    audio_tracks: str | Sequence[str | int] = (),
    audio_bitrate: int | str | None = None,
    subtitles: str = "auto",
    subtitle_tracks: str | Sequence[str | int] = (),
    attachments: str = "keep",
    chapters: str = "keep",
    threads: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    strict: bool = False,
    verify: bool = True,
    resume: bool = False,
    segment_seconds: float = 10.0,
    cluster: str | None = None,
    report: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Change how a video looks and write a new one; return the report of what came of it.

    Args:
        input: source: a video file, '-' for standard input, pictures (a folder, frames/%05d.png),
            test:bars.
        output: output: a video file (its ending picks the container), '-' for standard output, pictures,
            or null:.
        effects: effect and its controls ('streamfx effects' lists them); several are applied in order.
        start: first moment wanted, in seconds or as H:MM:SS.mmm; the beginning by default.
        end: moment to end before, in seconds or as H:MM:SS.mmm; the end of the film by default.
        duration: length wanted, instead of an end, in seconds or as H:MM:SS.mmm.
        crop: part of the picture to keep: 640x480 (from its middle), 640x480+LEFT+TOP, a shape, 16:9, or
            auto (without the black bars).
        rotate: turn of the picture, clockwise: 90, 180 or 270 degrees.
        flip: mirroring: horizontal (left and right change places) or vertical.
        size: size to scale the picture to, before effects: 1280x720, 1280x, x720, or 720p (its shorter
            side).
        fps: frames a second, 25 or 30000/1001 for instance, for which pictures are dropped or repeated;
            that of the video by default.
        compare: comparison of before and after in one film: split (half and half), side (beside each
            other) or stack (above each other).
        factor: reduction of the picture that the network sees: 1, 1.5, 2, 3, 4, 6, 8 times, or auto: the
            smallest that keeps up with the source.
        speed: speed to reach, in times of real time, for the factor auto.
        backend: library that runs the network ('streamfx devices' lists them); auto: the fastest here.
        device: place of the frames and the network: auto (a GPU where one can be used), cpu, cuda, or
            cuda:1 for the second GPU.
        deinterlace: deinterlacing: auto (of pictures flagged as interlaced), off, bwdif or yadif (of
            all).
        container: container of what goes to standard output: mkv (by default), nut, y4m, ts, webm, mp4 or
            mov; the ending of a file picks its own.
        codec: video codec; one that fits the output by default.
        pixel_format: pixel format to convert to, as FFmpeg names it (yuv420p); that of the video by
            default.
        preset: speed of the encoder against size of the output, as the codec names it.
        quality: constant quality, as the codec counts it (lower is better).
        bitrate: bits a second of the pictures on average, instead of a quality: 2M, 800k.
        size_limit: size that the whole output must not exceed, kept in two passes: 25M (25 000 000
            bytes), 25MiB, 1.5G.
        audio: sound: auto (copied, or converted where the output needs it), copy, none, or a codec for
            all of it: aac, opus, mp3, ac3, eac3, vorbis, flac, alac, pcm.
        audio_tracks: sound tracks, in order, by language or by number from 1 on: eng,jpn or 2,1; jpn? is
            one that may be missing; all by default.
        audio_bitrate: bits a second of each sound that is converted to the codec named, 128k for
            instance.
        subtitles: subtitles: auto (copied, or converted where the output needs it), copy, convert (text
            to what the container usually has), none, or a format: srt, ass, webvtt, mov_text.
        subtitle_tracks: subtitle tracks, by language or number as for sound; all by default.
        attachments: attached files, such as fonts, and cover pictures: keep or none.
        chapters: chapters: keep or none.
        threads: number of processor threads to use; all by default.
        workers: number of frames generated at a time; what is fastest by default.
        overwrite: replacement of an output file that exists.
        strict: refusal of an output that would lack something of the source.
        verify: comparison of finished files, read again, with the account.
        resume: work in segments that survive a crash, after those that an earlier run finished.
        segment_seconds: least length of a segment, in seconds, for resume; key frames and cuts end one.
        cluster: cluster of machines that do the segments of the film, or the files of a batch: auto (that of
            this machine, or one of this machine alone) or HOST:PORT of its head; needs the extra cluster.
        report: file for the account of every frame, as JSON.
        progress: callback that is called now and then, in this thread, with the state of the run.

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
        progress: callback that is called now and then, in this thread, with the state of the run.
        source: source read instead of the configuration's input, and closed; None: that input.
        sink: sink written to instead of the configuration's output; None: that output.
    """
    if source is not None and (config.part or config.geometry or config.crop or config.rate_fps):
        raise ConfigError(
            f"{source.name}: a source of one's own is taken as it comes; leave start, end, duration, crop, "
            "rotate, flip, size and fps out"
        )
    if config.crop == "auto":
        from streamfx.run.black_bars import with_bars_found

        config = with_bars_found(config)
    if config.size_limit is not None:
        if source is not None or sink is not None:
            raise ConfigError(
                "size_limit: takes a file that can be read twice, and writes a file; give files"
            )
        from streamfx.run.size_limit import run_within_limit

        if not config.resume and config.cluster is None:
            return run_within_limit(config, progress)
    if config.cluster is not None or config.resume:
        what = "resume" if config.cluster is None else "cluster"
        if source is not None or sink is not None:
            raise ConfigError(f"{what}: a source or sink of one's own cannot be gone on with; give files")
    if config.cluster is not None:
        from streamfx.cluster.film import run_on_cluster

        return run_on_cluster(config, progress)
    if config.resume:
        from streamfx.resume.resuming import run_resumable

        return run_resumable(config, progress)
    return run_parts(config, partial(open_parts, config, own_source=source, own_sink=sink), progress)
