"""Timeline: the times of a live output: from zero and forward, whatever the source's clock does."""

from __future__ import annotations

from fractions import Fraction

TIME_BASE = Fraction(1, 90_000)  # that of RTP and MPEG-TS; the milliseconds of RTMP fit in
_LEAST_TICKS = 90  # between two pictures: a millisecond, which RTMP and Matroska count in
_CATCH_UP_SECONDS = 1.0
_AHEAD_SECONDS = 0.5
_USUAL_FPS = Fraction(25)  # for the pace of stand-ins only, where a source states no rate


class Timeline:
    """Turns times of one connection after the other into times of one output, in units of ``TIME_BASE``.

    Within a connection the source's clock rules: distances between pictures, and between pictures and sound,
    are kept. Between two connections, and while nothing comes, the wall clock does.

    Args:
        rate_fps: nominal rate of the source; None where it states none.
    """

    def __init__(self, rate_fps: Fraction | None) -> None:
        self.shift_seconds: Fraction | None = None  # added to a time of the connection; None: no connection
        self._last: int | None = None
        self._last_came_at = 0.0  # wall clock of the last picture that came
        self._last_came = 0  # and its time
        self._late_since: float | None = None
        self._origin: float | None = None  # wall clock at time zero of the output
        self.set_rate(rate_fps)

    def set_rate(self, rate_fps: Fraction | None) -> None:
        """Take over the rate of a new connection."""
        self.step = max(round(1 / (rate_fps or _USUAL_FPS) / TIME_BASE), _LEAST_TICKS)

    @property
    def last_seconds(self) -> float:
        """Time of the last picture in the output; 0 before the first."""
        return float((self._last or 0) * TIME_BASE)

    def leave(self) -> None:
        """Note that the connection is gone: the next time comes from another clock."""
        self.shift_seconds = None

    def place(self, seconds: Fraction | None, now: float, *, keep_pace: bool) -> int:
        """Return the time of a picture that came; a millisecond later than that of the one before, or more.

        Args:
            seconds: time by the source's clock; None when it has none.
            now: wall clock, in seconds.
            keep_pace: leave room in the output for the time that a lost connection took, as stand-ins do.
        """
        earliest = 0 if self._last is None else self._last + self.step
        if self.shift_seconds is None:
            start = max(earliest, self.due(now)) if keep_pace else earliest
            if seconds is not None:
                self.shift_seconds = start * TIME_BASE - seconds
            time = start
        elif seconds is None:
            time = earliest
        else:
            time = round((seconds + self.shift_seconds) / TIME_BASE)
            if self._last is not None and time < self._last + _LEAST_TICKS:
                time = self._after_late(time, now)
            else:
                self._late_since = None
                time = self._held_back(time, now)
        if self._origin is None or not keep_pace:
            self._origin = now - float(time * TIME_BASE)
        self._last = self._last_came = time
        self.came(now)
        return time

    def _after_late(self, time: int, now: float) -> int:
        """Return the time of a picture whose own time the output has passed already.

        Pictures that were held up on their way come in a burst: they follow in small steps until they have
        caught up. Where they do not, the source's clock stood still, or was set back: it is shifted.
        """
        assert self._last is not None
        assert self.shift_seconds is not None
        if self._late_since is None:
            self._late_since = now
        if now - self._late_since < _CATCH_UP_SECONDS:
            return self._last + max(self.step // 4, _LEAST_TICKS)
        self._late_since = None
        earliest = self._last + self.step
        self.shift_seconds += (earliest - time) * TIME_BASE
        return earliest

    def _held_back(self, time: int, now: float) -> int:
        """Return the time of a picture, and bring an output that is ahead of the wall clock back slowly.

        It comes to be ahead by pictures that were held up, after their places were taken by stand-ins.
        """
        assert self._last is not None
        assert self.shift_seconds is not None
        if self._origin is None or float(time * TIME_BASE) - (now - self._origin) < _AHEAD_SECONDS:
            return time
        back = min(self.step // 4, time - self._last - _LEAST_TICKS)
        self.shift_seconds -= back * TIME_BASE
        return time - back

    def came(self, now: float) -> None:
        """Say that the last picture is handed out now: the wall clock counts from here."""
        self._last_came_at = now

    def stand_in(self, now: float) -> int:
        """Return the time of a picture that takes the place of one that did not come."""
        assert self._last is not None  # a source that is open has delivered a picture
        self._last = max(self._last + self.step, self.due(now))
        return self._last

    def due(self, now: float) -> int:
        """Return the time that the output has reached by the wall clock."""
        if self._last is None:
            return 0
        return self._last_came + round((now - self._last_came_at) / float(TIME_BASE))

    def next_due_seconds(self, now: float) -> float:
        """Return how long it is until the picture after the last is due; negative when it is overdue."""
        assert self._last is not None
        return float((self._last + self.step - self.due(now)) * TIME_BASE)
