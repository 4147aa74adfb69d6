"""Films with many tracks, made in code, and what their tracks hold when they are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.subtitles.subtitle import AssSubtitle

from tests import media

SIZE, RATE = (48, 64), 25
SOUNDS = (("aac", "eng", "mono"), ("ac3", "jpn", "5.1"), ("flac", "deu", "stereo"))
TEXTS = ("Hello, you", "two\nlines")
_STYLES = media._ASS_HEADER.replace(b"[Events]", b"Style: Top,Arial,16,&Hffffff,8,1\n\n[Events]")


@dataclass(frozen=True)
class Read:
    """A stream of a file beside the pictures, decoded: samples of a sound, texts or packets of others."""

    kind: str
    codec: str
    language: str | None
    default: bool
    samples: np.ndarray[Any, Any]
    texts: tuple[tuple[float, str], ...]


def make_film(
    path: str | Path,
    *,
    frames: int = 50,
    sounds: Sequence[tuple[str, str, str]] = SOUNDS,
    subtitles: Sequence[tuple[str, str]] = (("subrip", "eng"), ("ass", "deu")),
    texts: Sequence[str] = TEXTS,
    attachment: bool = True,
    chapters: bool = True,
    sound_seconds: float | None = None,
    spans_ms: Sequence[tuple[int, int]] = (),
    b_frames: int | None = None,
) -> Path:
    """Write a Matroska film with many tracks and return its path.

    Args:
        path: file to write.
        frames: pictures, 25 a second.
        sounds: codec, language and channels of each sound; each has a pitch of its own.
        subtitles: codec and language of each; text has one of ``texts`` a second, pictures are made up.
        texts: lines of the subtitles.
        attachment: whether a font is attached.
        chapters: whether there are two chapters.
        sound_seconds: length of the sounds; None: that of the pictures.
        spans_ms: begin and length of each text; empty: one a second, shown for 800 ms.
        b_frames: most B-frames in a row; None: the encoder's choice.
    """
    with av.open(f"file:{path}", "w") as out:
        video: Any = out.add_stream("libx264", rate=RATE)
        video.height, video.width = SIZE
        video.pix_fmt, video.options = "yuv420p", {"preset": "ultrafast", "g": "12"}
        if b_frames is not None:
            video.options = {**video.options, "bf": str(b_frames)}
        tones = [media._add_tone(out, codec, layout, language) for codec, language, layout in sounds]
        lines = [(codec, _add_subtitle(out, codec, language)) for codec, language in subtitles]
        if attachment:
            out.add_attachment("font.ttf", "font/ttf", b"a font" * 20)
        if chapters:
            out.set_chapters(media._chapters(["A", "B"], Fraction(frames, RATE)))
        for number in range(frames):
            frame = media.video_frame(SIZE, number, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for number, tone in enumerate(tones):
            media._write_tone(out, tone, sound_seconds or frames / RATE, 330.0 * (number + 1), 0.0)
        for codec, stream in lines:
            spans = spans_ms or [(second * 1000, 800) for second in range(len(texts))]
            for number, (text, (begin_ms, length_ms)) in enumerate(zip(texts, spans, strict=True)):
                packet = av.Packet(_coded(codec, number, text))
                packet.stream, packet.time_base = stream, Fraction(1, 1000)
                packet.pts = packet.dts = begin_ms
                packet.duration = length_ms
                out.mux(packet)
    return Path(path)


def read(path: str | Path) -> list[Read]:
    """Return the streams of a file beside its first video, decoded."""
    with av.open(f"file:{path}") as file:
        streams = [stream for stream in file.streams if stream.index]
        found: dict[int, tuple[list[Any], list[tuple[float, str]]]] = {s.index: ([], []) for s in streams}
        for packet in (each for each in file.demux() if each.stream_index in found):
            samples, texts = found[packet.stream_index]
            if packet.stream.type == "audio":
                samples += [frame.to_ndarray() for frame in packet.decode()]  # type: ignore[union-attr]
            elif packet.size and packet.pts is not None and (text := _text_of(packet)):
                texts.append((float(packet.pts * packet.time_base), text))
        return [
            Read(
                stream.type,
                getattr(stream.codec_context, "name", ""),  # an attachment has no coding
                stream.metadata.get("language"),
                bool(stream.disposition & av.stream.Disposition.default),
                np.concatenate(found[stream.index][0], axis=1) if found[stream.index][0] else np.zeros(0),
                tuple(found[stream.index][1]),
            )
            for stream in streams
        ]


def of_kind(path: str | Path, kind: str) -> list[Read]:
    """Return the streams of a kind, decoded."""
    return [each for each in read(path) if each.kind == kind]


def chapters_of(path: str | Path) -> int:
    with av.open(f"file:{path}") as file:
        return len(file.chapters())


def _add_subtitle(out: Any, codec: str, language: str) -> Any:
    if codec == "ass":
        stream = out.add_stream("ass")
        stream.codec_context.subtitle_header = _STYLES
    else:
        stream = out.add_mux_stream(codec, time_base=Fraction(1, 1000))
    stream.metadata["language"] = language
    return stream


def _coded(codec: str, number: int, text: str) -> bytes:
    if codec == "ass":
        return f"{number},0,{'Top' if number % 2 else 'Default'},,0,0,0,,{text}".replace("\n", "\\N").encode()
    return text.encode() if codec == "subrip" else b"\x80\x00\x00"  # the end of a set of pictures


def _text_of(packet: Any) -> str:
    if packet.stream.type != "subtitle" or packet.stream.codec_context.name == "pgssub":
        return bytes(packet).hex()
    said = [part.dialogue.decode() for part in packet.decode() if isinstance(part, AssSubtitle)]
    return " ".join(said).replace("\\N", "\n").strip()
