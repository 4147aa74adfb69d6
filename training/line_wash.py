"""A slow operator that redraws a photograph in pen and watercolour ("line and wash").

It makes the partners of the paired training: the same picture for the same photograph, always. All lengths
are in pixels and grow with `weight_pixels`, the width of the pen. Legend of shapes: H x W picture.

Sources of the parts: generalised Kuwahara filter (Papari, Petkov, Campisi, "Artistic Edge and Corner
Enhancing Smoothing", 2007); smoothing along the flow of the structure tensor (Kyprianidis, Doellner, "Image
Abstraction by Structure Adaptive Filtering", 2008; Kang, Lee, Chui, "Flow-Based Image Abstraction", 2009);
lines by thresholded differences of Gaussians along that flow (Winnemoeller, Kyprianidis, Olsen, "XDoG: An
eXtended Difference-of-Gaussians Compendium including Advanced Image Stylization", 2012); soft steps of
lightness (Winnemoeller, Olsen, Gooch, "Real-Time Video Abstraction", 2006); density of pigment and darker
edges of washes (Bousseau, Kaplan, Thollot, Sillion, "Interactive Watercolor Rendering with Temporal Coherence
and Abstraction", 2006).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.pictures import Picture

Plane = NDArray[np.float32]

INK = np.array([0.13, 0.10, 0.14], np.float32)
PAPER = np.array([1.0, 0.985, 0.95], np.float32)
SECTORS = 8


def line_and_wash(picture: Picture, weight_pixels: float = 1.0) -> Picture:
    """Pen-and-watercolour drawing HW3 of an RGB picture HW3, as large.

    Args:
        picture: RGB, 8 bits.
        weight_pixels: Deviation of the Gaussian that sets the width of a pen line; washes grow with it.
    """
    rgb = np.asarray(picture / 255, np.float32)
    direction, straightness = flow(rgb, 2.0 * weight_pixels)
    smooth = along(kuwahara(rgb, round(4.5 * weight_pixels)), direction, 3 * weight_pixels)
    ink = lines(np.sqrt(luma(rgb)), direction, straightness, weight_pixels)[..., None]
    painted = wash(smooth, weight_pixels)
    drawn = painted * (1 - ink) + INK * ink
    return np.asarray((drawn.clip(0, 1) * 255).round(), np.uint8)


def flow(rgb: Plane, deviation: float) -> tuple[Plane, Plane]:
    """Direction along edges, unit vectors HW2 (x, y), and how clear it is there, HW in 0..1.

    The eigenvector of the smaller eigenvalue of the smoothed structure tensor of all three channels.
    """
    across = cv2.Scharr(rgb, cv2.CV_32F, 1, 0) / 32
    down = cv2.Scharr(rgb, cv2.CV_32F, 0, 1) / 32
    products = ((across * across).sum(-1), (across * down).sum(-1), (down * down).sum(-1))
    xx, xy, yy = (blur(product, deviation) for product in products)
    difference, root = xx - yy, np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    larger = (xx + yy + root) / 2
    tangent = np.stack([larger - xx, -xy], axis=-1)
    upright = np.stack([xy, yy - larger], axis=-1)  # the same eigenvector, where the first form vanishes
    tangent = np.where((difference > 0)[..., None], upright, tangent)
    length = np.linalg.norm(tangent, axis=-1, keepdims=True)
    unit = np.where(length > 1e-9, tangent / np.maximum(length, 1e-9), np.array([1, 0], np.float32))
    return unit.astype(np.float32), (root / (xx + yy + 1e-5)).astype(np.float32)


def along(picture: Plane, direction: Plane, deviation: float) -> Plane:
    """Picture smoothed by a Gaussian along the flow: a line integral in steps of one pixel, both ways."""
    height, width = picture.shape[:2]
    start = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    total, weights = picture.copy(), 1.0
    for sign in (1.0, -1.0):
        place, heading = start, sign * direction
        for step in range(1, round(2 * deviation) + 1):
            place = place + heading
            turned = sample(direction, place)
            heading = turned * np.where((turned * heading).sum(-1, keepdims=True) < 0, -1, 1)
            share = float(np.exp(-(step**2) / (2 * deviation**2)))
            total += share * sample(picture, place)
            weights += share
    return np.asarray(total / weights, np.float32)


def kuwahara(rgb: Plane, radius: int, sharpness: float = 8.0) -> Plane:
    """Generalised Kuwahara filter: means of soft sectors of a disc, weighted by how even each sector is."""
    total, weights = np.zeros_like(rgb), np.zeros(rgb.shape[:2], np.float32)
    for kernel in sectors(radius):
        mean = cv2.filter2D(rgb, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        square = cv2.filter2D(rgb * rgb, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        deviation = np.sqrt(np.maximum(square - mean * mean, 0).sum(-1))
        weight = 1 / (1 + (255 * deviation / 12) ** sharpness)
        total += weight[..., None] * mean
        weights += weight
    return np.asarray(total / (weights[..., None] + 1e-20), np.float32)


def sectors(radius: int) -> list[Plane]:
    """Kernels of the sectors of a disc, each a Gaussian cut softly by angle; every one sums to one."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    disc = np.exp(-(x**2 + y**2) / (2 * (radius / 2) ** 2)) * (x**2 + y**2 <= (radius + 0.5) ** 2)
    kernels = []
    for sector in range(SECTORS):
        turn = np.angle(np.exp(1j * (np.arctan2(y, x) - 2 * np.pi * sector / SECTORS)))
        kernel = disc * np.exp(-(turn**2) / (2 * (np.pi / SECTORS) ** 2))
        kernel[radius, radius] = disc[radius, radius] / SECTORS
        kernels.append((kernel / kernel.sum()).astype(np.float32))
    return kernels


