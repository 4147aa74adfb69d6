"""The card of an engine: what it does, how and on what it was trained, figures, limits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from textwrap import fill

from training.options import DistilOptions, NetworkOptions, StyleOptions, YuvNetworkOptions
from training.pictures import CLIPS, RESEARCH_ONLY, Still, find_stills

_LINE = 110
_FIGURES = "## Figures"
NOT_MEASURED = "Not measured yet: `python -m training evaluate`."


def style_card(options: StyleOptions) -> str:
    """Card of a freshly trained style engine; `with_figures` fills in what evaluation found."""
    start = "the weights of another engine" if options.init is not None else "random weights"
    start += ", those for factor 1 at every factor" if options.spread else ""
    phases = {
        "imitating AdaIN": options.teacher_steps,
        "style and content on the bare translation": options.translation_steps,
        "all heads released, at random factors, losses on the fused full-size output": options.released_steps,
    }
    training = (
        f"`python -m training style` from {start}, seed {options.loop.seed}, batch {options.batch} of "
        f"{options.crop} x {options.crop} pixels, Adam at {options.loop.learning_rate:g} with a linear tail: "
        + ", ".join(f"{steps} steps of {phase}" for phase, steps in phases.items() if steps)
        + f". {_losses(options)}"
    )
    return f"""# {options.out.name}

Repaints pictures and video in the manner of {options.title or options.style.stem}.
{_family(options.network)}
{_control(options.trained_factors)}

## Training

{fill(training, _LINE)}

{fill("Pictures: " + _pictures(options), _LINE)}

{_FIGURES}

{NOT_MEASURED}
"""


def _losses(options: StyleOptions) -> str:
    growth = f" times the factor to the power {options.content_growth:g}" if options.content_growth else ""
    against = "the source's own features"
    if options.content_of == "style":
        against = "the source's features with the style's moments"
    weights = {
        f"content{growth} (relu4_1, against {against})": options.content_weight,
        "structure (relu3_1 normalised)": options.structure_weight,
        "tone (luma of cells of 16 pixels, normalised)": options.tone_weight,
        "grid of pixels": options.grid_weight,
        f"weight-bias ratio (ε {options.weight_bias_epsilon:g})": options.weight_bias_weight,
        "total variation": options.variation_weight,
        "temporal term": options.temporal_weight,
    }
    if options.released_steps > 0:
        weights |= {
            "price of the mask": options.mask_price,
            "of the displacement": options.displacement_price,
            "of the detail gain": options.detail_price,
        }
    return (
        "Losses and weights: style (relative Gram distance at relu1_1, relu2_1, relu3_1, relu4_1 of VGG-19) "
        f"1 each, of which {options.style_pooling:g} for the crops of a batch together, a share of "
        f"{options.style_reach:g} against the style reduced as the picture is, "
        + ", ".join(f"{what} {weight:g}" for what, weight in weights.items() if weight)
        + "."
    )


def plain_card(
    name: str,
    does: str,
    network: NetworkOptions | YuvNetworkOptions,
    factors: Collection[float],
    training: Sequence[str],
) -> str:
    """Card of a freshly trained engine: what it does, the factors that it was trained at, and
    paragraphs on how it was trained."""
    told = "\n\n".join(fill(paragraph, _LINE) for paragraph in training)
    return f"""# {name}

{fill(does, _LINE)}
{_family(network)}
{_control(factors)}

## Training

{told}

{_FIGURES}

{NOT_MEASURED}
"""


def distilled_card(card: str, teacher: str, options: DistilOptions) -> str:
    """The teacher's card, made that of the network that was distilled from it; figures are to be measured."""
    how = (
        f"Distilled by `python -m training distil` from {teacher}, whose training is described below: "
        f"{options.steps} steps with Adam at {options.loop.learning_rate:g}, seed {options.loop.seed}, in "
        "which the network learned to give the teacher's heads for reduced pictures at random factors."
    )
    card = re.sub(r"^Family `warp_mask`:.*$", _family(options.network), card, count=1, flags=re.MULTILINE)
    control = re.compile(r"^Control: .*(\nTrained at factors .*)?$", re.MULTILINE)
    card = control.sub(_control(options.factors), card, count=1)
    card = card.replace("## Training\n", f"## Training\n\n{fill(how, _LINE)}\n", 1)
    return with_figures(card, NOT_MEASURED)


def _control(factors: Collection[float]) -> str:
    """What users set, and at which factors the engine was trained."""
    trained = ", ".join(f"{factor:g}" for factor in sorted(factors))
    return f"Control: `strength`, 0 to 1.\nTrained at factors {trained}; no others are offered."


def _family(network: NetworkOptions | YuvNetworkOptions) -> str:
    if isinstance(network, YuvNetworkOptions):
        return (
            f"Family `yuv_style`, layout {network.layout}: width {network.luma_width} for Y, "
            f"{network.chroma_width} for U and V{', each sees its own plane alone' if network.own else ''}."
        )
    return (
        f"Family `warp_mask`: stem {network.stem}, width {network.width}, {network.blocks} blocks, "
        f"joined {network.joined}, norm {network.norm}."
    )


def with_figures(card: str, figures: str) -> str:
    """The card with its section of figures replaced."""
    return with_section(card, _FIGURES.removeprefix("## "), figures)


def with_section(card: str, heading: str, body: str) -> str:
    """The card with the section of a heading replaced, or added at its end."""
    section = re.compile(rf"^## {heading}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    text = f"## {heading}\n\n{body.strip()}\n\n"
    replaced, count = section.subn(lambda _: text, card)
    return (replaced if count else f"{card.rstrip()}\n\n{text}").rstrip() + "\n"


def _pictures(options: StyleOptions) -> str:
    folders = [path for path in options.content if path.is_dir()]
    stills = [still for still in find_stills(folders, options.exclude) if not still.held_out]
    return f"{options.crops} crops out of {sources(stills, options.content)}"


def _licence(still: Still) -> str:
    """The licence of a picture; where it is for research only, with the collection it belongs to."""
    collection = still.source.partition("/")[0]
    return f"{still.licence}: {collection}" if still.licence == RESEARCH_ONLY else still.licence


def sources(stills: Sequence[Still], content: Sequence[Path]) -> str:
    """How many pictures a training used, from how many sources, their licences, and the clips of
    `content`."""
    licences = Counter(_licence(still) for still in stills)
    clips = sorted(path.name for path in content if path.suffix.lower() in CLIPS)
    words = ", ".join(f"{licence} ({count})" for licence, count in licences.most_common())
    text = (
        f"{len(stills)} photographs cut from {len({still.source for still in stills})} source pictures "
        f"(licences: {words or 'none'})"
    )
    return text + (f" and of frames of {', '.join(clips)}." if clips else ".")
