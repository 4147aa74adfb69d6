"""The card of an engine: what it does, how and on what it was trained, figures, limits."""

from __future__ import annotations

import re
from collections import Counter
from textwrap import fill

from training.options import StyleOptions
from training.pictures import CLIPS, find_stills

_LINE = 110
_FIGURES = "## Figures"
_NOT_MEASURED = "Not measured yet: `python -m training evaluate`."


def style_card(options: StyleOptions) -> str:
    """Card of a freshly trained style engine; `with_figures` fills in what evaluation found."""
    name = options.name or options.out.name
    losses = (
        "Style (relative Gram distance at relu1_1, relu2_1, relu3_1, relu4_1 of VGG-19, weight 1 each; "
        f"channel means and deviations, weight {options.moments_weight:g}), content (relu4_1, "
        "against the source's features with the style's moments, "
        f"weight {options.content_weight:g} times the factor to the power {options.content_growth:g}), "
        f"structure (relu3_1 normalised, {options.structure_weight:g}), "
        f"total variation ({options.variation_weight:g}), prices of mask ({options.mask_price:g}), "
        f"displacement ({options.displacement_price:g}) and detail gain ({options.detail_price:g}), "
        f"temporal term ({options.temporal_weight:g})."
    )
    start = "the weights of another engine" if options.init is not None else "random weights"
    phases = {
        "imitating AdaIN": options.teacher_steps,
        "style and content on the bare translation": options.translation_steps,
        "all heads released, at random factors, losses on the fused full-size output": options.released_steps,
    }
    training = (
        f"`python -m training style` from {start}, seed {options.seed}, batch {options.batch} of "
        f"{options.crop} x {options.crop} pixels, Adam at {options.learning_rate:g} with a linear tail: "
        + ", ".join(f"{steps} steps of {phase}" for phase, steps in phases.items() if steps)
        + f". {losses}"
    )
    network = options.network
    return f"""# {name}

Repaints pictures and video in the manner of {options.title or options.style.stem}.
Family `warp_mask`: stem {network.stem}, width {network.width}, {network.blocks} blocks, norm {network.norm}.
Control: `strength`, 0 to 1. One set of weights serves every factor from 1 to 8.

## Training

{fill(training, _LINE)}

{fill("Pictures: " + _pictures(options), _LINE)}

{_FIGURES}

{_NOT_MEASURED}
"""


def with_figures(card: str, figures: str) -> str:
    """The card with its section of figures replaced."""
    section = re.compile(rf"^{_FIGURES}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    text = f"{_FIGURES}\n\n{figures.strip()}\n\n"
    replaced, count = section.subn(lambda _: text, card)
    return (replaced if count else f"{card.rstrip()}\n\n{text}").rstrip() + "\n"


def _pictures(options: StyleOptions) -> str:
    folders = [path for path in options.content if path.is_dir()]
    stills = [still for still in find_stills(folders, options.exclude) if not still.held_out]
    licences = Counter(still.licence for still in stills)
    clips = sorted(path.name for path in options.content if path.suffix.lower() in CLIPS)
    words = ", ".join(f"{licence} ({count})" for licence, count in licences.most_common())
    text = (
        f"{options.crops} crops out of {len(stills)} photographs cut from "
        f"{len({still.source for still in stills})} source pictures "
        f"(licences: {words or 'none'})"
    )
    return text + (f" and of frames of {', '.join(clips)}." if clips else ".")
