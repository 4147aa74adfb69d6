"""Decides how a video file is written: container, codec, pixel format, colours; refuses what does not go
together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from streamfx.av_planes import planar_name
from streamfx.encode.codecs import Codec
from streamfx.encode.containers import Container, check_pixel_shape, codec_for, find_container
from streamfx.encode.pixel_format import choose_pixel_format
from streamfx.frame import Colour, VideoFormat
from streamfx.notes import Converted, LeftOut


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How to encode; None is the codec's default, or the video's own.

    Attributes:
        codec: h264, hevc, av1, vp9, ffv1, prores, …; None: what the container usually holds.
        preset: a name of the codec's presets.
        quality: a number on the codec's quality scale (CRF for most); smaller is better.
        threads: encoder threads; None: the encoder chooses.
        pixel_format: FFmpeg's name of a format to convert to, such as yuv420p; may lose detail.
        options: further options for the encoder, as FFmpeg spells them.
        overwrite: whether a file of that name may be replaced (once the new one is complete).
    """

    codec: str | None = None
    preset: str | None = None
    quality: int | None = None
    threads: int | None = None
    pixel_format: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    overwrite: bool = True


_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le"}  # hold the same samples in another order


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """Everything about an output that follows from its name, its frames and the settings.

    Attributes:
        name: of the output, for messages.
        ending: of the file, or what else the output is called in messages (RTMP).
        video: format of the frames.
        container: kind of file.
        codec: what the video is coded with.
        pix_fmt: FFmpeg's name of the pixel format it is coded in.
        colour: colour description of what is coded; differs from the video's where the codec holds one range.
        encoder_options: as FFmpeg spells them.
        threads: encoder threads; 0: the encoder chooses.
        low_delay: the encoder keeps no picture back.
    """

    name: str
    ending: str
    video: VideoFormat
    container: Container
    codec: Codec
    pix_fmt: str
    colour: Colour
    encoder_options: dict[str, str]
    threads: int
    low_delay: bool = False

    def conversions(self) -> list[str]:
        """Return what is done to the samples before they are coded, one sentence each, for the report."""
        own, notes = planar_name(self.video.subsampling, self.video.depth), list[str]()
        if self.video.top_field_first is not None and not self.codec.keeps_fields:
            notes.append(
                LeftOut(f"that pictures are interlaced is left out: {self.codec.name} does not say it")
            )
        if self.pix_fmt == "pal8":
            return [*notes, Converted("GIF holds 256 colours a picture; they are chosen for each")]
        if _PLANAR.get(self.pix_fmt, self.pix_fmt) != own:
            notes.append(
                Converted(f"pictures are converted from {own} to {self.pix_fmt} for {self.codec.name}")
            )
        if self.colour.code_range is not self.video.colour.assumed(0).code_range and self.codec.code_range:
            notes.append(
                Converted(f"pictures are converted to {self.colour.code_range} range for {self.codec.name}")
            )
        return notes


def plan_output(path: Path, video: VideoFormat, settings: EncodeSettings) -> OutputPlan:
    """Return how to write ``video`` to ``path``.

    Raises:
        ConfigError: codec, preset, quality, container and pictures do not go together; the message says what
            does.
    """
    return plan(str(path), path.suffix, find_container(path), video, settings)


def plan(
    name: str, ending: str, container: Container, video: VideoFormat, settings: EncodeSettings
) -> OutputPlan:
    """Return how to write ``video`` into a container, to whatever output.

    Args:
        name: of the output, for messages.
        ending: what the kind of output is called in messages.
        container: what it is.
        video: format of the frames.
        settings: how to encode.

    Raises:
        ConfigError: see ``plan_output``.
    """
    codec = codec_for(name, ending, container, settings.codec)
    pix_fmt = choose_pixel_format(codec, video, settings.pixel_format, container.codecs)
    check_pixel_shape(name, ending, container, codec, video)
    options = codec.options(settings.preset, settings.quality) | dict(settings.options)
    colour = video.colour
    if codec.code_range is not None:
        colour = replace(colour, code_range=codec.code_range)
    return OutputPlan(name, ending, video, container, codec, pix_fmt, colour, options, settings.threads or 0)
