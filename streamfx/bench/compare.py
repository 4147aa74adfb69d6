"""Compare: the figures of now beside those of an earlier call, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from streamfx.bench.result import BenchResult, Case, Row


@dataclass(frozen=True, slots=True)
class RowPair:
    """A row of now and its counterpart of then.

    Attributes:
        before: the row of then.
        after: the row of now.
    """

    before: Row
    after: Row

    @property
    def case(self) -> Case:
        return self.after.case

    @property
    def ratio(self) -> float:
        """How many times as many frames a second there are now; above 1 is faster."""
        return self.after.fps / self.before.fps

    @property
    def clear(self) -> bool:
        """Whether every turn of one was faster than every turn of the other: else it may be chance."""
        before, after = self.before.turns_fps, self.after.turns_fps
        return min(after) > max(before) or max(after) < min(before)

    @property
    def changed(self) -> str | None:
        """What ran differently although the same was asked for; None for nothing."""
        then, now = self.before.ran, self.after.ran
        if then == now:
            return None
        names = [name for name in type(now).model_fields if getattr(then, name) != getattr(now, name)]
        return ", ".join(
            f"{name} {getattr(then, name) or 'none'} ▸ {getattr(now, name) or 'none'}" for name in names
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two results side by side.

    Attributes:
        pairs: rows that are in both, in the order of now.
        only_before: cases that were measured only then.
        only_after: cases that were measured only now.
        warnings: reasons why the ratios may not tell of streamfx alone, one sentence each.
    """

    pairs: tuple[RowPair, ...]
    only_before: tuple[Case, ...]
    only_after: tuple[Case, ...]
    warnings: tuple[str, ...]


def compare(before: BenchResult, after: BenchResult) -> Comparison:
    """Return two results side by side; rows belong together that were asked for in the same words."""
    then, now = ({row.case: row for row in result.rows} for result in (before, after))
    return Comparison(
        pairs=tuple(RowPair(then[case], row) for case, row in now.items() if case in then),
        only_before=tuple(case for case in then if case not in now),
        only_after=tuple(case for case in now if case not in then),
        warnings=tuple(_differences(before, after)),
    )


def _differences(before: BenchResult, after: BenchResult) -> Iterator[str]:
    for what, then, now in (
        ("processor", _processor(before), _processor(after)),
        ("GPU", _gpus(before), _gpus(after)),
        ("driver", before.device.driver, after.device.driver),
        ("system", before.device.system, after.device.system),
        *(
            (name, before.versions.get(name), after.versions.get(name))
            for name in {**before.versions, **after.versions}
            if name != "streamfx"  # that is what is compared
        ),
        *(
            (name, getattr(before.config, name), getattr(after.config, name))
            for name in ("threads", "clip", "encoder", "device")
        ),
    ):
        if then != now:
            yield f"{what} differs: {then or 'none'} then, {now or 'none'} now"


def _processor(result: BenchResult) -> str:
    processor = result.device.processor
    return f"{processor['usable_cores']} cores of {processor['name']}"


def _gpus(result: BenchResult) -> str:
    return ", ".join(str(gpu["name"]) for gpu in result.device.gpus)
