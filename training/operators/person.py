"""Person: how much of each pixel of a picture belongs to a person, drawn to the hair and the fingers.

A network of others that knows people in front of a camera says where they are, on a square of 256 x 256
pixels (`training/judges`). It is shown windows of the picture and the surroundings of each face, since a
person who fills a sixth of the picture is no more than a few of its pixels; each time with the mirror image
too, so that left and right are treated alike. It takes whatever stands out for a person, animals as well, so
only what hangs together with a face counts. What it says is coarse, so a guided filter then moves its edge
onto those of the picture.

Source of the filter: He, Sun, Tang, "Guided Image Filtering" (2010), with a guide in colour.

Legend of axes: H, W = of the picture; 3 = its colours.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np

from training.evaluation.faces import Face
from training.evaluation.network import JUDGES, open_network
from training.operators.people import finder
from training.operators.planes import Plane, rise, to_rgb
from training.pictures import Picture

SEGMENTER = JUDGES / "selfie_segmentation.tflite"
INPUT = 256  # side of what the network sees, in pixels

_ABOVE = 0.4  # room above a face in the square around it, in halves of its side
_PERSON = 0.5  # value from which a pixel is taken for one of a person
_MARGIN = 0.15  # share of the side of a square over which what is seen in it fades in
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # of colours
_alone = threading.Lock()  # one picture at a time: the network keeps its values in one place


@dataclass(frozen=True)
class Matting:
    """Settings of the mask.

    Attributes:
        reach: Radius of the windows of the guided filter, in short sides of the picture.
        unevenness: Variance of colours in 0..1 below which a window counts as flat, so that no edge is
            followed there.
        sure: Values of the network between which its mask rises from 0 to 1, before it is filtered.
        full: Values of the filtered mask that become 0 and 1.
        faceless: Whether people count whose faces are not seen. Animals, cars and whatever else stands out
            then count as well: the network takes them for people.
        around: Sides of the squares that are looked at around each face, in heights of its box.
    """

    reach: float = 1 / 120
    unevenness: float = 1e-4
    sure: tuple[float, float] = (0.3, 0.7)
    full: tuple[float, float] = (0.1, 0.9)
    faceless: bool = False
    around: tuple[float, ...] = (5.0, 9.0)


def person(picture: Picture, settings: Matting | None = None) -> Plane:
    """Mask HW of the people in an RGB picture HW3 of 8 bits: 0 where there is nobody, 1 where a person is.

    Raises:
        ValueError: The picture is not HW3 of 8 bits.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise ValueError(
            f"the mask of people was asked of an array {picture.dtype} {list(picture.shape)}; "
            "give an RGB picture of 8 bits, its axes height, width, 3"
        )
    how = settings or Matting()
    radius = max(1, round(how.reach * min(picture.shape[:2])))
    sure = rise(_coarse(picture, how), *how.sure)
    fine = guided(to_rgb(picture), sure, radius, how.unevenness)
    low, high = how.full
    return np.asarray(((fine - low) / (high - low)).clip(0, 1), np.float32)


def guided(guide_HW3: Plane, plane_HW: Plane, radius: int, unevenness: float) -> Plane:
    """The plane made to follow the guide: in each window, an affine function of the guide's colours.

    Args:
        guide_HW3: Colours in 0..1.
        plane_HW: Plane to filter, of the size of the guide.
        radius: Windows are squares of 2 radius + 1 pixels; what lies outside mirrors what is inside.
        unevenness: Variance of the guide, in a window, from which its edges are followed.
    """
    mean_HW3, mean_HW = _box(guide_HW3, radius), _box(plane_HW, radius)
    shared_HW3 = _box(guide_HW3 * plane_HW[..., None], radius) - mean_HW3 * mean_HW[..., None]
    varied_HW33 = np.empty((*plane_HW.shape, 3, 3), np.float32)
    for one, other in _PAIRS:
        product = _box(guide_HW3[..., one] * guide_HW3[..., other], radius)
        varied_HW33[..., one, other] = product - mean_HW3[..., one] * mean_HW3[..., other]
        varied_HW33[..., other, one] = varied_HW33[..., one, other]
    varied_HW33 += np.float32(unevenness) * np.eye(3, dtype=np.float32)
    slope_HW3 = np.asarray(np.linalg.solve(varied_HW33, shared_HW3[..., None])[..., 0], np.float32)
    offset_HW = np.asarray(mean_HW - (slope_HW3 * mean_HW3).sum(-1), np.float32)
    followed_HW3 = _box(slope_HW3, radius) * guide_HW3
    return np.asarray(followed_HW3.sum(-1) + _box(offset_HW, radius), np.float32)


