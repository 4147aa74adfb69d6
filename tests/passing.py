"""Reads a source and writes a sink without any effect between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamfx.capture.files.preparation import Preparation
from streamfx.capture.opening import open_source
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.file import FileSink
from streamfx.encode.opening import open_sink
from streamfx.encode.sink import Sink
from streamfx.errors import DecodeError


def pass_through(
    source_text: Path | str, target_text: Path | str, preparation: Preparation | None = None, **settings: Any
) -> Sink:
    """Copy every frame from a source to a sink, finish it and return it; broken frames are skipped."""
    source = open_source(str(source_text), preparation=preparation)
    try:
        sink = open_sink(
            str(target_text),
            format=source.format,
            other_tracks=source.other_tracks,
            source_path=Path(source_text),
            encoding=Encoding(**settings),
        )
        try:
            while True:
                try:
                    frame = source.read()
                except DecodeError:
                    continue
                if frame is None:
                    break
                sink.write(frame)
            sink.finish()
        finally:
            sink.abort()
        return sink
    finally:
        source.close()


def pass_file(source: Path | str, target: Path | str, **settings: Any) -> FileSink:
    """Like ``pass_through``, for a video file as the target."""
    sink = pass_through(source, target, **settings)
    assert isinstance(sink, FileSink)
    return sink
