"""Record: the settings a checkpoint was made with, and which others may go on from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from training.errors import WrongOptions

# These shape no weight, so they may differ: places, words of the card, and what only costs time or memory.
_FREE = frozenset(
    {"out", "out_back", "work"}
    | {"version", "title", "licence", "history", "note", "source_domain", "target_domain"}
    | {"threads", "device", "checkpoint_every", "readers", "ahead", "kept_megabytes", "judged"}
)
# Lengths of phases: a training may be lengthened. Where a phase that was entered began must stay.
_LENGTHS = frozenset(
    {"steps", "teacher_steps", "translation_steps", "released_steps"}
    | {"copying_steps", "distortion_steps", "perception_steps"}
)
_SWITCHES = frozenset({"tied_steps", "adversarial_from", "squares_until"})  # may move while they lie ahead


@dataclass(frozen=True)
class Record:
    """Settings of a recipe by their dotted names, as JSON has them, and the steps at which phases begin."""

    settings: Mapping[str, Any]
    phase_starts: Sequence[int]

    def differences(self, now: Record, done: int) -> list[str]:
        """What keeps a training with the settings `now` from going on after `done` steps with these.

        A setting that only one of both knows is passed over: programs of another version made them.
        """
        found = [
            f"{name} was {_shown(old)}, is {_shown(now.settings[name])}"
            for name, old in self.settings.items()
            # As text: the order of factors, and of classes, is part of them.
            if name in now.settings and json.dumps(old) != json.dumps(now.settings[name])
            if not _may_differ(name.rpartition(".")[2], old, now.settings[name], done)
        ]
        begun, begun_now = ([start for start in one.phase_starts if start < done] for one in (self, now))
        if begun != begun_now:
            found.append(f"the {done} steps done had phases from steps {begun}, now {begun_now}")
        return found


def of(recipe: BaseModel, phase_starts: Sequence[int]) -> Record:
    """Record of a recipe."""
    return Record(_flat(recipe), list(phase_starts))


def refuse_other(saved: Record, now: Record, done: int, folder: object) -> None:
    """Refuse to go on from a checkpoint of other settings.

    Raises:
        WrongOptions: Names every setting that differs, and the way out.
    """
    if wrong := saved.differences(now, done):
        raise WrongOptions(
            f"{folder} holds a training of {done} steps with other settings; give another folder as work, or "
            "the settings it was begun with:\n  " + "\n  ".join(wrong)
        )


def _flat(model: BaseModel) -> dict[str, Any]:
    dumped = model.model_dump(mode="json")
    flat: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            flat |= {f"{name}.{key}": each for key, each in _flat(value).items()}
        else:
            flat[name] = dumped[name]
    return flat


def _may_differ(name: str, old: Any, new: Any, done: int) -> bool:
    return name in _FREE | _LENGTHS or (name in _SWITCHES and min(old, new) >= done)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
