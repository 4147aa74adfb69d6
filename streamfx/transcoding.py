"""Transcoding: one call from a source to a finished, checked output and its report. Joins all the parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from os import PathLike, fspath
from typing import TYPE_CHECKING

from streamfx.config.transcode import TranscodeConfig, load_config
from streamfx.run.assembly import Progress, run_parts
from streamfx.run.film import open_parts
from streamfx.run.report import Report

if TYPE_CHECKING:
    pass


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
        from streamfx.resume.resuming import run_resumable

        return run_resumable(config, progress)
    return run_parts(config, partial(open_parts, config), progress)
