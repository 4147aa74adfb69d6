"""Video codecs by the names users know: encoder, quality scale, presets, and which samples they hold."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import lru_cache

from streamfx.errors import ConfigError
from streamfx.frame import Subsampling, VideoFormat

_X264_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip
_NVENC_PRESETS = tuple(f"p{number}" for number in range(1, 8))
_SUBSAMPLINGS = (Subsampling.YUV420, Subsampling.YUV422, Subsampling.YUV444)  # from coarse to fine


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to code video.

    Attributes:
        name: what a user writes.
        encoder: FFmpeg's name of the encoder.
        fixed: encoder options that are always set.
        quality_option: encoder option for the quality number; None when there is no such choice.
        quality_range: (best, worst) number, on the encoder's own scale.
        quality: number used when none is given.
        preset_option: encoder option for the preset; None when there is none.
        presets: names from quick to thorough (or from small to large, for profiles).
        preset: the one used when none is given.
    """

    name: str
    encoder: str
    fixed: dict[str, str] = field(default_factory=dict)
    quality_option: str | None = None
    quality_range: tuple[int, int] = (0, 0)
    quality: int = 0
    preset_option: str | None = None
    presets: tuple[str, ...] = ()
    preset: str = ""

    def options(self, preset: str | None, quality: int | None) -> dict[str, str]:
        """Return the encoder options for a preset and a quality number; None means the default.

        Raises:
            ConfigError: there is no such preset, or the number is out of range; the message lists what there is.
        """
        options = dict(self.fixed)
        if preset is not None and preset not in self.presets:
            close = difflib.get_close_matches(preset, self.presets, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            there_are = f"there are: {', '.join(self.presets)}" if self.presets else "it has none"
            raise ConfigError(f"preset '{preset}' is unknown for codec {self.name}; {hint}{there_are}")
        if quality is not None and self.quality_option is None:
            raise ConfigError(f"codec {self.name} has no quality setting; leave quality={quality} out")
        best, worst = self.quality_range
        if quality is not None and not best <= quality <= worst:
            raise ConfigError(
                f"quality for codec {self.name} must be {best} (best) to {worst} (smallest), found {quality}"
            )
        if self.preset_option:
            options[self.preset_option] = preset or self.preset
        if self.quality_option:
            options[self.quality_option] = str(self.quality if quality is None else quality)
        return options


CODECS = {
    codec.name: codec
    for codec in (
        Codec("h264", "libx264", {}, "crf", (0, 51), 20, "preset", _X264_PRESETS, "veryfast"),
        Codec(
            "hevc", "libx265", {"x265-params": "log-level=error"}, "crf", (0, 51), 22, "preset", _X264_PRESETS,
            "veryfast",
        ),
        Codec(
            "av1", "libsvtav1", {}, "crf", (1, 63), 30, "preset", tuple(str(n) for n in range(13, -1, -1)), "10"
        ),
        Codec(
            "vp9", "libvpx-vp9", {"b": "0", "row-mt": "1", "deadline": "good"}, "crf", (0, 63), 30, "cpu-used",
            tuple(str(n) for n in range(8, -1, -1)), "5",
        ),
        Codec(
            "vp8", "libvpx", {"b": "20M", "deadline": "good"}, "crf", (4, 63), 10, "cpu-used",
            tuple(str(n) for n in range(16, -1, -1)), "5",
        ),
        Codec("ffv1", "ffv1", {"level": "3", "slicecrc": "1"}),
        Codec(
            "prores", "prores_ks", preset_option="profile", preset="hq",
            presets=("proxy", "lt", "standard", "hq", "4444", "4444xq"),
        ),
        Codec("mjpeg", "mjpeg", {"flags": "+qscale"}, "global_quality", (2, 31), 3),
        Codec("gif", "gif"),
        Codec("h264_nvenc", "h264_nvenc", {"rc": "vbr"}, "cq", (1, 51), 22, "preset", _NVENC_PRESETS, "p4"),
        Codec("hevc_nvenc", "hevc_nvenc", {"rc": "vbr"}, "cq", (1, 51), 24, "preset", _NVENC_PRESETS, "p4"),
        Codec("av1_nvenc", "av1_nvenc", {"rc": "vbr"}, "cq", (1, 63), 30, "preset", _NVENC_PRESETS, "p4"),
    )
}  # fmt: skip
_OTHER_NAMES = {"h265": "hevc", "x264": "h264", "x265": "hevc", "avc": "h264", "jpeg": "mjpeg"}
_OTHER_NAMES |= {codec.encoder: codec.name for codec in CODECS.values()}


def find_codec(name: str) -> Codec:
    """Return the codec a user calls ``name``.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    found = CODECS.get(_OTHER_NAMES.get(name.lower(), name.lower()))
    if found is None:
        close = difflib.get_close_matches(name, [*CODECS, *_OTHER_NAMES], n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise ConfigError(f"codec '{name}' is unknown; {hint}there are: {', '.join(CODECS)}")
    return found


def planar_name(subsampling: Subsampling, depth: int) -> str:
    """Return FFmpeg's name of a planar format, such as ``yuv420p10le``."""
    return f"yuv{subsampling.value.replace(':', '')}p" + ("" if depth == 8 else f"{depth}le")


@lru_cache(maxsize=32)
def encoder_formats(encoder: str) -> frozenset[str]:
    """Return FFmpeg's names of the pixel formats an encoder takes; empty when it is not in this FFmpeg."""
    import av

    try:
        return frozenset(form.name for form in av.Codec(encoder, "w").video_formats or ())
    except ValueError:
        return frozenset()


def choose_pixel_format(codec: Codec, video: VideoFormat, asked: str | None) -> str:
    """Return FFmpeg's name of the pixel format to encode in: the video's own, or the nearest that loses nothing.

    Args:
        codec: what to code with.
        video: what the frames are.
        asked: a pixel format the user insists on, although it may lose something; None for none.

    Raises:
        ConfigError: the codec takes neither; the message says what it takes and which codecs would do.
    """
    formats = encoder_formats(codec.encoder)
    if asked is not None:
        if asked not in formats:
            takes = ", ".join(sorted(formats)) or "nothing in this installation"
            raise ConfigError(f"codec {codec.name} does not take pixel format '{asked}'; it takes: {takes}")
        return asked
    fitting = _lossless_formats(formats, video)
    if fitting:
        return fitting[0]
    better = [
        other.name
        for other in CODECS.values()
        if _lossless_formats(encoder_formats(other.encoder), video) and "nvenc" not in other.name
    ]
    lossy = [name for depth in (8, 10) for s in _SUBSAMPLINGS if (name := planar_name(s, depth)) in formats]
    instead = f", or give up detail with pixel_format={lossy[-1]}" if lossy else ""
    raise ConfigError(
        f"codec {codec.name} cannot hold {video.subsampling} at {video.depth} bits; "
        f"choose one that can ({', '.join(better)}){instead}"
    )


def _lossless_formats(formats: frozenset[str], video: VideoFormat) -> list[str]:
    """Return those of ``formats`` that hold every sample of the video, the smallest first."""
    finer = _SUBSAMPLINGS[_SUBSAMPLINGS.index(video.subsampling) :]
    return [
        name
        for depth in range(video.depth, 17)
        for subsampling in finer
        if (name := planar_name(subsampling, depth)) in formats
    ]
