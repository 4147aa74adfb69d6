"""The card of a conversion and super-resolution engine."""

from __future__ import annotations

from textwrap import fill

from training.card import NOT_MEASURED, sources
from training.convert_sr_options import ConvertSrOptions


def card(options: ConvertSrOptions) -> str:
    """Card of a freshly trained engine."""
    network, feed, loop = options.network, options.feed, options.loop
    start = "random weights" if options.init is None else "the weights of another engine"
    training = (
        f"`python -m training convert_sr` from {start}, seed {loop.seed}, batch {feed.batch} of "
        f"reduced crops of {options.side} x {options.side} pixels, Adam at {loop.learning_rate:g} with a "
        f"linear tail: {options.teacher_steps} steps of imitating AdaIN, {options.steps} with all losses, at "
        f"random factors, the first {options.tied:.0%} with one set of weights for all of them. Each step "
        "converts its crops twice, with different noise. Losses and weights: style (relative Gram distance "
        "at relu1_1, relu2_1, relu3_1, relu4_1 of VGG-19, against the style reduced as the picture is) 1 "
        f"each, of which {options.style_pooling:g} for the crops of a batch together, content (relu4_1, "
        f"against the source's features with the style's moments) {options.content_weight:g}, structure "
        f"(relu3_1 normalised) {options.structure_weight:g}, tone {options.tone_weight:g}, grid of pixels "
        f"{options.grid_weight:g}, distance of the two looks from the dial ({options.variety:g} times the "
        f"amplitude) {options.variety_weight:g}, temporal term {options.temporal_weight:g}, adversarial "
        f"terms of both critics {options.adversarial_weight:g}; for the super-resolver, mean absolute "
        f"difference {options.enlarge_weight:g}. The converter's critic compares with crops of the style "
        "picture, the super-resolver's with the converter's own pictures."
    )
    return f"""# {options.out.name}

Repaints pictures and video in the manner of {options.title or options.style.stem}, and gives them twice the
size of what it sees: nothing of the source's own detail passes.
Family `convert_sr`: {network.convert_noise} + {network.enlarge_noise} channels of noise, stem {network.stem},
width {network.width}, {network.blocks} residual modules, enlarging width {network.enlarge_width}.
Controls: `strength`, 0 to 1; `noise_amplitude`, 0 to 1: how much chance decides about the strokes; and
`detail_amplitude`, 0 to 1: how much it decides when the picture is drawn larger.

## Training

{fill(training, 110)}

{fill(f"Pictures: {sources(feed.stills, feed.content)}", 110)}

## Figures

{NOT_MEASURED}
"""
