"""Masks of people: drawn by the slow operator when they are first needed, and kept in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

from training.operators.person import person
from training.pictures import Picture

Mask = np.typing.NDArray[np.uint8]


class PeopleMasks:
    """The masks of pictures, HW of 8 bits: 0 where there is nobody, 255 where a person is.

    Args:
        folder: Place where they are kept, under the hash of their picture.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, picture: Picture) -> Mask:
        """The mask of an RGB picture HW3."""
        shape = np.array(picture.shape, np.int64).tobytes()
        digest = hashlib.blake2b(shape + np.ascontiguousarray(picture).tobytes(), digest_size=16).hexdigest()
        path = self._folder / f"{digest}.png"
        kept = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
        if kept is not None:
            return np.asarray(kept, np.uint8)
        mask = np.asarray((person(picture) * 255).round(), np.uint8)
        partial = path.with_suffix(".partial.png")
        cv2.imwrite(str(partial), mask)
        partial.replace(path)
        return mask
