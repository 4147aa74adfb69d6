"""Picture sequences as source."""

from __future__ import annotations


def is_pictures(text: str) -> bool:
    return False


class PictureSource:
    def __init__(self, *a, **k): ...
