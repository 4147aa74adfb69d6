"""Preview: what the network makes of people close up, people far away and a scene, none of which it learned
from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from streamfx.engine.families.warp_mask import WarpMask
from training.fused import paint
from training.own_look.request import STARTER
from training.pictures import Picture, read_still, to_picture, to_short_side, to_tensor
from training.sheet import centre, jpeg, sheet

SHOWN = ("asl_night_060_192.jpg", "gc_world_music_italy_s071_06.jpg", "gc_monuments_hawamahal_s055_10.jpg")
FACTORS = (1.0, 2.0, 4.0)
_SIDE = 384
_MOST_BYTES = 800_000


def shown_pictures(folder: Path = STARTER, names: Sequence[str] = SHOWN) -> list[Picture]:
    """The pictures of the sheets, squares of one size.

    Raises:
        ValueError: One cannot be read.
    """
    pictures = [read_still(folder / name) for name in names]
    if any(picture is None for picture in pictures):
        raise ValueError(f"the pictures that sheets show cannot be read, in {folder}: install streamfx again")
    return [centre(to_short_side(picture, _SIDE), _SIDE) for picture in pictures if picture is not None]


def preview(network: WarpMask, max_displacement_pixels: float, pictures: Sequence[Picture]) -> bytes:
    """JPEG file: each picture, and what the network makes of it at each factor, fused at full size."""
    rows = []
    for picture in pictures:
        rgb_13HW = to_tensor(picture)[None]
        versions = [picture]
        for factor in FACTORS:
            with torch.no_grad():
                out_13HW, _ = paint(network, rgb_13HW, factor, max_displacement_pixels, nullcontext())
            versions.append(to_picture(out_13HW[0]))
        rows.append(versions)
    return jpeg(sheet(rows, ["source", *(f"factor {factor:g}" for factor in FACTORS)]), _MOST_BYTES)
