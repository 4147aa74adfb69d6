"""Change log: what was changed by hand while a run went on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

_ONE_MOVE_SECONDS = 1.0  # a slider that is dragged sends many values: they are one change
_MOST_CHANGES = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed while the run went on.

    Attributes:
        at_seconds: time since the start of the run.
        after_frame: the last frame taken up before it; None before the first.
        what: one line.
    """

    at_seconds: float
    after_frame: int | None
    what: str


class ChangeLog:
    """Keeps account of changes. For one thread at a time.

    Args:
        elapsed_seconds: time since the start of the run.

    Attributes:
        changes: changes so far, in order.
    """

    def __init__(self, elapsed_seconds: Callable[[], float]) -> None:
        self.changes: list[Change] = []
        self._elapsed_seconds = elapsed_seconds
        self._moved: tuple[str, float] = ("", 0.0)

    def note(self, what: str, after_frame: int | None, move: str = "") -> None:
        """Keep account of a change; a further value of the same move takes the place of the last.

        Args:
            what: one line.
            after_frame: the last frame taken up before it; None before the first.
            move: name of what is moved, a control; empty: every change counts.
        """
        now = self._elapsed_seconds()
        change = Change(round(now, 3), after_frame, what)
        last, last_at = self._moved
        if move and move == last and now - last_at < _ONE_MOVE_SECONDS and self.changes:
            change = replace(self.changes.pop(), what=what)
        if len(self.changes) < _MOST_CHANGES:
            self.changes.append(change)
        self._moved = (move, now)
