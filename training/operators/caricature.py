"""Caricature: people's eyes grow, and their mouths a little; their chins become narrow. All else stays.

Nothing is drawn: the picture is warped, by bulges at eyes, mouth and chin whose sizes follow the face.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.operators.bulges import Bulge, field, warp
from training.operators.people import LEFT_EYE, LIPS, OUTLINE, RIGHT_EYE, Person, fade_in, finder
from training.pictures import Picture

_CHIN = 8  # among the points of the outline
_TURNED = (0.3, 0.6)  # cosines of the turn of a head between which it comes in: beyond, one eye hides


@dataclass(frozen=True)
class Caricature:
    """Settings of the caricature; lengths in distances of the eyes.

    Attributes:
        eyes: Enlargement of the eyes: in the middle things become 1 / (1 - eyes) as large.
        eye_radius: Distance around the middle of an eye over which the picture changes.
        mouth: Enlargement of the mouth, counted as `eyes`.
        mouth_radii: Distances around the mouth, as `eye_radius`, along the line of the eyes and across.
        jaw: Narrowing of the lower face: in the middle it becomes 1 / (1 + jaw) as wide.
        jaw_radii: Distances over which it narrows.
        jaw_place: Position of its middle, between the mouth, 0, and the chin, 1.
    """

    eyes: float = 0.5
    eye_radius: float = 0.62
    mouth: float = 0.28
    mouth_radii: tuple[float, float] = (0.9, 0.55)
    jaw: float = 0.38
    jaw_radii: tuple[float, float] = (1.5, 1.0)
    jaw_place: float = 0.6


def caricature(picture: Picture, settings: Caricature | None = None) -> Picture:
    """Caricature of the people in an RGB picture HW3, as large; the picture itself where there is nobody."""
    people = finder()(picture)
    if not people:
        return picture.copy()
    return warp(picture, field(bulges(people, settings), *picture.shape[:2]))


def bulges(people: Iterable[Person], settings: Caricature | None = None) -> list[Bulge]:
    """What makes caricatures of people."""
    look = settings or Caricature()
    return [bulge for person in people for bulge in _bulges(person, look)]


def _bulges(person: Person, look: Caricature) -> list[Bulge]:
    points_P2 = person.points_P3[:, :2].astype(np.float64)
    left_3, right_3 = (person.points_P3[eye].mean(0).astype(np.float64) for eye in (LEFT_EYE, RIGHT_EYE))
    distance = float(np.linalg.norm(right_3 - left_3))
    seen = float(np.hypot(*(right_3 - left_3)[:2]))  # a head that is turned shows its eyes closer together
    if seen == 0:
        return []
    narrow_2 = np.array([seen / distance, 1.0])
    weight = person.presence * fade_in(seen / distance, *_TURNED)
    axis_2 = (right_3 - left_3)[:2] / seen
    mouth_2, chin_2 = points_P2[LIPS].mean(0), points_P2[OUTLINE][_CHIN]

    def bulge(
        centre_2: NDArray[np.float64], radii: tuple[float, float], amounts: tuple[float, float]
    ) -> Bulge:
        radii_2 = distance * np.array(radii) * narrow_2
        return Bulge(centre_2, axis_2, radii_2, weight * np.array(amounts))

    return [
        bulge(left_3[:2], (look.eye_radius, look.eye_radius), (look.eyes, look.eyes)),
        bulge(right_3[:2], (look.eye_radius, look.eye_radius), (look.eyes, look.eyes)),
        bulge(mouth_2, look.mouth_radii, (look.mouth, look.mouth)),
        bulge(mouth_2 + look.jaw_place * (chin_2 - mouth_2), look.jaw_radii, (-look.jaw, 0.0)),
    ]
