"""Faces: where faces are in a picture, found by a small network of others in overlapping tiles.

The network is BlazeFace in MediaPipe's short-range form (Bazarevsky, Kartynnik, Vakunov, Raveendran,
Grundmann, "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019); see `training/judges`.
It sees 128 x 128 pixels: a face of 60 pixels in a whole frame would be too small for it.

Legend of shapes: A = 896 anchors, K = 16 numbers of a find: centre x, centre y, width and height of the box,
then x and y of six points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.evaluation.network import JUDGES, Real, open_network
from training.pictures import Picture

DETECTOR = JUDGES / "face_detection_short_range.tflite"

INPUT = 128  # side of what the network sees, in pixels
TILE = 240  # side of a tile, in pixels of the picture: a face of 60 pixels becomes one of 32
STEP = 80  # from tile to tile, so that a face of up to 160 pixels lies whole in one of them
LEAST_SCORE = 0.5
OVERLAP = 0.3  # intersection over union from which two finds are one face
FRONTAL = 0.25  # largest offset of the nose from the middle of the eyes, in distances of the eyes

_GRIDS = ((16, 2), (8, 6))  # side of a grid of anchors, and how many anchors each of its cells has


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture; positions in pixels.

    Attributes:
        box: Left, top, right and bottom of the square around it.
        points_62: x and y of the eye at the left of the picture, the other eye, nose, mouth, both ears.
        score: Certainty of the network, 0 to 1.
    """

    box: tuple[float, float, float, float]
    points_62: Real
    score: float

    @property
    def height(self) -> float:
        """Height of the box, which reaches from the forehead to the chin."""
        return self.box[3] - self.box[1]

    @property
    def frontal(self) -> bool:
        """Whether it looks at the camera: the nose lies between the eyes, measured along their line."""
        left, right, nose = self.points_62[:3]
        eyes = right - left
        offset = np.dot(nose - (left + right) / 2, eyes) / max(float(np.dot(eyes, eyes)), 1e-6)
        return bool(abs(offset) <= FRONTAL)


class FaceDetector:
    """Finds faces 60 to 150 pixels high, and most that are a little smaller or larger.

    Args:
        path: Path of the network.
    """

    def __init__(self, path: Path = DETECTOR) -> None:
        self._network = open_network(path)
        self._anchors_A2 = anchors()

    def __call__(self, picture: Picture) -> list[Face]:
        """The faces of an RGB picture, the surest first."""
        places = ((top, left) for top in _starts(picture.shape[0]) for left in _starts(picture.shape[1]))
        return distinct([face for top, left in places for face in self._in_tile(picture, top, left)])

    def _in_tile(self, picture: Picture, top: int, left: int) -> Iterator[Face]:
        """Faces that lie whole in a tile; they may reach over its edge where the picture ends there, too."""
        part = picture[top : top + TILE, left : left + TILE]
        tile = np.zeros((TILE, TILE, 3), np.uint8)
        tile[: part.shape[0], : part.shape[1]] = part
        seen = cv2.resize(tile, (INPUT, INPUT), interpolation=cv2.INTER_AREA).astype(np.float32) / 127.5 - 1
        finds_AK, scores_A = (output[0] for output in self._network(seen[None]))
        height, width = picture.shape[:2]
        inside = (
            0 if left > 0 else -np.inf,
            0 if top > 0 else -np.inf,
            TILE if left + TILE < width else np.inf,
            TILE if top + TILE < height else np.inf,
        )
        for face in decode(finds_AK, scores_A[:, 0], self._anchors_A2):
            x0, y0, x1, y1 = (TILE * side for side in face.box)
            if x0 >= inside[0] and y0 >= inside[1] and x1 <= inside[2] and y1 <= inside[3]:
                box = (x0 + left, y0 + top, x1 + left, y1 + top)
                yield Face(box, face.points_62 * TILE + np.array([left, top], np.float32), face.score)


def anchors() -> Real:
    """Centres x, y of the anchors, A2, in sides of the input: those of the finer grid first, row by row."""
    grids = []
    for side, each in _GRIDS:
        centres = (np.arange(side, dtype=np.float32) + 0.5) / side
        y, x = np.meshgrid(centres, centres, indexing="ij")
        grids.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(each, axis=0))
    return np.concatenate(grids)


def decode(finds_AK: Real, scores_A: Real, anchors_A2: Real) -> list[Face]:
    """Finds that are sure enough, in sides of the input.

    Args:
        finds_AK: Output of the network: in pixels of the input, positions from the anchor on.
        scores_A: Scores before the logistic function.
        anchors_A2: Centres (x, y) of the anchors, in sides of the input: `anchors`.
    """
    sure_A = 1 / (1 + np.exp(-np.clip(scores_A, -80, 80)))
    faces = []
    for index in np.flatnonzero(sure_A >= LEAST_SCORE):
        pairs_82 = finds_AK[index].reshape(8, 2) / INPUT
        centre, half = anchors_A2[index] + pairs_82[0], pairs_82[1] / 2
        (x0, y0), (x1, y1) = (centre - half).tolist(), (centre + half).tolist()
        faces.append(Face((x0, y0, x1, y1), anchors_A2[index] + pairs_82[2:], float(sure_A[index])))
    return faces


def distinct(faces: Sequence[Face]) -> list[Face]:
    """One face for each group of finds that overlap: their mean, weighted by their scores, and the highest
    score, as in BlazeFace; the surest first."""
    waiting = sorted(faces, key=lambda face: -face.score)
    found = []
    while waiting:
        group = [face for face in waiting if overlap(face, waiting[0]) >= OVERLAP]
        waiting = [face for face in waiting if overlap(face, waiting[0]) < OVERLAP]
        weights = np.array([face.score for face in group]) / sum(face.score for face in group)
        x0, y0, x1, y1 = (weights @ np.array([face.box for face in group])).tolist()
        points_62 = np.tensordot(weights, np.stack([face.points_62 for face in group]), 1)
        found.append(Face((x0, y0, x1, y1), points_62.astype(np.float32), group[0].score))
    return found


def overlap(one: Face, other: Face) -> float:
    """Intersection of two boxes over their union."""
    left, top, right, bottom = zip(one.box, other.box, strict=True)
    shared = max(0.0, min(right) - max(left)) * max(0.0, min(bottom) - max(top))
    areas = sum((face.box[2] - face.box[0]) * face.height for face in (one, other))
    return shared / max(areas - shared, 1e-9)


def _starts(side: int) -> list[int]:
    """Where tiles begin along a side; the last one ends with it."""
    return [*range(0, max(side - TILE, 0), STEP), max(side - TILE, 0)]
