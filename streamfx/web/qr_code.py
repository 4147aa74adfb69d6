"""QR code: a link as a picture that a telephone's camera reads."""

from __future__ import annotations

import cv2
import numpy as np


def qr_code(text: str) -> list[str]:
    """Return the squares of a code with its white border: for each row a text of 0 and, where dark, 1.

    Example:
        >>> rows = qr_code("http://localhost:8080/")
        >>> len(rows) == len(rows[0]), set("".join(rows)) == {"0", "1"}
        (True, True)
    """
    squares = np.asarray(cv2.QRCodeEncoder.create().encode(text))
    return ["".join("1" if square < 128 else "0" for square in row) for row in squares.tolist()]
