"""Oil: patches of paint that follow the forms, with a hint of relief.

Sources: anisotropic Kuwahara filter (Kyprianidis, Kang, Doellner, "Image and Video Abstraction by Anisotropic
Kuwahara Filtering", 2009); a finer brush where a broad one is too far from the picture (Hertzmann, "Painterly
Rendering with Curved Brush Strokes of Multiple Sizes", 1998). The relief is the picture's own texture, drawn
out along the flow, and lit from above left.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from training.operators import kernels
from training.operators.flow import along, edge_flow
from training.operators.kernels import SECTORS
from training.operators.lines import Pen, response
from training.operators.planes import Plane, blur, from_lab, lightness, rise, to_lab, to_picture, to_rgb
from training.operators.tones import bright, fresh, soft_steps
from training.pictures import Picture

_ACROSS = 5  # places from the middle to the rim of a disc that are enough


@dataclass(frozen=True)
class Oil:
    """Settings of the oil look.

    Attributes:
        scale: All lengths in pixels are multiplied by it.
        broad_pixels: Radius of the disc that the broad brush averages; strokes are about as wide.
        fine_pixels: The same of the fine brush, which paints where the broad one missed something.
        missed: Differences of colour, of 1, from which the fine brush begins to paint and paints alone.
        stretch: Extra length of the disc along straight edges over that at corners: 0 is none.
        evenness: Deviation of colour, in 8-bit codes, up to which a sector counts as even.
        accents: Share of light taken at dark strokes such as eyes and mouth.
        pen: Pen of the accents.
        relief: Gain of the light on the paint.
        steps: Steps of lightness between black and white, which show by half.
        chroma: Factor of the chroma of dull colours.
    """

    scale: float = 1.0
    broad_pixels: float = 8.0
    fine_pixels: float = 2.2
    missed: tuple[float, float] = (0.04, 0.12)
    stretch: float = 1.0
    evenness: float = 2.0
    accents: float = 0.45
    pen: Pen = field(default_factory=lambda: Pen(0.75, 2.0, noise=0.025, faint=0.07, full=0.2))
    relief: float = 3.0
    steps: float = 9
    chroma: float = 1.45


def oil(picture: Picture, settings: Oil | None = None) -> Picture:
    """Oil painting HW3 of an RGB picture HW3, as large."""
    look = settings or Oil()
    rgb = to_rgb(picture)
    direction, straightness = edge_flow(rgb, 2.0 * look.scale)
    broad = kuwahara(rgb, direction, straightness, look.broad_pixels, look)
    fine = kuwahara(rgb, direction, straightness, look.fine_pixels, look)
    missed = rise(blur(np.abs(fine - broad).max(-1), 1.0 * look.scale), *look.missed)
    painted = along(broad + missed[..., None] * (fine - broad), direction, 1.5 * look.scale)
    lab = to_lab(painted)
    dark = response(lightness(to_lab(fine)), direction, look.pen.scaled(look.scale))
    light = bright(lightness(lab))
    accents = 1 - np.float32(look.accents) * rise(dark, look.pen.faint, look.pen.full)
    layers = (light + soft_steps(light, look.steps, look.scale)) / 2 * accents
    layers += relief(lightness(to_lab(rgb)) - lightness(lab), direction, look)
    return to_picture(from_lab(fresh(lab, layers, look.chroma)))


def kuwahara(rgb: Plane, direction: Plane, straightness: Plane, radius_pixels: float, look: Oil) -> Plane:
    """RGB HW3 by the anisotropic Kuwahara filter, guided by flow HW2 and its straightness HW."""
    places, sectors, shares = disc(radius_pixels * look.scale)
    sharpness = np.float32((255 / look.evenness) ** 2)
    out = np.empty_like(rgb)
    kernels.kuwahara(
        np.ascontiguousarray(rgb), direction, straightness, places, sectors, shares,
        np.float32(look.stretch), sharpness, out,
    )  # fmt: skip
    return out


def disc(radius: float) -> tuple[Plane, np.ndarray[tuple[int], np.dtype[np.int64]], Plane]:
    """Places (N, 2) on a grid in a disc, the sector of each, and its weights (N, 2) for that and the next.

    Weights fall off with the distance by a Gaussian and with the angle linearly from the middle of a sector
    to that of the next one. Those of each sector sum to 1. The middle counts for all sectors alike.
    """
    spacing = max(1.0, radius / _ACROSS)
    reach = int(radius / spacing)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] * spacing
    inside = (x**2 + y**2 <= radius**2) & (x**2 + y**2 > 0)
    x, y = x[inside], y[inside]
    turn = (np.arctan2(y, x) / (2 * np.pi) * SECTORS) % SECTORS
    sectors = np.floor(turn).astype(np.int64) % SECTORS
    part = turn - np.floor(turn)
    near = np.exp(-(x**2 + y**2) / (2 * (radius / 2) ** 2))
    shares = np.stack([near * (1 - part), near * part], axis=-1)
    middles = np.arange(SECTORS)
    places = np.concatenate([np.stack([x, y], axis=-1), np.zeros((SECTORS, 2))])
    sectors = np.concatenate([sectors, middles])
    shares = np.concatenate([shares, np.repeat([[1.0 / SECTORS, 0.0]], SECTORS, 0)])
    totals = np.bincount(sectors, shares[:, 0], SECTORS)
    totals += np.bincount((sectors + 1) % SECTORS, shares[:, 1], SECTORS)
    shares /= np.stack([totals[sectors], totals[(sectors + 1) % SECTORS]], axis=-1)
    return places.astype(np.float32), sectors, shares.astype(np.float32)


def relief(texture: Plane, direction: Plane, look: Oil) -> Plane:
    """Lightness HW that light from above left adds to strokes: texture HW, drawn out along the flow."""
    height = along(texture[..., None], direction, 4.0 * look.scale)[..., 0]
    height = np.asarray(height * rise(np.abs(height), 0.003, 0.015), np.float32)
    across = cv2.Scharr(height, cv2.CV_32F, 1, 0, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Scharr(height, cv2.CV_32F, 0, 1, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    lit = np.float32(look.relief * look.scale) * (across + down)
    return np.asarray(np.float32(0.08) * np.tanh(lit / np.float32(0.08)), np.float32)
