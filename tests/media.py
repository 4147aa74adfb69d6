"""Clips made in code: small, real, encoded with the same library that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamfx.capture.pattern import PatternSource
from streamfx.media.frame import Colour, Planes, Subsampling

_SUBSAMPLINGS = {"420": Subsampling.YUV420, "422": Subsampling.YUV422, "444": Subsampling.YUV444}
_LOSSLESS = {"libx264": {"qp": "0"}, "libx265": {"x265-params": "lossless=1:log-level=error"}}
_QUICK = {"libx264": {"preset": "ultrafast", "crf": "10"}, "libx265": {"preset": "ultrafast"}}
_ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment, Encoding
Style: Default,Arial,16,&Hffffff,2,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def stamped_planes(
    size: tuple[int, int], index: int, subsampling: Subsampling = Subsampling.YUV420, depth: int = 8
) -> Planes:
    """Return the test picture with number ``index`` stamped in (see ``streamfx.capture.pattern``)."""
    short = subsampling.value.replace(":", "")
    text = f"test:bars?size={size[1]}x{size[0]}&frames=0&depth={depth}&subsampling={short}"
    return PatternSource(text).planes(index)


def make_clip(
    path: Path | str,
    *,
    size: tuple[int, int] = (72, 128),
    frames: int = 20,
    rate: int | Fraction = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    audio: bool | int = True,
    audio_codec: str | None = None,
    audio_layout: str = "mono",
    audio_delay_seconds: float = 0.0,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    colour: Colour | None = None,
    sample_aspect_ratio: Fraction | None = None,
    rotation_degrees: int = 0,
    b_frames: int | None = None,
    lossless: bool = False,
    subtitles: Sequence[str] = (),
    chapters: Sequence[str] = (),
    metadata: dict[str, str] | None = None,
    audio_language: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a clip of the stamped test picture and return its path.

    Args:
        path: path of the clip; the ending says the container.
        size: (height, width) in pixels.
        frames: number of pictures.
        rate: frames per second.
        codec: FFmpeg name of the video encoder.
        pix_fmt: any pixel format the encoder takes; planar YUV ones get the exact test picture.
        audio: a tone for as long as the pictures; a number gives so many streams.
        audio_codec: FFmpeg name of the audio encoder; None: what the container usually holds.
        audio_layout: FFmpeg's name of the channels; all have the same tone.
        audio_delay_seconds: time by which the sound starts later than the picture.
        times: presentation times in units of ``time_base`` for a variable frame rate; None: constant.
        time_base: unit of ``times``, in seconds; None: 1/1000 with ``times``, else one frame.
        colour: colour tags.
        sample_aspect_ratio: shape of a pixel.
        rotation_degrees: counter-clockwise rotation asked of the player (mp4, mov).
        b_frames: most B-frames in a row; None: the encoder's choice.
        lossless: code without loss (libx264, libx265), so that pixels can be compared.
        subtitles: one line of text each for one second (mkv, mp4, mov).
        chapters: one chapter each over equal parts.
        metadata: tags of the file.
        audio_language: language tag of the audio streams.
        options: further options of the video encoder.
        container_options: options of the container, such as ``{"movflags": "frag_keyframe+empty_moov"}``.
    """
    path = Path(path)
    base = time_base or (Fraction(1, 1000) if times is not None else 1 / Fraction(rate))
    stamps = list(times) if times is not None else list(range(frames))
    with av.open(f"file:{path}", "w", options=container_options or {}) as out:
        out.metadata.update(metadata or {})
        video: Any = out.add_stream(codec, rate=rate)
        _describe(video, size, pix_fmt, base, colour, sample_aspect_ratio, rotation_degrees)
        if b_frames is not None:
            options = {**(options or {}), "bf": str(b_frames)}
        quick = _LOSSLESS.get(codec, {}) if lossless else _QUICK.get(codec, {})
        video.options = {**quick, **(options or {})}
        count = int(audio)
        named = (audio_codec or _audio_codec(path), audio_layout, audio_language)
        tones = [_add_tone(out, *named) for _ in range(count)]
        texts = _add_text(out, path) if subtitles else None
        end = (stamps[-1] * base if stamps else Fraction(0)) + 1 / Fraction(rate)
        if chapters:
            out.set_chapters(_chapters(chapters, end))
        for number, stamp in enumerate(stamps):
            frame = video_frame(size, number, pix_fmt)
            frame.pts, frame.time_base = stamp, base
            if times is None:
                frame.duration = 1
            if colour is not None:
                frame.colorspace, frame.color_range = int(colour.matrix), _av_range(colour)
                frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for number, tone in enumerate(tones):
            _write_tone(out, tone, float(end), 330.0 * (number + 1), audio_delay_seconds)
        for number, text in enumerate(subtitles):
            _write_text(out, texts, number, text)
    return path


