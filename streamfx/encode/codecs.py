"""Video codecs by the names users know: encoder, quality scale, presets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from streamfx.encode.encoding import Pass
from streamfx.errors import ConfigError, did_you_mean
from streamfx.media.frame import CodeRange

_X264_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip
_PRORES_PROFILES = ("proxy", "lt", "standard", "hq", "4444", "4444xq")


@dataclass(frozen=True, slots=True)
class Scale:
    """An encoder's quality number: names of the options that take it, best, worst and default."""

    options: str
    best: int
    worst: int
    default: int


@dataclass(frozen=True, slots=True)
class PresetOption:
    """An encoder's presets: option name, values from quick to thorough (profiles: from small to large),
    default."""

    option: str
    values: tuple[str, ...]
    default: str


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to code video.

    Attributes:
        name: name that a user writes.
        encoder: FFmpeg's name of the encoder.
        fixed: encoder options that are always set.
        quality: quality scale; None when there is no such choice.
        preset: presets; None when there are none.
        even_chroma: whether a picture must be a whole number of chroma samples wide and high.
        code_range: the only range it holds; None when it holds either.
        takes_bits: whether a bit rate can be asked of it.
        keeps_fields: whether it says of interlaced pictures that they are.
        states_pixel_shape: whether its own headers say the pixel aspect ratio, whatever the container does.
        formats: pixel formats that it takes; empty: those that its encoder names.
        software: name of the codec that codes the same on the processor; None: this is one of those.
        device: device that its encoder needs, for messages; None: the processor.
    """

    name: str
    encoder: str
    fixed: dict[str, str] = field(default_factory=dict)
    quality: Scale | None = None
    preset: PresetOption | None = None
    even_chroma: bool = False
    code_range: CodeRange | None = None
    takes_bits: bool = False
    keeps_fields: bool = False
    states_pixel_shape: bool = False
    formats: tuple[str, ...] = ()
    software: str | None = None
    device: str | None = None

    def options(
        self, preset: str | None, quality: int | None, bits_per_second: int | None = None
    ) -> dict[str, str]:
        """Return the encoder options for a preset and a quality number; None means the default.

        With a bit rate there is no quality number.

        Raises:
            ConfigError: there is no such preset, the number is out of range, or no bit rate can be asked for;
                the message lists what there is.
        """
        options = dict(self.fixed)
        if self.preset is not None:
            options[self.preset.option] = self._preset(self.preset, preset)
        elif preset is not None:
            raise ConfigError(f"codec {self.name} has no presets; leave preset={preset} out")
        if bits_per_second is not None:
            if not self.takes_bits:
                names = ", ".join(name for name, codec in CODECS.items() if codec.takes_bits)
                raise ConfigError(f"codec {self.name} has no bit rate; leave it out, or take one of: {names}")
            options["b"] = str(bits_per_second)
        elif self.quality is not None:
            number = str(self._quality(self.quality, quality))
            options |= dict.fromkeys(self.quality.options.split(), number)
        elif quality is not None:
            raise ConfigError(f"codec {self.name} has no quality setting; leave quality={quality} out")
        return options

    def options_of_pass(self, turn: Pass, options: Mapping[str, str]) -> dict[str, str]:
        """Return the encoder options, those of one of two passes included, if the encoder knows passes.

        The first is no quicker for it: its pictures may be all that is needed.
        """
        if self.encoder == "libx264":
            return {**options, "flags": f"+pass{turn.number}", "stats": turn.statistics, "fastfirstpass": "0"}
        if self.encoder == "libx265":
            name = re.sub(r"([\\\\:'=])", r"\\\1", turn.statistics)
            given = f"{options['x265-params']}:" if options.get("x265-params") else ""
            return {**options, "x265-params": f"{given}pass={turn.number}:slow-firstpass=1:stats={name}"}
        return dict(options)

    def _preset(self, choice: PresetOption, preset: str | None) -> str:
        if preset is None or preset in choice.values:
            return preset or choice.default
        meant = did_you_mean(preset, choice.values)
        hint = meant and f"{meant} "
        raise ConfigError(
            f"preset '{preset}' is unknown for codec {self.name}; {hint}there are: {', '.join(choice.values)}"
        )

    def _quality(self, scale: Scale, quality: int | None) -> int:
        number = scale.default if quality is None else quality
        if not min(scale.best, scale.worst) <= number <= max(scale.best, scale.worst):
            raise ConfigError(
                f"quality for codec {self.name} must be {scale.best} (best) to {scale.worst} (smallest), "
                f"found {number}"
            )
        return number


# Samples as they are: planar, in the byte order of processors of today.
_RAW_FORMATS = tuple(
    f"{kind}{chroma}p{depth}"
    for kind in ("yuv", "yuva")
    for chroma in ("420", "422", "444")
    for depth in ("", "9le", "10le", "12le", "14le", "16le")
    if kind == "yuv" or depth not in ("12le", "14le")
)


def _numbers(highest: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(highest, -1, -1))


def _of_devices() -> Iterator[Codec]:
    """Give the codecs whose encoders are in a GPU, or in a unit beside the processor.

    Those of NVIDIA may also take frames that lie on the GPU; all others get them from main memory.
    """
    speeds = ("veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
    steps = tuple(f"p{number}" for number in range(1, 8))
    with_quality: tuple[tuple[str, str, dict[str, str], str, PresetOption], ...] = (
        ("nvenc", "NVIDIA GPU that encodes", {"rc": "vbr"}, "cq", PresetOption("preset", steps, "p4")),
        ("qsv", "Intel GPU that encodes", {}, "global_quality", PresetOption("preset", speeds, "veryfast")),
        (
            "amf", "AMD GPU that encodes", {}, "qp_i qp_p",
            PresetOption("quality", ("speed", "balanced", "quality"), "speed"),
        ),
    )  # fmt: skip
    for interface, device, fixed, option, preset in with_quality:
        for software, default in (("h264", 22), ("hevc", 24), ("av1", 30)):
            worst = 63 if (interface, software) == ("nvenc", "av1") else 51
            quality = Scale(option, 1, worst, default)
            yield _of_device(software, interface, device, fixed, quality, preset)
    for software in ("h264", "hevc"):
        yield _of_device(software, "videotoolbox", "Apple GPU that encodes", {"b": "12M"})
        yield _of_device(
            software, "v4l2m2m", "encoder behind /dev/video*", {"b": "12M"}, formats=("yuv420p", "nv12")
        )


def _of_device(
    software: str,
    interface: str,
    device: str,
    fixed: dict[str, str],
    quality: Scale | None = None,
    preset: PresetOption | None = None,
    formats: tuple[str, ...] = (),
) -> Codec:
    name = f"{software}_{interface}"
    return Codec(
        name, name, fixed, quality, preset,
        even_chroma=True, takes_bits=True, states_pixel_shape=software != "av1",
        formats=formats, software=software, device=device,
    )  # fmt: skip


CODECS = {
    codec.name: codec
    for codec in (
        Codec(
            "h264",
            "libx264",
            quality=Scale("crf", 0, 51, 20),
            preset=PresetOption("preset", _X264_PRESETS, "veryfast"),
            even_chroma=True,
            takes_bits=True,
            keeps_fields=True,
            states_pixel_shape=True,
        ),
        Codec(
            "hevc",
            "libx265",
            {"x265-params": "log-level=error"},
            quality=Scale("crf", 0, 51, 22),
            preset=PresetOption("preset", _X264_PRESETS, "veryfast"),
            even_chroma=True,
            takes_bits=True,
            states_pixel_shape=True,
        ),
        Codec(
            "av1",
            "libsvtav1",
            quality=Scale("crf", 1, 63, 30),
            preset=PresetOption("preset", _numbers(13), "10"),
            takes_bits=True,
        ),
        Codec(
            "vp9",
            "libvpx-vp9",
            {"b": "0", "row-mt": "1", "deadline": "good"},
            quality=Scale("crf", 0, 63, 30),
            preset=PresetOption("cpu-used", _numbers(8), "5"),
            takes_bits=True,
        ),
        Codec(
            "vp8",
            "libvpx",
            {"b": "20M", "deadline": "good"},
            quality=Scale("crf", 4, 63, 10),
            preset=PresetOption("cpu-used", _numbers(16), "5"),
            takes_bits=True,
        ),
        Codec("ffv1", "ffv1", {"level": "3", "slicecrc": "1"}, keeps_fields=True),
        Codec(
            "prores",
            "prores_ks",
            preset=PresetOption("profile", _PRORES_PROFILES, "hq"),
            code_range=CodeRange.LIMITED,
            keeps_fields=True,
        ),
        Codec(
            "mjpeg",
            "mjpeg",
            quality=Scale("qmin qmax", 2, 31, 3),
            code_range=CodeRange.FULL,
            states_pixel_shape=True,
        ),
        Codec("gif", "gif"),
        Codec("webp", "libwebp", quality=Scale("quality", 100, 0, 90), formats=("bgra",)),
        Codec(
            "apng",
            "apng",
            states_pixel_shape=True,
            formats=("rgb24", "rgba", "rgb48be", "rgba64be"),
        ),
        Codec("raw", "rawvideo", formats=_RAW_FORMATS),
    )
}
CODECS |= {codec.name: codec for codec in _of_devices()}
_OTHER_NAMES = {"h265": "hevc", "x264": "h264", "x265": "hevc", "avc": "h264", "jpeg": "mjpeg"}
_OTHER_NAMES |= {codec.encoder: codec.name for codec in CODECS.values()}


def on_devices(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of codecs, followed by those of the codecs that code the same on a device."""
    return (*names, *(codec.name for codec in CODECS.values() if codec.software in names))


def find_codec(name: str) -> Codec:
    """Return the codec a user calls ``name``.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    found = CODECS.get(_OTHER_NAMES.get(name.lower(), name.lower()))
    if found is None:
        meant = did_you_mean(name, [*CODECS, *_OTHER_NAMES])
        hint = meant and f"{meant} "
        raise ConfigError(f"codec '{name}' is unknown; {hint}there are: {', '.join(CODECS)}")
    return found
