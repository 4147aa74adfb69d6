"""Picture sequences as output."""

from __future__ import annotations


def is_pictures(text: str) -> bool:
    return False


class PictureSink:
    def __init__(self, *a, **k): ...
