"""Transcoding: one call from a source to a finished, checked output and its report. Joins all the parts."""

from __future__ import annotations

from functools import partial
from os import PathLike
from typing import Unpack

from streamfx.capture.source import Source
from streamfx.config.arguments import takes_settings
from streamfx.config.loading import configured
from streamfx.config.transcode import TranscodeArguments, TranscodeConfig
from streamfx.encode.sink import Sink
from streamfx.errors import ConfigError
from streamfx.run.assembly import Progress, run_parts
from streamfx.run.film import open_parts
from streamfx.run.report import Report


@takes_settings(TranscodeConfig, TranscodeArguments)
def transcode(
    input: str | PathLike[str] | Source,
    output: str | PathLike[str] | Sink,
    *,
    progress: Progress | None = None,
    **options: Unpack[TranscodeArguments],
) -> Report:
    """Change how a video looks and write a new one; return the report of what came of it.

    Args:
        input: source: a video file, '-' for standard input, pictures (a folder, frames/%05d.png),
            test:bars.
        output: output: a video file (its ending picks the container), '-' for standard output, pictures,
            or null:.
        **options: settings by name, those of `TranscodeConfig`; ``help(streamfx.transcode)`` tells each.
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
    source = None if isinstance(input, str | PathLike) else input
    sink = None if isinstance(output, str | PathLike) else output
    named = {
        "input": input if source is None else source.name,
        "output": output if sink is None else sink.name,
    }
    return run_config(configured(TranscodeConfig, {**options, **named}), progress, source=source, sink=sink)


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
