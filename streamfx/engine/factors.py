"""The factors there are: how many times smaller than the frame the picture is that a network sees."""

from __future__ import annotations

FACTORS = (1, 1.5, 2, 3, 4, 6, 8)


def check_factor(value: object) -> int | float:
    """Return a factor; the one rule for it, wherever it is given.

    Raises:
        ValueError: there is no such factor; says which there are.

    Example:
        >>> check_factor(1.5)
        1.5
        >>> check_factor(5)
        Traceback (most recent call last):
        ...
        ValueError: must be one of 1, 1.5, 2, 3, 4, 6, 8
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in FACTORS:
        raise ValueError(f"must be one of {', '.join(str(factor) for factor in FACTORS)}")
    return value
