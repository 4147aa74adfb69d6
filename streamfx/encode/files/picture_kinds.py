"""Kinds of picture files: which encoder makes them, in which pixel formats, and what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streamfx.errors import ConfigError

_PNG = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48be", (True, True): "rgba64be"}
_TIFF = _PNG | {(True, False): "rgb48le", (True, True): "rgba64le"}
_WEBP = {(False, False): "bgra", (False, True): "bgra"}  # opaque ones get no alpha


@dataclass(frozen=True, slots=True)
class Qualities:
    """The quality setting of a kind: its best value, that of the smallest files, and the usual one."""

    best: int
    smallest: int
    usual: int


@dataclass(frozen=True, slots=True)
class PictureKind:
    """A kind of picture file.

    Attributes:
        name: name as users know it.
        encoder: FFmpeg's name of the encoder.
        rgb: pixel format, by whether samples have more than 8 bits and whether there is alpha; empty where
            luma and chroma are coded.
        depth: most bits of a sample.
        alpha: whether it holds alpha.
        halves_chroma: whether it holds colours at half the resolution each way.
        tags: whether EXIF data and colour profiles are put in.
        qualities: the quality setting; None where nothing is lost.
        options: options of the encoder.
        most_pixels: most pixels it is wide or high; None where it hardly matters.
    """

    name: str
    encoder: str
    rgb: Mapping[tuple[bool, bool], str] = field(default_factory=dict)
    depth: int = 16
    alpha: bool = True
    halves_chroma: bool = False
    tags: bool = False
    qualities: Qualities | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    most_pixels: int | None = None

    def quality(self, asked: int | None) -> int:
        """Return the quality to code with; 0 where there is no such setting.

        Raises:
            ConfigError: the kind has no such quality.
        """
        if self.qualities is None:
            if asked is not None:
                raise ConfigError(f"{self.name} has no quality setting; leave quality={asked} out")
            return 0
        best, smallest = self.qualities.best, self.qualities.smallest
        if asked is not None and not min(best, smallest) <= asked <= max(best, smallest):
            raise ConfigError(
                f"quality of {self.name} must be {best} (best) to {smallest} (smallest), found {asked}"
            )
        return self.qualities.usual if asked is None else asked


JPEG = PictureKind("JPEG", "mjpeg", depth=8, alpha=False, tags=True, qualities=Qualities(2, 31, 3))
AVIF = PictureKind(
    "AVIF",
    "libsvtav1",
    depth=10,
    alpha=False,
    halves_chroma=True,
    qualities=Qualities(1, 63, 20),
    options={"preset": "6", "svtav1-params": "avif=1"},
)
_TIFF_KIND = PictureKind("TIFF", "tiff", _TIFF, options={"compression_algo": "deflate"})
_WEBP_KIND = PictureKind(
    "WebP",
    "libwebp",
    _WEBP,
    depth=8,
    halves_chroma=True,
    qualities=Qualities(100, 0, 90),
    most_pixels=16383,
)
KINDS = {
    ".png": PictureKind("PNG", "png", _PNG, tags=True),
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".tif": _TIFF_KIND,
    ".tiff": _TIFF_KIND,
    ".webp": _WEBP_KIND,
    ".avif": AVIF,
}
"""Kinds of pictures that can be written, by the ending of the file."""

ENDINGS = tuple(KINDS)


def kind_of(path: Path) -> PictureKind:
    """Return the kind of picture that the ending of a path stands for.

    Raises:
        ConfigError: none that can be written.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(f"{path}: pictures can be written as {' '.join(ENDINGS)}")
    return kind
