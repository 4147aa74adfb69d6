"""Sections of a look: its figures in tables that a card has room for."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from training.evaluation.look import Key
from training.evaluation.material import NOISE
from training.evaluation.people import HEIGHTS, STAYED
from training.evaluation.section import Section

_PEOPLE = {"faces": ".0f", "found": ".2f", "stayed": ".2f", "moved": ".3f"}
_STEADY = {
    "warping error": ".2f",
    "without memory": ".2f",
    "of contrast": ".2f",
    "noisy": ".2f",
    "dark": ".2f",
    "compressed": ".2f",
}
_PICTURE = {"edges": ".2f", "sharpness": ".2f", "lock": ".2f", "lock ratio": ".2f", "spectral lock": ".1f"}
_LIKENESS = {"style": ".3f", "content": ".2f", "PSNR": ".1f", "SSIM": ".2f"}


def sections(figures: Mapping[Key, Mapping[str, float]], scenes: str) -> list[Section]:
    """The figures in tables.

    Args:
        figures: Figures as `training.evaluation.look.measure` gives them.
        scenes: Description of the scenes, in words.
    """
    low, high = HEIGHTS
    people = (
        f"People and steadiness, on {scenes} that were not in the training, through the runtime as 8-bit "
        f"4:2:0. Faces: frontal, {low:g} to {high:g} pixels from forehead to chin, in the source; found: "
        "share of them still found by BlazeFace; moved: how far their 68 points moved, mean of each face, "
        "median of the faces, in distances of the eyes; stayed: share found and moved by less than "
        f"{STAYED:.0%}. Warping error beyond the source's own, in code values; without memory: each "
        "frame by itself; of contrast: that of the "
        "source with contrast raised until its gradient energy is the look's. Noisy, dark, compressed: "
        f"change of a still scene with a camera's noise (deviation {NOISE:g}; in little light; as JPEG) "
        "over the noise's own."
    )
    picture = (
        "Edges: correlation of gradient lengths with the source's. Sharpness: gradient energy against the "
        "operator's, else against the smallest factor. Lock: strength of edges at their strongest offset "
        "from the network's grid over their mean, 1 without stamps; lock ratio: against factor 1, else the "
        "source; spectral lock: power at the grid's frequencies over that beside. Style: relative Gram "
        "distance, which stamps lower, too. Content: mean squared difference at relu4_1. Both on photographs "
        "alone. PSNR, SSIM: to the operator's picture. "
        + _errors([found for (method, _), found in figures.items() if method == "engine"][-1])
    )
    return [
        _section("people and steadiness", people, {**_PEOPLE, **_STEADY}, figures),
        _section("picture", picture, {**_PICTURE, **_LIKENESS}, figures),
    ]


def _section(
    name: str, note: str, columns: Mapping[str, str], figures: Mapping[Key, Mapping[str, float]]
) -> Section:
    """A table of those figures that were measured."""
    measured = {column for found in figures.values() for column in found}
    shown = {column: form for column, form in columns.items() if column in measured}
    rows = [
        [method, factor, *(found.get(column) for column in shown)]
        for (method, factor), found in figures.items()
        if any(column in found for column in shown)
    ]
    return Section(name, note, {"method": "", "factor": "g", **shown}, rows)


def _errors(found: Mapping[str, float]) -> str:
    """How sure the figures of a factor are."""
    share = sqrt(found["found"] * (1 - found["found"]) / found["faces"]) if "found" in found else 0.0
    words = ", ".join(f"{name} {found[f'{name} error']:.2f}" for name in ("edges", "sharpness"))
    return f"Standard errors at the last factor: found {share:.2f}, {words}."
