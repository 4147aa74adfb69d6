"""Decisions: what a run decided by itself, and why, as its report tells it: the factor, and what runs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from streamfx.factor.governor import FactorDecision
from streamfx.generate.routed import SURE, RouteDecision


class FactorFacts(BaseModel):
    """How the factor was chosen, where nobody gave one.

    Attributes:
        factor: factor that was chosen at the start.
        reason: one line.
        budget_seconds: time for one frame; None where the source states no rate.
        predicted_seconds: time per frame by factor.
        decisions: decisions of the governor while a live source ran.
    """

    model_config = ConfigDict(frozen=True)

    factor: float
    reason: str
    budget_seconds: float | None
    predicted_seconds: dict[str, float]
    decisions: tuple[FactorDecision, ...] = ()

    def summary(self) -> str:
        """Return the reason for the choice, and how often it was changed since, in one line."""
        changes = [made for made in self.decisions if made.after != made.before]
        if not changes:
            return self.reason
        changed = f"changed {how_often(len(changes))} while running, at last to {changes[-1].after:g}"
        return f"{self.reason}; {changed}"


class RoutingFacts(BaseModel):
    """How it was decided, shot by shot, which of several effects runs.

    Attributes:
        name: request, as a user writes it.
        classifier: name, version and digest of the engine that looked at the pictures.
        options: the effect for each kind of picture; others pass unchanged.
        looks: frames that were looked at.
        choices: the first decision and every change.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    classifier: str
    options: dict[str, str]
    looks: int
    choices: tuple[RouteDecision, ...]

    def summary(self) -> str:
        """Return what ran at first and at last, why, and how often that changed, in one line."""
        if not self.choices:
            return f"{self.name}: nothing ran; no frame of {self.looks} looked at showed anything"
        parts = [_routed(self.choices[0])]
        if len(self.choices) > 1:
            parts.append(f"changed {how_often(len(self.choices) - 1)}, at last {_routed(self.choices[-1])}")
        if unsure := sum(choice.confidence < SURE for choice in self.choices):
            parts.append(f"not sure {how_often(unsure)}: where it is wrong, name the effect itself")
        return f"{self.name}: {'; '.join(parts)}"


def how_often(count: int) -> str:
    """Return a number of times in words.

    Example:
        >>> how_often(1), how_often(3)
        ('once', '3 times')
    """
    return "once" if count == 1 else f"{count} times"


def _routed(choice: RouteDecision) -> str:
    return f"{choice.effect or 'unchanged'} from frame {choice.frame} on ({choice.why})"