def lines(light: Plane, direction: Plane, straightness: Plane, weight_pixels: float) -> Plane:
    """Ink of the pen, HW in 0..1: dark sides of edges, and darkest darks filled, sharpened along the flow."""
    across = np.stack([-direction[..., 1], direction[..., 0]], axis=-1)
    narrow = straight(light, across, weight_pixels)
    wide = straight(light, across, 1.6 * weight_pixels)
    response = along(narrow - wide, direction, 3 * weight_pixels)
    pressure = 0.45 + 0.55 * straightness
    ink = np.clip((-response * pressure - 0.003) / 0.018, 0, 1)
    return np.asarray(ink * ink * (3 - 2 * ink), np.float32)


def straight(plane: Plane, direction: Plane, deviation: float) -> Plane:
    """Plane smoothed by a Gaussian along straight lines through every pixel, in half-pixel steps."""
    height, width = plane.shape
    start = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    reach = np.arange(-round(5 * deviation), round(5 * deviation) + 1) / 2
    shares = np.exp(-(reach**2) / (2 * deviation**2))
    total = sum(
        share * sample(plane, start + np.float32(away) * direction)
        for away, share in zip(reach, shares / shares.sum(), strict=True)
    )
    return np.asarray(total, np.float32)


def wash(smooth: Plane, weight_pixels: float) -> Plane:
    """Watercolour of a smoothed picture: few steps of lightness, fresh colour, pigment gathered at edges, and
    bright parts left to the paper."""
    light = luma(smooth)[..., None]
    stepped = 0.85 * soft_steps(light, 6) + 0.15 * light
    colour = (smooth - light) * 1.4 + stepped
    bright = np.clip((stepped - 0.5) / 0.42, 0, 1)
    colour = 0.08 + 0.92 * colour.clip(0, 1) ** 0.72
    colour = colour + (PAPER - colour) * (0.85 * bright**1.3)
    steps = [cv2.Sobel(light, cv2.CV_32F, *axis, scale=0.25) for axis in ((1, 0), (0, 1))]
    edge = np.hypot(*steps)
    density = 1 + 1.6 * blur(np.clip(edge * 4, 0, 1), weight_pixels)[..., None]
    return np.asarray(colour - (colour - colour * colour) * (density - 1), np.float32)


def soft_steps(light: Plane, steps: int) -> Plane:
    """Lightness in `steps` equal steps whose borders are soft: a staircase of hyperbolic tangents."""
    border = np.round(light * steps)
    rise = np.tanh(9 * (light * steps - border)) / np.tanh(4.5)
    return np.asarray((border + rise / 2) / steps, np.float32)


def luma(rgb: Plane) -> Plane:
    """Luma HW (ITU-R BT.601 weights) of an RGB picture."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)


def blur(plane: Plane, deviation: float) -> Plane:
    """Plane smoothed by a Gaussian."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE), np.float32)


def sample(picture: Plane, places: Plane) -> Plane:
    """Picture at places HW2 (x, y), bilinear, border repeated."""
    places = places.astype(np.float32)
    return np.asarray(
        cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )
