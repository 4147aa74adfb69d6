"""Directions of an unpaired training: pictures sent from one domain to the other and home again.

Legend of shapes: B pictures, S side of a crop, K heads, s reduced side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

Features: TypeAlias = list[Tensor]
"""Of a batch of pictures, at the layers that critics look at."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a step: pictures of a domain, and what became of them.

    Attributes:
        given_B3SS: Pictures of the domain where it begins.
        made_B3SS: Translations: what the generator of this direction made of them.
        heads_BKss: The heads that it gave for them.
        returned_B3SS: Returns: what the other generator made of the translations.
        seen_made: Features of the translations, as critics see them.
        seen_returned: Features of the returns, as critics see them.
    """

    given_B3SS: Tensor
    made_B3SS: Tensor
    heads_BKss: Tensor
    returned_B3SS: Tensor
    seen_made: Features
    seen_returned: Features


@dataclass(frozen=True, slots=True)
class Round:
    """What a step begins with: both directions at one factor.

    Attributes:
        factor: Factor of the step.
        forth: Source to target, and back again.
        back: Target to source, and there again.
    """

    factor: float
    forth: Direction
    back: Direction
