"""Frame rates as people write them."""

from __future__ import annotations

from fractions import Fraction

MOST_FPS = 1000
_NEAR_FPS = Fraction(1, 200)  # 23.98 and 23.976 both mean 24000/1001


def rate_of(value: float | str) -> Fraction:
    """Return the frames a second that ``25``, ``29.97`` or ``"30000/1001"`` means.

    A decimal that is near a whole rate slowed down by 1000/1001, as NTSC has it, means that.

    Raises:
        ValueError: it is no rate above 0 and at most 1000.

    Example:
        >>> rate_of(23.98), rate_of("12.5"), rate_of("50")
        (Fraction(24000, 1001), Fraction(25, 2), Fraction(50, 1))
    """
    try:
        rate_fps = Fraction(str(value).strip())
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError("must be a rate such as 25 or 30000/1001") from error
    if not 0 < rate_fps <= MOST_FPS:
        raise ValueError(f"must be above 0 and at most {MOST_FPS} frames per second")
    slowed = Fraction(round(rate_fps * 1001 / 1000) * 1000, 1001)
    if rate_fps.denominator > 1 and "/" not in str(value) and abs(slowed - rate_fps) < _NEAR_FPS:
        return slowed
    return rate_fps.limit_denominator(100_000)


def check_rate(value: object) -> float | str:
    """Return a rate as a user wrote it.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a rate such as 25 or 30000/1001")
    rate_of(value)
    return value