def _box(plane: Plane, radius: int) -> Plane:
    """Means over squares of 2 radius + 1 pixels."""
    side = 2 * radius + 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _coarse(picture: Picture, how: Matting) -> Plane:
    """What the network says of the surroundings of faces and, where people without a face count, on average
    of the picture and of windows of it: the larger value."""
    windows = _in_windows(picture)
    found = np.zeros_like(windows)
    if how.faceless:
        found += (_seen(picture) + windows) / 2
    for face in finder().faces(picture):
        np.maximum(found, _around(picture, face, windows, how), out=found)
    return found


def _in_windows(picture: Picture) -> Plane:
    """What the network says of squares as wide as the short side of the picture, which overlap by at least
    half. Nothing is stretched in them, and people are larger than in the whole."""
    height, width = picture.shape[:2]
    side = min(height, width)
    count = 2 * -(-max(height, width) // side) - 1
    found, whole = np.zeros((2, height, width), np.float32)
    for index in range(count):
        start = round((max(height, width) - side) * index / max(1, count - 1))
        top, left = (start, 0) if height > width else (0, start)
        weights = _fading(picture, top, left, side, side) + np.float32(1e-3)
        place = slice(top, top + side), slice(left, left + side)
        found[place] += weights * _seen(picture[place])
        whole[place] += weights
    return np.asarray(found / whole, np.float32)


def _around(picture: Picture, face: Face, windows: Plane, how: Matting) -> Plane:
    """Mask of the one person a face belongs to: what the network says of squares around it, the smaller ones
    in front of the larger ones, and of the windows around those. Nobody where the face itself is not part of
    a person."""
    mask = windows.copy()
    for around in sorted(how.around, reverse=True):
        top, left, bottom, right = _square(face, around, *mask.shape)
        if bottom - top < mask.shape[0] or right - left < mask.shape[1]:
            part = mask[top:bottom, left:right]
            seen = _seen(picture[top:bottom, left:right])
            part += _fading(picture, top, left, *part.shape) * (seen - part)
    return _joined(mask, face)


def _square(face: Face, around: float, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of a square around a face, as far as it lies in the picture: more of it
    below the face than above."""
    x0, y0, x1, _ = face.box
    half = around * face.height / 2
    middle_x, middle_y = (x0 + x1) / 2, y0 + (1 - _ABOVE) * half
    top, left = round(max(0.0, middle_y - half)), round(max(0.0, middle_x - half))
    return top, left, round(min(height, middle_y + half)), round(min(width, middle_x + half))


def _joined(mask: Plane, face: Face) -> Plane:
    """The part of a mask that hangs together with a face; nothing if the face is not in it."""
    x0, y0, x1, y1 = (max(0, round(side)) for side in face.box)
    inside = mask[y0 : y1 + 1, x0 : x1 + 1]
    if inside.size == 0 or inside.mean() < _PERSON:
        return np.zeros_like(mask)
    _, labels = cv2.connectedComponents((mask >= _PERSON).astype(np.uint8))
    own = np.bincount(labels[y0 : y1 + 1, x0 : x1 + 1][inside >= _PERSON]).argmax()
    rim = 2 * max(1, round(face.height / 10)) + 1  # what is unsure around it belongs to it
    near = cv2.dilate((labels == own).astype(np.uint8), np.ones((rim, rim), np.uint8))
    return np.asarray(mask * near, np.float32)


def _fading(picture: Picture, top: int, left: int, height: int, width: int) -> Plane:
    """Weights of a part of the picture: 1 inside, falling to 0 at sides beyond which the picture goes on."""
    margin = np.float32(max(1.0, _MARGIN * min(height, width)))
    rising = []
    for start, side, whole in zip((top, left), (height, width), picture.shape[:2], strict=True):
        places = np.arange(side, dtype=np.float32) + np.float32(0.5)
        before = places if start > 0 else np.full_like(places, np.inf)
        after = side - places if start + side < whole else np.full_like(places, np.inf)
        rising.append((np.minimum(before, after) / margin).clip(0, 1))
    return np.asarray(np.outer(*rising), np.float32)


def _seen(picture: Picture) -> Plane:
    """What the network says of a picture, stretched to its square, and of the mirror image, on average; as
    large as the picture."""
    height, width = picture.shape[:2]
    method = cv2.INTER_AREA if min(height, width) > INPUT else cv2.INTER_LINEAR
    rgb = np.ascontiguousarray(picture)
    square = cv2.resize(rgb, (INPUT, INPUT), interpolation=method).astype(np.float32) / np.float32(255)
    with _alone:
        network = open_network(SEGMENTER)
        straight, mirrored = (network(seen[None])[0][0, ..., 0] for seen in (square, square[:, ::-1]))
    mask = (straight + mirrored[:, ::-1]) / 2
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
