"""People: the faces of a picture and their points, of small faces and large ones.

Networks of others find them, see `training/evaluation/faces.py` and `training/evaluation/landmarks.py`. That
detector finds faces of 60 to 150 pixels, so it is shown the picture in several sizes. Points are looked for
twice, the second time around those that were found first: they follow the face, where the detector's boxes
jump.

Legend of shapes: P = 68 points of a face, M = 468 points of the mesh; 3: x, y and depth, in pixels.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from training.evaluation.faces import TILE, Face, FaceDetector, distinct, overlap
from training.evaluation.landmarks import INPUT, LANDMARKS, POINTS, crop_map
from training.evaluation.network import Real, open_network
from training.operators.planes import rise
from training.pictures import Picture

# Where things are among the points.
OUTLINE, LEFT_EYE, RIGHT_EYE, LIPS = slice(0, 17), slice(36, 42), slice(42, 48), slice(48, 60)

_FINEST = 2.0  # enlarged so, faces of 30 pixels are found
_SURE = (0.6, 0.8)  # scores of the detector between which a face fades in
_LIKELY = (2.0, 8.0)  # logits between which it does, as the network of the points sees it
_CLEAR = 0.78  # score of the detector from which a find is a face, whatever the network of the points sees
_SAME = 0.3  # intersection over union from which two finds are one face


@dataclass(frozen=True, eq=False)
class Person:
    """A face in a picture.

    Attributes:
        points_P3: The 68 points, the order that of `training.evaluation.landmarks`; depth grows away from the
            camera.
        presence: 0 to 1, how sure it is that a face is there.
    """

    points_P3: Real
    presence: float


class People:
    """Finds faces from about 25 pixels high to those that fill the picture. Safe to call from several
    threads."""

    def __init__(self) -> None:
        self._detect, self._points = FaceDetector(), open_network(LANDMARKS)
        self._alone = threading.Lock()  # one picture at a time: the networks keep their values in one place

    def __call__(self, picture: Picture) -> list[Person]:
        """The people of an RGB picture HW3, the surest first."""
        with self._alone:
            found = [self._person(picture, face) for face in self._finds(picture)]
        people = sorted((one for one in found if one.presence > 0), key=lambda one: -one.presence)
        return _different(people)

    def faces(self, picture: Picture) -> list[Face]:
        """What the detector takes for faces in an RGB picture HW3, the surest first: all of it where one of
        them is clearly a face, for there are people then, else nothing. Heads of animals are not clear."""
        with self._alone:
            faces = self._finds(picture)
            clear = any(face.score >= _CLEAR or self._points_of(picture, face)[1] >= 0 for face in faces)
        return faces if clear else []

    def _finds(self, picture: Picture) -> list[Face]:
        """The detector's finds in the picture at all sizes, those of one face put together."""
        finds: list[Face] = []
        for scale in scales(min(picture.shape[:2])):
            for face in self._detect(_resized(picture, scale)):
                x0, y0, x1, y1 = (side / scale for side in face.box)
                finds.append(Face((x0, y0, x1, y1), face.points_62 / np.float32(scale), face.score))
        return distinct(finds)

    def _person(self, picture: Picture, face: Face) -> Person:
        mesh_M3, logit = self._points_of(picture, face)
        return Person(mesh_M3[list(POINTS)], fade_in(face.score, *_SURE) * fade_in(logit, *_LIKELY))

    def _points_of(self, picture: Picture, face: Face) -> tuple[Real, float]:
        """As `_mesh`, around the points that are found around the face."""
        mesh_M3, _ = self._mesh(picture, face)
        return self._mesh(picture, _around(mesh_M3[list(POINTS)], face.score))

    def _mesh(self, picture: Picture, face: Face) -> tuple[Real, float]:
        """Points M3 of what is where `face` is, and the logit of its being one."""
        into_input_23 = crop_map(face)
        seen = cv2.warpAffine(
            picture, into_input_23, (INPUT, INPUT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        mesh, logit = self._points(np.asarray(seen[None], np.float32) / np.float32(255))
        back_23 = cv2.invertAffineTransform(into_input_23)
        flat_M3 = mesh.reshape(-1, 3)
        places_M2 = flat_M3[:, :2] @ back_23[:, :2].T + back_23[:, 2]
        scale = np.hypot(*back_23[:, 0])
        return np.concatenate([places_M2, scale * flat_M3[:, 2:]], axis=1).astype(np.float32), logit.item()


@cache
def finder() -> People:
    """The one finder of the process, opened when it is first needed."""
    return People()


def fade_in(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, smooth in between."""
    return float(rise(np.array(value, np.float32), low, high))


def scales(short_side: int) -> list[float]:
    """Scales at which a picture is searched: each half the one before, down to where a tile of the detector
    shows all of its short side."""
    found = [_FINEST]
    while short_side * found[-1] > TILE:
        found.append(found[-1] / 2)
    return found


def _resized(picture: Picture, scale: float) -> Picture:
    if scale == 1:
        return picture
    size_wh = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size_wh, interpolation=method), np.uint8)


def _around(points_P3: Real, score: float) -> Face:
    """The square around points, as a face whose eyes are theirs."""
    flat_P2 = points_P3[:, :2]
    low, high = flat_P2.min(0), flat_P2.max(0)
    half = float((high - low).max()) / 2
    (x, y) = ((low + high) / 2).tolist()
    eyes_22 = np.stack([flat_P2[LEFT_EYE].mean(0), flat_P2[RIGHT_EYE].mean(0)])
    return Face((x - half, y - half, x + half, y + half), eyes_22.repeat(3, axis=0), score)


def _different(people: Iterable[Person]) -> list[Person]:
    """Each face once: finds may have met around the same points. The first of them stays."""
    kept: list[Person] = []
    boxes: list[Face] = []
    for person in people:
        box = _around(person.points_P3, 1.0)
        if all(overlap(box, other) < _SAME for other in boxes):
            kept.append(person)
            boxes.append(box)
    return kept
