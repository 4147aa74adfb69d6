"""Decides how a video file is written: container, codec, pixel format, colours; refuses what does not go
together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from streamfx.encode.codecs import Codec
from streamfx.encode.containers import Container, find_container, named_codec
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.animation_times import PACES
from streamfx.encode.files.matroska import shown_size
from streamfx.encode.hdr import carries_hdr
from streamfx.encode.pixel_format import RGB_FORMATS, choose_pixel_format, coded_size, usual_codec
from streamfx.errors import ConfigError
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import CodeRange, Colour, Subsampling, VideoFormat
from streamfx.media.notes import ALPHA_LEFT_OUT, Converted, LeftOut

_RGB_WITH_ALPHA = ("pal8", "bgra", "rgba", "rgba64be")
_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le"}  # hold the same samples in another order


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """Everything about an output that follows from its name, its frames and the encoding.

    Attributes:
        name: name of the output, for messages.
        ending: ending of the file, or what else the output is called in messages (RTMP).
        video: format of the frames.
        container: kind of file.
        codec: codec of the video.
        pix_fmt: FFmpeg's name of the pixel format it is coded in.
        size: (height, width) that is coded: the video's own, or larger by a row or column.
        colour: colour description of what is coded; differs from the video's where the codec holds one range.
        encoder_options: encoder options as FFmpeg spells them.
        threads: encoder threads; 0: the encoder chooses.
        low_delay: the encoder keeps no picture back.
        played: pictures are converted to what ordinary players play.
    """

    name: str
    ending: str
    video: VideoFormat
    container: Container
    codec: Codec
    pix_fmt: str
    size: tuple[int, int]
    colour: Colour
    encoder_options: dict[str, str]
    threads: int
    low_delay: bool = False
    played: bool = False

    def conversions(self) -> list[str]:
        """Return what is done to the samples before they are coded, and what is lost, for the report."""
        video, notes, codec = self.video, list[str](), self.codec.name
        alpha = "yuva" in self.pix_fmt or self.pix_fmt in _RGB_WITH_ALPHA
        own = planar_name(video.subsampling, video.depth, alpha=video.alpha)
        if video.top_field_first is not None and not self.codec.keeps_fields:
            notes.append(LeftOut(f"that pictures are interlaced is left out: {codec} does not say it"))
        if video.alpha and not alpha:
            notes.append(LeftOut(f"{ALPHA_LEFT_OUT}: {self.ending} with {codec} does not hold it"))
            own = planar_name(video.subsampling, video.depth)
        if (shape := video.sample_aspect_ratio) not in (None, 1) and not self.states_shape:
            notes.append(
                LeftOut(f"that pixels are {shape} wide to high is left out: {codec} has square ones")
            )
        if shape not in (None, 1) and self.container.muxer == "webm":
            shown = shown_size(self.size, shape, pixels_only=True)
            stated = Fraction(shown.width * self.size[0], shown.height * self.size[1])
            if stated != shape:
                notes.append(
                    Converted(f"pixels are {float(stated):.4f} wide to high, not {float(shape):.4f}")
                )
        notes += [*self._too_fast(), *self._unstated()]
        if self.pix_fmt == "pal8":
            half = "; pixels show or do not, in between there is nothing" if video.alpha else ""
            return [*notes, Converted(f"GIF holds 256 colours a picture; they are chosen for each{half}")]
        if self.size != video.size:
            sizes = f"{self.size[1]}x{self.size[0]} instead of {video.size[1]}x{video.size[0]}"
            notes.append(
                Converted(f"pictures are {sizes}, the last row or column repeated: {codec} wants even sizes")
            )
        if self._is_rgb:
            notes += self._lossy_rgb()
        elif _PLANAR.get(self.pix_fmt, self.pix_fmt) != own:
            why = "what players play" if self.played else codec
            notes.append(Converted(f"pictures are converted from {own} to {self.pix_fmt} for {why}"))
        if self.colour.code_range not in (video.colour.code_range, video.colour.assumed(0).code_range):
            notes.append(Converted(f"pictures are converted to {self.colour.code_range} range for {codec}"))
        if video.hdr is not None and not carries_hdr(self.codec.encoder, self.pix_fmt):
            notes.append(LeftOut(f"HDR metadata is left out: {codec} in {self.pix_fmt} does not carry it"))
        return notes

    @property
    def _is_rgb(self) -> bool:
        """Whether what is coded has its colours by itself, and no matrix."""
        return self.pix_fmt == "pal8" or self.pix_fmt in RGB_FORMATS

    def _lossy_rgb(self) -> Iterator[str]:
        """Yield what becomes of samples in WebP, as for stills; PNG holds all that a picture has."""
        if self.codec.name != "webp":
            return
        if self.video.depth > 8:
            yield Converted(f"WebP holds 8 bits of the {self.video.depth}")
        if self.video.subsampling is not Subsampling.YUV420 and "lossless" not in self.encoder_options:
            yield Converted("WebP holds colours at half the resolution")

    def _unstated(self) -> Iterator[str]:
        """Yield what the container does not say of the pictures."""
        video, ending = self.video, self.ending
        if not self.container.times:
            rate = f"{float(video.rate_fps):g} a second" if video.rate_fps else "a steady rate"
            yield Converted(f"pictures are shown at {rate}, whatever their times: {ending} has none")
        meaning = replace(video.colour, code_range=CodeRange.UNKNOWN)
        if not self.container.colours and not self._is_rgb and meaning != Colour():
            what = "matrix, primaries, transfer, place of chroma"
            yield LeftOut(f"the meaning of colours ({what}) is left out: {ending} does not state it")

    def _too_fast(self) -> list[str]:
        """Return what is to be said of more pictures a second than the container has times for."""
        rate_fps, tick_seconds = self.video.rate_fps, self.container.tick_seconds
        if rate_fps is None:
            return []
        if (pace := PACES.get(self.container.muxer)) is not None and rate_fps > pace.most_fps:
            most = f"pictures beyond {float(pace.most_fps):.3g} a second are left out"
            return [LeftOut(f"{most}: {pace.name} shows no more of them")]
        if tick_seconds is not None and rate_fps * tick_seconds > 1:
            unit = f"{float(tick_seconds * 1000):.3g} ms"
            times = f"{self.ending} counts in {unit}, and there are {float(rate_fps):g} pictures a second"
            return [Converted(f"times of pictures coincide: {times}")]
        return []

    @property
    def states_shape(self) -> bool:
        """Whether the output says the shape of pixels that are not square."""
        container = self.container
        return container.pixel_shape or container.display_size or self.codec.states_pixel_shape


def too_many_pixels(name: str, size: tuple[int, int], most: int) -> str:
    """Return that pictures of a (height, width) are larger than WebP, whose most that is, allows."""
    return (
        f"{name}: WebP holds pictures of at most {most} pixels a side, and these are {size[1]}x{size[0]}; "
        "make them smaller (--size), or choose another kind"
    )


def plan_output(path: Path, video: VideoFormat, encoding: Encoding) -> OutputPlan:
    """Return how to write ``video`` to ``path``.

    Raises:
        ConfigError: codec, preset, quality, container and pictures do not go together; the message says what
            does.
    """
    return plan(str(path), path.suffix, find_container(path), video, encoding)


def plan(name: str, ending: str, container: Container, video: VideoFormat, encoding: Encoding) -> OutputPlan:
    """Return how to write ``video`` into a container, to whatever output.

    Args:
        name: name of the output, for messages.
        ending: name of this kind of output in messages.
        container: container of the output.
        video: format of the frames.
        encoding: codec and settings of the encoder.

    Raises:
        ConfigError: see ``plan_output``.
    """
    if (most := container.most_pixels) is not None and max(video.size) > most:
        raise ConfigError(too_many_pixels(name, video.size, most))
    played = encoding.codec is None and encoding.pixel_format is None and container.for_players
    if encoding.codec is None:
        codec = usual_codec(container, video)
    else:
        codec = named_codec(name, ending, container, encoding.codec)
    played = played and codec.name != "prores"
    pix_fmt = choose_pixel_format(
        codec, video, encoding.pixel_format, alpha=codec.name in container.alpha, played=played
    )
    preset = encoding.preset
    if preset is None and codec.name == "prores" and "444" in pix_fmt:
        preset = "4444"
    options = codec.options(preset, encoding.quality, encoding.bits_per_second) | dict(encoding.options)
    if encoding.turn is not None:
        options = codec.options_of_pass(encoding.turn, options)
    if "yuva" in pix_fmt and codec.encoder.startswith("libvpx"):
        options.setdefault("auto-alt-ref", "0")  # hidden pictures have no alpha, and VP8 refuses them with it
    colour = video.colour
    if (code_range := codec.code_range or container.code_range) is not None:
        colour = replace(colour, code_range=code_range)
    return OutputPlan(
        name,
        ending,
        video,
        container,
        codec,
        pix_fmt,
        coded_size(codec, pix_fmt, video.size),
        colour,
        options,
        encoding.threads or 0,
        played=played,
    )
