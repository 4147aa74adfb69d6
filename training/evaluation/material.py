"""Material: pictures and frames that looks are judged on, as they are or made worse as cameras make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from training.evaluation.chosen import SHORT_SIDE, to_whole_strides
from training.pictures import CLIPS, Picture, read_clip, read_still, to_short_side

NOISE = 2.0  # deviation of a camera's noise, in codes of R, G and B
_DARK_NOISE = 4.0
_DARKNESS = 0.3  # of full light
_JPEG_QUALITY = 75

Variant: TypeAlias = Literal["plain", "noisy", "dark", "compressed"]


class Material(BaseModel):
    """A picture, or frames of a clip."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="picture or clip")
    short_side: int = Field(default=SHORT_SIDE, ge=64, description="short side after scaling, in pixels")
    first: int = Field(default=0, ge=0, description="number of a clip's first frame")
    every: int = Field(default=1, ge=1, description="step to its next one")
    count: int = Field(default=1, ge=1, description="number of frames")
    variant: Variant = Field(
        default="plain", description="plain, noisy, dark (and noisy), or compressed (noisy, then JPEG)"
    )

    @property
    def name(self) -> str:
        """For tables and the log."""
        return self.path.stem if self.variant == "plain" else f"{self.path.stem}, {self.variant}"

    def read(self, seed: int = 0) -> list[Picture]:
        """The pictures, RGB HW3, sides cut to multiples of 16; each frame has noise of its own.

        Raises:
            ValueError: None can be read.
        """
        if self.path.suffix.lower() in CLIPS:
            found = read_clip(self.path, self.first, self.count, self.every)
        else:
            found = [picture for picture in [read_still(self.path)] if picture is not None]
        if not found:
            raise ValueError(f"cannot read {self.path}: no picture could be decoded; give another")
        rng = np.random.default_rng([seed, 8])
        sized = (to_whole_strides(to_short_side(picture, self.short_side)) for picture in found)
        return [VARIANTS[self.variant](picture, rng) for picture in sized]


def plain(picture: Picture, _: np.random.Generator) -> Picture:
    """The picture as it is."""
    return picture


def noisy(picture: Picture, rng: np.random.Generator, deviation: float = NOISE) -> Picture:
    """The picture with normal noise in each of R, G and B, rounded to codes."""
    values = picture + deviation * rng.standard_normal(picture.shape, np.float32)
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def dark(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture in little light, with the stronger noise of a camera that makes up for it."""
    return noisy(np.asarray(np.rint(_DARKNESS * picture), np.uint8), rng, _DARK_NOISE)


def compressed(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture with noise, as a camera that sends JPEG (MJPEG) gives it."""
    bgr = cv2.cvtColor(noisy(picture, rng), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


VARIANTS: Mapping[Variant, Callable[[Picture, np.random.Generator], Picture]] = {
    "plain": plain,
    "noisy": noisy,
    "dark": dark,
    "compressed": compressed,
}