def video_frame(size: tuple[int, int], number: int, pix_fmt: str) -> Any:
    """Return an AVFrame with the stamped test picture in ``pix_fmt``; planar YUV is filled without
    conversion."""
    form = av.VideoFormat(pix_fmt, size[1], size[0])
    depth = form.components[0].bits
    short = _subsampling(form)
    if pix_fmt.startswith("yuv") and form.is_planar and short in _SUBSAMPLINGS and not form.is_big_endian:
        planes: Sequence[np.ndarray[Any, Any]] = stamped_planes(size, number, _SUBSAMPLINGS[short], depth)
        frame = av.VideoFrame(size[1], size[0], pix_fmt)
        for plane, samples in zip(frame.planes, planes, strict=False):
            rows = np.frombuffer(memoryview(plane), samples.dtype).reshape(samples.shape[0], -1)
            rows[:, : samples.shape[1]] = samples
        for plane in frame.planes[3:]:  # alpha: a gradient, so that it is not mistaken for none
            np.frombuffer(memoryview(plane), np.uint8)[:] = (
                np.arange(plane.buffer_size, dtype=np.uint32) % 256
            )
        return frame
    source = video_frame(size, number, "yuv444p")
    source.colorspace, source.color_range = 1, 1
    return source.reformat(format=pix_fmt)


def _subsampling(form: Any) -> str:
    if len(form.components) < 3:
        return ""
    wide = form.components[0].width == form.components[1].width
    high = form.components[0].height == form.components[1].height
    return {(True, True): "444", (False, True): "422", (False, False): "420"}.get((wide, high), "")


def _describe(
    video: Any,
    size: tuple[int, int],
    pix_fmt: str,
    base: Fraction,
    colour: Colour | None,
    sample_aspect_ratio: Fraction | None,
    rotation_degrees: int,
) -> None:
    context = video.codec_context
    context.height, context.width = size
    context.pix_fmt, context.time_base = pix_fmt, base
    video.time_base = base
    if sample_aspect_ratio is not None:
        context.sample_aspect_ratio = sample_aspect_ratio
    if colour is not None:
        context.colorspace, context.color_range = int(colour.matrix), _av_range(colour)
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    if rotation_degrees:
        video.set_display_rotation(rotation_degrees)


def _av_range(colour: Colour) -> int:
    return {"unknown": 0, "limited": 1, "full": 2}[colour.code_range.value]


def _audio_codec(path: Path) -> str:
    return {".webm": "libopus", ".ts": "mp2", ".avi": "pcm_s16le"}.get(path.suffix, "aac")


def _chapters(titles: Sequence[str], end: Fraction) -> list[Any]:
    part_ms = int(end * 1000 / len(titles))
    return [
        {
            "id": number,
            "start": number * part_ms,
            "end": (number + 1) * part_ms,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": title},
        }
        for number, title in enumerate(titles)
    ]


def _add_tone(out: Any, codec: str, layout: str, language: str | None) -> Any:
    stream = out.add_stream(codec, rate=48000)
    stream.layout = layout
    if codec.startswith("wma"):
        stream.bit_rate = 64_000  # it has no default
    if language:
        stream.metadata["language"] = language
    return stream


def _add_text(out: Any, path: Path) -> Any:
    if path.suffix not in (".mp4", ".mov"):
        return out.add_mux_stream("subrip", time_base=Fraction(1, 1000))
    stream = out.add_stream("mov_text")
    stream.codec_context.subtitle_header = _ASS_HEADER
    return stream


def _write_tone(out: Any, stream: Any, seconds: float, frequency_hz: float, delay_seconds: float) -> None:
    context = stream.codec_context
    fifo = av.AudioFifo()
    samples = np.sin(np.arange(int(seconds * 48000)) * (2 * np.pi * frequency_hz / 48000)) * 8000
    tone = av.AudioFrame.from_ndarray(samples.astype(np.int16)[None, :], format="s16", layout="mono")
    tone.sample_rate, tone.pts, tone.time_base = 48000, 0, Fraction(1, 48000)
    resampler = av.AudioResampler(format=context.format, layout=context.layout, rate=48000)
    for part in resampler.resample(tone):
        fifo.write(part)
    shift = round(delay_seconds * 48000)
    while piece := fifo.read(context.frame_size or 1024, partial=True):
        piece.pts = (piece.pts or 0) + shift
        out.mux(stream.encode(piece))
    out.mux(stream.encode(None))


def _write_text(out: Any, stream: Any, number: int, text: str) -> None:
    coded = text.encode()
    if stream.codec_context is not None:  # mov_text
        coded = len(coded).to_bytes(2, "big") + coded
    packet = av.Packet(coded)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = number * 1000
    packet.duration = 1000
    out.mux(packet)
