"""Completeness: whether the output holds all that came in, and all came in that the source promised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streamfx.capture.source import Source
from streamfx.encode.files.file import FileSink
from streamfx.encode.files.verify import verify_output
from streamfx.encode.sink import Sink
from streamfx.pipeline.flow import Ending, RunResult

_TOLERANCE_SECONDS = 1.0  # containers round durations, and count the last frame or not


def differences(
    source: Source, sink: Sink, result: RunResult, *, whole: bool, verify: bool
) -> tuple[list[str], list[str]]:
    """Return what does not add up, and what is merely worth knowing, one sentence each.

    Args:
        source: source that was read, still open.
        sink: sink that was written to.
        result: outcome of the run.
        whole: all of the source was asked for, not the first frames only.
        verify: read a finished video file again.
    """
    wrong = list(result.account.differences(result.packets_written))
    notes: list[str] = []
    if whole and result.ending is Ending.COMPLETE:
        wrong += _fewer_than_promised(source, result, notes)
    if isinstance(sink, FileSink) and result.packets_written and not sink.through:
        if verify:
            wrong += [f"{sink.name}: {found}" for found in verify_output(sink.path, sink.expected())]
        if whole and result.ending is Ending.COMPLETE and not wrong:
            wrong += _shorter_than_promised(source, sink)
    return wrong, notes


def _fewer_than_promised(source: Source, result: RunResult, notes: list[str]) -> Iterator[str]:
    promised, came = source.format.frame_count, result.account.frames_in
    if source.shortfall:
        yield f"{source.name}: promises {promised} frames, and {source.shortfall} of them are not in it"
    elif promised is not None and came < promised:
        # An MP4 that was cut without decoding holds more frames than it asks to be shown.
        notes.append(f"{source.name}: holds {promised} frames, of which {came} are to be shown")


def _shorter_than_promised(source: Source, sink: FileSink) -> Iterator[str]:
    """Compare durations: where no frame count is stated (Matroska), only they show that a file was cut off.

    The output's is that of its longest stream, as the source's may be; so a video that is meant to end before
    its sound is not taken for one that was cut off, as long as the sound is in the output, or was read though
    it is not wanted.
    """
    promised_seconds = source.format.duration_seconds
    sound = (
        sum(stream.kind == "audio" for stream in source.other_tracks.streams) if source.other_tracks else 0
    )
    copied = sum(stream.kind == "audio" for stream in sink.expected().streams)
    if promised_seconds is None or copied < sound:
        return
    output_seconds = _duration_seconds(sink.path)
    unwanted = None if source.other_tracks is None else source.other_tracks.unwanted_end_seconds
    if output_seconds is not None and unwanted is not None:
        output_seconds = max(output_seconds, float(unwanted))
    if output_seconds is not None and output_seconds < promised_seconds - _TOLERANCE_SECONDS:
        yield (
            f"{source.name}: promises {promised_seconds:.2f} s, but ends after {output_seconds:.2f} s; "
            "it may have been cut off"
        )


def _duration_seconds(path: Path) -> float | None:
    import av

    with av.open(f"file:{path.absolute()}", metadata_errors="surrogateescape") as container:
        return None if container.duration is None else container.duration / av.time_base
