"""Governor: while a live source runs, keeps the factor at what the device has time for.

It watches how long the stages take for a frame, not how many frames go through. When they take longer than
the source leaves, for a while and not just once, the picture that the network sees becomes smaller; when
there is lasting room, larger again. Here it is decided; `watch.py` acts on it.

Why it does not swing: it goes to a larger factor above the whole budget, and back only if the time
predicted there is well below it; the gap is wider than what noise and errors of the prediction make up.
Where the prediction is further off than that, going back fails, and is tried again only after a minute,
then two, then four.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from streamfx.factor.estimate import Prediction
from streamfx.media.stage import EFFECT_STAGES, Stage

STAGES = (Stage.GENERATE, Stage.ENCODE)  # a live capture waits for its source, so its time says nothing


LIVE_SHARE = 0.75
"""Share of the time between two live frames that a frame may take where a factor is chosen."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When to change the factor.

    Attributes:
        budget_seconds: time between two frames of the source.
        late_seconds: time for which the stages must be late before the factor becomes larger.
        room_seconds: time for which there must be room before it becomes smaller.
        room_share: share of the budget, that the predicted time must stay below then.
        fit_share: share of the budget, that the time must come down to where it becomes larger.
        settle_seconds: time after a change in which stage times still tell of the factor before.
        trial_seconds: becoming late within this time after going back counts as a failed trial.
        retry_seconds: time for which a factor stays out after a failed trial; twice as long each time.
        most_retry_seconds: longest such time.
    """

    budget_seconds: float
    late_seconds: float = 1.0
    room_seconds: float = 5.0
    room_share: float = LIVE_SHARE
    fit_share: float = 0.9
    settle_seconds: float = 0.5
    trial_seconds: float = 60.0
    retry_seconds: float = 60.0
    most_retry_seconds: float = 960.0


@dataclass(frozen=True, slots=True)
class FactorDecision:
    """What was decided; ``after`` equals ``before`` where a change would not have helped.

    Attributes:
        time_seconds: time of the decision, in the caller's clock.
        before: the factor before.
        after: the factor from then on.
        why: one line.
    """

    time_seconds: float
    before: float
    after: float
    why: str


class Governor:
    """Decides on the factor from stage times. Used by one thread; has no clock of its own.

    Args:
        predictions: predicted time of a frame at each factor; only the proportions matter.
        factor: factor in force at the start, one of them.
        rules: rule for when to change it.

    Attributes:
        factor: factor in force.
    """

    def __init__(self, predictions: Sequence[Prediction], factor: float, rules: Rules) -> None:
        self.factor = factor
        self._rules = rules
        self._frame_seconds = {found.factor: found.frame_seconds for found in predictions}
        self._generate_seconds = {
            found.factor: sum(found.seconds(stage) for stage in EFFECT_STAGES) for found in predictions
        }
        self._factors = sorted(self._frame_seconds)
        self._looks: deque[tuple[float, float, float]] = deque()  # time, generate, slowest stage
        self._changed_at: float | None = None
        self._went_back_at: float | None = None
        self._out_until: dict[float, float] = {}
        self._failed_trials: dict[float, int] = {}
        self._said: str | None = None

    @property
    def neighbours(self) -> tuple[float, ...]:
        """The next larger factor and the next smaller one, as far as there are any: what may come next."""
        position = self._factors.index(self.factor)
        smaller = self._factors[max(position - 1, 0) : position]
        return (*self._factors[position + 1 : position + 2], *smaller)

    @property
    def larger(self) -> tuple[float, ...]:
        """All larger factors."""
        return tuple(factor for factor in self._factors if factor > self.factor)

    def observe(
        self, stages: Mapping[Stage, float], now_seconds: float, ready: Collection[float]
    ) -> FactorDecision | None:
        """Take what the stages took for a frame lately; return a decision where one is due.

        Args:
            stages: seconds for a frame by stage, of the frames since the last call; generate and encode.
            now_seconds: any clock that only goes forward.
            ready: factors that can be changed to without a stall.
        """
        rules, back = self._rules, self._went_back_at
        if back is not None and now_seconds - back > rules.trial_seconds:  # going back was right
            self._went_back_at = None
            self._failed_trials.pop(self.factor, None)
        if self._changed_at is not None and now_seconds < self._changed_at + rules.settle_seconds:
            return None
        self._looks.append((now_seconds, stages[Stage.GENERATE], max(stages[name] for name in STAGES)))
        while self._looks[0][0] < now_seconds - rules.room_seconds:
            self._looks.popleft()
        late = self._middle(now_seconds, rules.late_seconds, slowest=True)
        if late is not None and late > rules.budget_seconds:
            return self._larger(stages, late, now_seconds, ready)
        if late is not None and late < rules.room_share * rules.budget_seconds:
            self._said = None
        return self._smaller(now_seconds, ready)

    def _larger(
        self, stages: Mapping[Stage, float], late: float, now: float, ready: Collection[float]
    ) -> FactorDecision | None:
        rules = self._rules
        generate = self._middle(now, rules.late_seconds, slowest=False) or 0.0
        if self.factor == self._factors[-1]:
            return self._say(now, f"{self._of_budget(late)}, and there is no larger factor")
        if generate < 0.25 * sum(stages.values()):
            return self._say(now, f"{self._of_budget(late)}, mostly not the network: the factor cannot help")
        choice = [factor for factor in self._factors if factor > self.factor and factor in ready]
        if not choice:
            return None  # being prepared; frames are late a moment longer
        goal = rules.fit_share * rules.budget_seconds
        fitting = (factor for factor in choice if generate * self._ratio(factor) <= goal)
        target = next(fitting, choice[-1])
        if self._went_back_at is not None:
            failed = self._failed_trials[self.factor] = self._failed_trials.get(self.factor, 0) + 1
            wait = min(rules.retry_seconds * 2 ** (failed - 1), rules.most_retry_seconds)
            self._out_until[self.factor] = now + wait
        return self._change(target, now, f"{self._of_budget(late)} for {rules.late_seconds:g} s")

    def _smaller(self, now: float, ready: Collection[float]) -> FactorDecision | None:
        rules, position = self._rules, self._factors.index(self.factor)
        generate = self._high(now)
        if position == 0 or generate is None:
            return None
        target = self._factors[position - 1]
        if target not in ready or now < self._out_until.get(target, now):
            return None
        expected = generate * self._ratio(target)
        # Stages share the processor, so the whole frame must fit, too, by prediction; which counts for less
        # where the network turns out faster than predicted.
        faster = min(1.0, generate / self._generate_seconds[self.factor])
        whole = self._frame_seconds[target] * faster
        if (
            expected > rules.room_share * rules.budget_seconds
            or whole > rules.fit_share * rules.budget_seconds
        ):
            return None
        why = (
            f"generate takes {generate * 1e3:.3g} ms and should take {expected * 1e3:.3g} there, of "
            f"{rules.budget_seconds * 1e3:.3g} ms, for {rules.room_seconds:g} s"
        )
        self._went_back_at = now
        return self._change(target, now, why)

    def _change(self, target: float, now: float, why: str) -> FactorDecision:
        decision = FactorDecision(now, self.factor, target, why)
        if target > self.factor:
            self._went_back_at = None
        self.factor, self._changed_at, self._said = target, now, None
        self._looks.clear()
        return decision

    def _say(self, now: float, why: str) -> FactorDecision | None:
        """Return a decision to leave things as they are; once, until they are well again."""
        if self._said is not None:
            return None
        self._said = why
        return FactorDecision(now, self.factor, self.factor, why)

    def _ratio(self, target: float) -> float:
        """Return how much longer generate takes at ``target`` than now, by prediction."""
        return self._generate_seconds[target] / self._generate_seconds[self.factor]

    def _middle(self, now: float, span_seconds: float, *, slowest: bool) -> float | None:
        """Return the median over the last ``span_seconds``; None where that was not watched long enough."""
        recent = [look for look in self._looks if look[0] >= now - span_seconds]
        if len(recent) < 3 or recent[-1][0] - recent[0][0] < 0.7 * span_seconds:
            return None
        return median(look[2] if slowest else look[1] for look in recent)

    def _high(self, now: float) -> float | None:
        """Return what generate took at most but for a tenth of the time; None where watched too shortly."""
        rules = self._rules
        if len(self._looks) < 3 or now - self._looks[0][0] < 0.9 * rules.room_seconds:
            return None
        if median(look[2] for look in self._looks) > rules.fit_share * rules.budget_seconds:
            return None  # another stage needs what room there is
        ordered = sorted(look[1] for look in self._looks)
        return ordered[len(ordered) * 9 // 10]

    def _of_budget(self, seconds: float) -> str:
        return f"a stage takes {seconds * 1e3:.3g} ms a frame of {self._rules.budget_seconds * 1e3:.3g}"
