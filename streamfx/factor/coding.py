"""Coding: what a run decodes and encodes, as its configuration says, and which quicker presets there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from streamfx.factor.workload import CodedOutput, Workload
from streamfx.media.frame import VideoFormat

_KEPT_AS_THEY_ARE = ("null:", "virtual:", "window:")
_PAGE = "web:"
_WITH_QUICKER = {"h264", "hevc"}
_QUICKER = ("superfast", "ultrafast")
"""Presets of x264 and x265 for who has no time; each costs some quality, or bits, for the same picture."""


class RunSettings(Protocol):
    """What the choice follows from in the configuration of a run, of a file or live."""

    @property
    def input(self) -> str: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def effects(self) -> tuple[str, ...]: ...
    @property
    def factor(self) -> int | float | Literal["auto"]: ...
    @property
    def speed(self) -> float: ...
    @property
    def codec(self) -> str | None: ...
    @property
    def preset(self) -> str | None: ...
    @property
    def threads(self) -> int | None: ...


def workload_of(
    config: RunSettings,
    video: VideoFormat,
    *,
    one_at_a_time: bool,
    presets: Mapping[str, str] = MappingProxyType({}),
) -> Workload:
    """Return what a run has to do for each frame, effects apart.

    Args:
        config: config of the run.
        video: format of the frames.
        one_at_a_time: whether all cores work on one frame (live), or on one each (files).
        presets: presets that are used where the configuration names none, by codec.
    """
    encodings = (coded_output(output, config, video, presets) for output in config.outputs)
    return Workload(
        video.size,
        video.subsampling,
        video.depth,
        decode=_decoding(config.input),
        encodings=tuple(encoding for encoding in encodings if encoding is not None),
        one_at_a_time=one_at_a_time,
    )


def _decoding(source: str) -> str:
    """Return the codec that a source most likely comes in: nothing of it is open yet."""
    if source.startswith("camera:"):
        return "raw" if "format=" in source else "mjpeg"  # what cameras are asked for first
    if source.startswith("browser:"):
        return "vp8"
    return "raw" if source.startswith("test:") else "h264"


def preset_choices(config: RunSettings, video: VideoFormat, *, live: bool) -> Iterator[Mapping[str, str]]:
    """Yield presets by codec, the usual ones first, then what is quicker, where a live run may choose."""
    yield {}
    if not live or config.preset is not None:
        return
    coded = (coded_output(output, config, video) for output in config.outputs)
    codecs = sorted({output.codec for output in coded if output is not None} & _WITH_QUICKER)
    if codecs:
        yield from (dict.fromkeys(codecs, preset) for preset in _QUICKER)


def coded_output(
    output: str, config: RunSettings, video: VideoFormat, presets: Mapping[str, str] = MappingProxyType({})
) -> CodedOutput | None:
    """Return how an output is encoded; None where nothing is."""
    from streamfx.encode.codecs import find_codec
    from streamfx.encode.containers import CONTAINERS, named_codec
    from streamfx.encode.network.targets import is_route
    from streamfx.encode.pixel_format import usual_codec

    ending = Path(output).suffix.lower()
    container = CONTAINERS.get(ending)
    if output.startswith(_PAGE):
        return CodedOutput("mjpeg", None)  # while somebody looks; the governor sees the rest
    if is_route(output):
        codec = find_codec(config.codec or "h264")
    elif output.startswith(_KEPT_AS_THEY_ARE):
        return None
    elif output.startswith("browser:"):
        return CodedOutput("vp8", "5")  # compressed by aiortc, in real time
    elif container is not None and config.codec is None:
        codec = usual_codec(container, video)
    elif container is not None:
        codec = named_codec(output, ending, container, config.codec or "")
    else:
        return CodedOutput("png", None)
    usual = codec.preset.default if codec.preset else None
    return CodedOutput(codec.name, config.preset or presets.get(codec.name, usual))
