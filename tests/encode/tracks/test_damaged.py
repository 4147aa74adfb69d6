"""Sound of which damage left no format is not converted, and nothing breaks on it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import av
import pytest

from streamfx.encode.tracks.audio import SoundConverter


def test_sound_without_a_sample_format_is_refused_by_the_converter() -> None:
    decoder = av.CodecContext.create("flac", "r")
    decoder.layout = "stereo"
    assert getattr(decoder, "format") is None  # noqa: B009  # its type says otherwise
    source: Any = SimpleNamespace(template=SimpleNamespace(codec_context=decoder))
    out = av.open(io.BytesIO(), "w", format="matroska")
    with pytest.raises(ValueError, match="the format of its samples is unknown"):
        SoundConverter(source, out, "flac")
