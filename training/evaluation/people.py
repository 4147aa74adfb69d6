"""People: whether faces that are found in the source are still found in what an engine makes of it, and
whether their points stay where they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluation.faces import Face, FaceDetector, overlap
from training.evaluation.landmarks import LandmarkFinder, Landmarks, moved
from training.pictures import Picture

HEIGHTS = (60.0, 150.0)  # of the faces that count, in pixels: larger ones are found in anything
STAYED = 0.03  # mean movement of the points of a face that stayed, in distances of the eyes
_SURE = 0.6  # score from which the source counts as having a face
_SAME = 0.5  # intersection over union from which a face is where the source's is


@dataclass(frozen=True)
class FacesKept:
    """What became of the faces.

    Attributes:
        faces: Number of faces in the sources.
        found: Share of them that the outputs have, too.
        stayed: Share of them that the outputs have, too, and whose 68 points moved by less than `STAYED`.
        movement: Median over faces, found or not, of the mean movement of the points, in distances of the
            eyes.
    """

    faces: int
    found: float
    stayed: float
    movement: float


class FaceComparison:
    """Looks for people in sources and in outputs."""

    def __init__(self) -> None:
        self._detect, self._points = FaceDetector(), LandmarkFinder()

    def faces(self, source: Picture) -> list[tuple[Face, Landmarks]]:
        """The frontal faces of a height within `HEIGHTS`, with their points."""
        sure = [face for face in self._detect(source) if face.frontal and face.score >= _SURE]
        known = [(face, self._points(source, face)) for face in sure]
        return [
            (face, points)
            for face, points in known
            if points.is_face and HEIGHTS[0] <= points.height <= HEIGHTS[1]
        ]

    def look(self, known: Sequence[tuple[Face, Landmarks]], output: Picture) -> list[tuple[bool, float]]:
        """For each face of a source whether an output has it, and how far its points moved.

        The points are looked for where the source's face is, so that no jitter of the box counts.
        """
        seen = self._detect(output) if known else []
        return [
            (
                any(overlap(face, other) >= _SAME for other in seen),
                moved(self._points(output, face), points),
            )
            for face, points in known
        ]


def kept(faces: Sequence[tuple[bool, float]]) -> FacesKept:
    """The faces of all pictures together, as `FaceComparison.look` gives them."""
    if not faces:
        return FacesKept(0, 0.0, 0.0, 0.0)
    found = np.array([is_found for is_found, _ in faces])
    movements = np.array([movement for _, movement in faces])
    return FacesKept(
        len(faces),
        float(found.mean()),
        float((found & (movements < STAYED)).mean()),
        float(np.median(movements)),
    )
