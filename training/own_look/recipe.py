"""Recipe: how a look of a kind is learned, read from a file that comes with this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from streamfx.engine.folder import WEIGHTS, read_engine
from streamfx.engine.library import find_engines, shipped_folders
from training import paired, style
from training.card import style_card
from training.export import style_fields
from training.options import NetworkOptions, StyleOptions
from training.paired_options import PairedOptions

FOLDER = Path(__file__).parent / "recipes"


class Recipe(BaseModel):
    """A recipe file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Literal["style", "paired"] = Field(description="training command: a key of TRAININGS")
    start: str | None = Field(default=None, description="shipped engine whose weights are the start")
    phases: dict[str, int] = Field(
        min_length=1, description="settings that are lengths of phases, in proportion, in steps"
    )
    along: dict[str, int] = Field(
        default={}, description="other settings that are numbers of steps, and grow along with the phases"
    )
    most_times: float = Field(
        default=4.0,
        gt=0,
        description="largest multiple of these steps, however much time there is",
    )
    settings: dict[str, Any] = Field(default={}, description="all other settings of the training")


@dataclass(frozen=True)
class Training:
    """One of the trainings that a look of one's own may take.

    Attributes:
        options: Model of its settings.
        train: Trains, calling its second argument after every step with how many are done, and gives the
            network.
        fields: Function that gives the fields of engine.yaml.
        card: Function that gives the card of the engine.
    """

    options: type[BaseModel]
    train: Callable[[Any, Callable[[int], None]], nn.Module]
    fields: Callable[[Any], dict[str, Any]]
    card: Callable[[Any], str]


TRAININGS: Mapping[str, Training] = {
    "style": Training(StyleOptions, style.train, style_fields, style_card),
    "paired": Training(
        PairedOptions,
        lambda options, on_step: paired.train(options, on_step).generator,
        paired.engine_fields,
        paired.card,
    ),
}


def read_recipe(kind: str) -> Recipe:
    """The recipe for a kind of look: style, operator or pairs."""
    return Recipe.model_validate(yaml.safe_load((FOLDER / f"{kind}.yaml").read_text(encoding="utf-8")))


def started(recipe: Recipe) -> dict[str, Any]:
    """The settings of a recipe, and those that follow from the engine it starts from: its network, its
    weights."""
    if recipe.start is None:
        return dict(recipe.settings)
    engine = read_engine(find_engines(shipped_folders())[recipe.start])
    network = NetworkOptions.model_validate(engine.spec.options)
    return recipe.settings | {"network": network.model_dump(), "init": str(engine.folder / WEIGHTS)}
