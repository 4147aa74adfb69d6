"""Containers by file name ending: FFmpeg's muxer, what it holds, how exact its times are."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from streamfx.encode.codecs import Codec, find_codec, on_devices
from streamfx.errors import ConfigError
from streamfx.media.frame import CodeRange
from streamfx.media.paths import is_written_through


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file.

    Attributes:
        muxer: FFmpeg's name.
        codecs: video codecs it holds; the first is the default.
        options: muxer options that are always set.
        streamed: options instead where nothing can be changed that was written (a pipe).
        tick_seconds: the unit its times are rounded to; None when it can take on the source's own unit.
        sound: whether it holds sound, subtitles and the like at all.
        equal_times: whether two packets of a stream may have the same time.
        rotation: whether it can tell a player to rotate the picture.
        pixel_shape: whether it states the pixel aspect ratio, for codecs that do not.
        display_size: whether it states the size of a picture as shown instead (Matroska, WebM).
            FFmpeg takes it from a field that PyAV 18.1 has no access to, so it is written afterwards.
        for_players: whether ordinary players and browsers are to play it, so that pictures are converted to
            what they take.
        alpha: codecs whose alpha it holds; the first is the default for pictures that have it.
        sound_encoder: FFmpeg's name of the encoder for sound that it does not hold, or players do not play.
        text_encoder: encoder for subtitles that are text; None where it holds none.
        covers: way of holding cover pictures: "attached", in the "index", or None.
        colours: whether it states the meaning of colours.
        code_range: range that its readers assume; None where it states the range, or the codec does.
        times: whether it states when pictures are shown; else they are shown at a steady rate.
        tags: whether it holds tags.
        most_pixels: most pixels a picture is wide or high; None where it hardly matters.
        rewritten: whether its beginning is written anew at the end, so that it cannot go through a pipe.
    """

    muxer: str
    codecs: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)
    streamed: dict[str, str] = field(default_factory=dict)
    tick_seconds: Fraction | None = None
    sound: bool = True
    equal_times: bool = False
    rotation: bool = True
    pixel_shape: bool = False
    display_size: bool = False
    for_players: bool = False
    alpha: tuple[str, ...] = ()
    sound_encoder: str = "aac"
    text_encoder: str | None = None
    covers: str | None = None
    colours: bool = True
    code_range: CodeRange | None = None
    times: bool = True
    tags: bool = True
    most_pixels: int | None = None
    rewritten: bool = False


# A fragment a second while writing: after a crash, or with a full disk, the file plays up to there. When it
# is complete the muxer turns it into an ordinary file. delay_moov: edit lists (a late or early sound) need
# it.
_MOV_OPTIONS = {
    "movflags": "hybrid_fragmented+delay_moov+negative_cts_offsets",
    "frag_duration": "1000000",
}
# Negative offsets come without the edit list that takes back the delay of B pictures, and the rest is never
# written anew here: players would show pictures that much later than the sound.
_MOV_STREAMED = {"movflags": "frag_keyframe+delay_moov+default_base_moof"}
_MKV_OPTIONS = {"cluster_time_limit": "1000"}  # on the disk every second, for the same reason
_Y4M_OPTIONS = {"strict": "-1"}  # depths beyond 8 bits are not in its first description
_MP4 = Container(
    "mp4",
    on_devices(("h264", "hevc", "av1", "vp9", "mjpeg")),
    _MOV_OPTIONS,
    _MOV_STREAMED,
    pixel_shape=True,
    for_players=True,
    text_encoder="mov_text",
    covers="index",
)
_MKV = Container(
    "matroska",
    on_devices(("h264", "hevc", "av1", "vp9", "vp8", "ffv1", "prores", "mjpeg")),
    _MKV_OPTIONS,
    _MKV_OPTIONS,
    tick_seconds=Fraction(1, 1000),
    equal_times=True,
    display_size=True,
    alpha=("vp9", "ffv1", "vp8", "prores"),
    sound_encoder="flac",
    text_encoder="subrip",
    covers="attached",
)
_TS = Container(
    "mpegts",
    on_devices(("h264", "hevc")),
    tick_seconds=Fraction(1, 90000),
    rotation=False,
    for_players=True,
    tags=False,
)
CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container(
        "mov",
        on_devices(("h264", "hevc", "prores", "mjpeg")),
        _MOV_OPTIONS,
        _MOV_STREAMED,
        pixel_shape=True,
        for_players=True,
        alpha=("prores",),
        text_encoder="mov_text",
        covers="index",
    ),
    ".mkv": _MKV,
    ".webm": Container(
        "webm",
        on_devices(("vp9", "av1", "vp8")),
        _MKV_OPTIONS,
        _MKV_OPTIONS,
        tick_seconds=Fraction(1, 1000),
        equal_times=True,
        display_size=True,
        for_players=True,
        alpha=("vp9", "vp8"),
        sound_encoder="libopus",
        text_encoder="webvtt",
    ),
    ".ts": _TS,
    ".m2ts": _TS,
    ".nut": Container(
        "nut",
        ("raw", "ffv1", "h264", "hevc"),
        rotation=False,
        equal_times=True,
        colours=False,
        code_range=CodeRange.LIMITED,
        alpha=("raw", "ffv1"),
        sound_encoder="flac",
    ),
    ".y4m": Container(
        "yuv4mpegpipe",
        ("raw",),
        _Y4M_OPTIONS,
        _Y4M_OPTIONS,
        sound=False,
        rotation=False,
        colours=False,
        times=False,
        tags=False,
    ),
    ".gif": Container(
        "gif",
        ("gif",),
        tick_seconds=Fraction(1, 100),
        sound=False,
        rotation=False,
        alpha=("gif",),
        colours=False,
        tags=False,
    ),
    ".apng": Container(
        "apng",
        ("apng",),
        {"plays": "0"},
        sound=False,
        rotation=False,
        alpha=("apng",),
        colours=False,
        tags=False,
        rewritten=True,
    ),
    ".webp": Container(
        "webp",
        ("webp",),
        {"loop": "0"},
        tick_seconds=Fraction(1, 1000),
        sound=False,
        rotation=False,
        alpha=("webp",),
        colours=False,
        tags=False,
        most_pixels=16383,
        rewritten=True,
    ),
}


def find_container(path: Path) -> Container:
    """Return the container that the ending of ``path`` stands for.

    Raises:
        ConfigError: no ending, or one that stands for none; the message lists those there are.
    """
    found = CONTAINERS.get(path.suffix.lower())
    if found is None and is_written_through(path):
        raise ConfigError(
            f"{path}: is a device or pipe whose name does not say the kind of video; give a link to it that "
            "is called out.mkv, or write null: to keep nothing"
        )
    if found is None:
        ending = (
            f"the ending '{path.suffix}' stands for no" if path.suffix else "it has no ending that says the"
        )
        raise ConfigError(
            f"{path}: {ending} kind of video file; there are: {' '.join(CONTAINERS)}, and pictures: .png .jpg"
        )
    return found


def named_codec(output: str, ending: str, container: Container, name: str) -> Codec:
    """Return the codec called ``name``.

    Raises:
        ConfigError: unknown, or the container does not hold it; the message says which containers do.
    """
    codec = find_codec(name)
    if codec.name not in container.codecs:
        others = [known for known, other in CONTAINERS.items() if codec.name in other.codecs]
        raise ConfigError(
            f"{output}: {ending} does not hold {codec.name} video, but {', '.join(container.codecs)}; "
            f"{codec.name} goes into: {' '.join(others)}"
        )
    return codec
