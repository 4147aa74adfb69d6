"""Landmarks: points of a face, by a small network of others, and how far a picture's are from another's.

The network gives the 468 points of MediaPipe's face mesh (Kartynnik, Ablavatski, Grishchenko, Grundmann,
"Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019); see `training/judges`. Those
of them that lie where the 68 points of the iBUG scheme do (Sagonas, Tzimiropoulos, Zafeiriou, Pantic, "300
Faces in-the-Wild Challenge", 2013) are compared: outline, brows, nose, eyes, lips.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.evaluation.faces import Face
from training.evaluation.network import JUDGES, Real, open_network
from training.pictures import Picture

LANDMARKS = JUDGES / "face_landmark.tflite"

INPUT = 192  # side of what the network sees, in pixels
AROUND = 1.5  # side of that over the side of the face's box

# Points of the mesh that lie where the 68 do, in their order: outline and brows from the left of the picture
# to the right, nose from above, eyes and lips around. The mirror image of each is in the same group.
OUTLINE = (127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356)
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
NOSE = (168, 197, 5, 4, 75, 97, 2, 326, 305)
EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
OUTER_LIPS = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
INNER_LIPS = (78, 81, 13, 311, 308, 402, 14, 178)
POINTS = (*OUTLINE, *BROWS, *NOSE, *EYES, *OUTER_LIPS, *INNER_LIPS)

_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)  # among the 68
_FOREHEAD, _CHIN = 10, 152  # of the mesh


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The points of a face.

    Attributes:
        points_682: x and y of the 68 points, in pixels of the picture.
        height: Distance from the top of the forehead to the chin, in pixels.
        is_face: Whether the network takes what it sees for a face.
    """

    points_682: Real
    height: float
    is_face: bool

    @property
    def eye_distance(self) -> float:
        """Distance of the centres of the eyes, in pixels."""
        left, right = self.points_682[_LEFT_EYE].mean(0), self.points_682[_RIGHT_EYE].mean(0)
        return float(np.linalg.norm(left - right))


class LandmarkFinder:
    """Finds the points of faces.

    Args:
        path: Path of the network.
    """

    def __init__(self, path: Path = LANDMARKS) -> None:
        self._network = open_network(path)

    def __call__(self, picture: Picture, face: Face) -> Landmarks:
        """The points of what lies where `face` is in an RGB picture."""
        into_input_23 = crop_map(face)
        seen = cv2.warpAffine(
            picture, into_input_23, (INPUT, INPUT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        values = np.asarray(seen[None], np.float32) / np.float32(255)
        mesh, belief = self._network(values)
        back_23 = cv2.invertAffineTransform(into_input_23)
        places = mesh.reshape(-1, 3)[:, :2] @ back_23[:, :2].T + back_23[:, 2]
        height = float(np.linalg.norm(places[_FOREHEAD] - places[_CHIN]))
        return Landmarks(places[list(POINTS)].astype(np.float32), height, bool(belief.item() > 0))


def crop_map(face: Face) -> Real:
    """Affine map 2 x 3 from pixels of the picture to those of the input: the box, enlarged, with the eyes
    level."""
    (left_x, left_y), (right_x, right_y) = face.points_62[:2].tolist()
    angle = np.arctan2(right_y - left_y, right_x - left_x)
    x0, y0, x1, y1 = face.box
    scale = INPUT / (AROUND * max(x1 - x0, y1 - y0))
    turn_22 = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift_2 = INPUT / 2 - turn_22 @ np.array([x0 + x1, y0 + y1]) / 2
    return np.concatenate([turn_22, shift_2[:, None]], axis=1).astype(np.float32)


def moved(found: Landmarks, source: Landmarks) -> float:
    """Mean distance of the 68 points from those of the source, in distances of the source's eyes."""
    steps = np.linalg.norm(found.points_682 - source.points_682, axis=1)
    return float(steps.mean()) / max(source.eye_distance, 1e-6)
