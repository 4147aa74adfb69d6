"""The card of the engine that tells people from the background."""

from __future__ import annotations

from textwrap import fill

from training.card import NOT_MEASURED, sources
from training.composed import stills_of
from training.person_options import PersonOptions

_LINE = 110


def card(options: PersonOptions) -> str:
    """Card of a freshly trained engine."""
    composed, loop = options.composed, options.loop
    people, behind = (stills_of(paths, composed.exclude) for paths in (composed.people, composed.behind))
    start = (
        f"the weights of MediaPipe's network for people in front of a camera (`{options.start.name}`, "
        "Google, Apache-2.0, see `training/judges/README.md`)"
        if options.init is None
        else "the weights of another engine of this family"
    )
    answers = (
        f"in proportion to each weight; the layers that answer to the source's own detail at "
        f"{options.detail_rate:g}"
        if options.detail
        else "without the layers that answer to the source's own detail"
    )
    steady = (
        f", change with other noise {options.steady_weight:g} in one step of {options.steady_every}"
        if options.steady_weight
        else ""
    )
    how = (
        f"`python -m training person` from {start}, seed {loop.seed}, {options.steps} steps, batch "
        f"{options.batch}, Adam at {loop.learning_rate:g} with a linear tail, {answers}. The masks are those "
        "of the slow operator `person` (`training/operators/person.py`), which uses MediaPipe's network too. "
        "Losses and weights, on the matte at full size: mean absolute difference "
        f"{options.difference_weight:g}, that of a Laplacian pyramid {options.pyramid_weight:g}{steady}."
    )
    pasted = 1 - composed.as_they_are - composed.empty
    on = (
        f"{composed.pictures} composed pictures: {composed.as_they_are:.0%} of people before their own "
        f"background, {composed.empty:.0%} of nobody, {pasted:.0%} of one to four people, "
        f"{composed.smallest:g} to {composed.largest:g} times as high as the picture, before a photograph of "
        f"something else; {options.spoiled_share:.0%} of them noisy, compressed or blurred. "
        f"People: {sources(people, composed.people)} Behind them: {sources(behind, composed.behind)}"
    )
    factors = ", ".join(f"{factor:g}" for factor in sorted(options.offered))
    shape = (
        f"Family `matting`, heads person, rise and fall. Factors {factors}: what counts is the long side of "
        "the reduced picture, which should have 256 to 320 pixels: factor 4 or 5 for 720 lines, 6 to 8 for "
        "1080."
    )
    return f"""# {options.out.name}

Tells the people of a picture from what is behind them, to the hair: not an effect, but where one acts.
{fill(shape, _LINE)}

## Training

{fill(how, _LINE)}

{fill(on, _LINE)}

## Figures

{NOT_MEASURED}
{f"{chr(10)}## Limits{chr(10)}{chr(10)}{fill(options.note, _LINE)}{chr(10)}" if options.note else ""}"""
