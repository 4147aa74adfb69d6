"""The card of a super-resolution engine."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from training.card import NOT_MEASURED, sources

if TYPE_CHECKING:
    from training.super_resolution import SuperResolutionNetworkOptions, SuperResolutionOptions


_SIZES = {
    1: "Enlarges pictures and video to twice the size; applied twice, to four times.",
    2: "Enlarges pictures and video to four times the size.",
    3: "Enlarges pictures and video to eight times the size.",
}


def card(options: SuperResolutionOptions) -> str:
    """Card of a freshly trained engine; `training.card.with_figures` fills in what evaluation found."""
    network, feed = options.network, options.feed
    phases = {
        "the distortion terms": options.distortion_steps,
        f"all terms, with and without noise, in one of {options.perception_every}": options.perception_steps,
    }
    start = "the weights of another training" if options.init is not None else "random weights"
    training = (
        f"`python -m training upscale` from {start}, seed {options.loop.seed}, batch {feed.batch} of "
        f"{feed.crop} x {feed.crop} pixels, Adam at {options.loop.learning_rate:g} with a linear tail: "
        + ", then ".join(f"{steps} steps with {phase}" for phase, steps in phases.items() if steps)
        + f". Weights: distortion {options.distortion_weight:g}, contextual {options.contextual_weight:g}, "
        f"perceptual {options.perceptual_weight:g}, grid of pixels {options.grid_weight:g}, adversarial "
        f"{options.adversarial_weight:g}."
    )
    pictures = (
        f"Pictures: {sources(feed.stills, feed.content)} Reduced to short sides of "
        f"{', '.join(map(str, feed.short_sides)) or 'any length'} pixels, which leaves real detail and "
        "little of their JPEG compression. What the network sees is these reduced again, by the bicubic "
        "filter without aliasing, to 8 bits."
    )
    return f"""# {options.out.name}

{_SIZES[network.levels]}
Family `super_resolution`: {network.features} features, {network.rounds} rounds of {_further(network)}.
Controls: `strength`, 0 to 1: how much is added to the bicubic enlargement. `noise_amplitude`, 0 to 1: at 0
the enlargement is as close to the true picture as the network can tell, at 1 it has the most detail, some of
it invented.

## Training

{fill(training, 110)}

{fill(pictures, 110)}

## Figures

{NOT_MEASURED}
"""


def _further(network: SuperResolutionNetworkOptions) -> str:
    """What is not as usual in a network, for the sentence that names its sizes."""
    told = [
        (network.levels > 1, f"{network.levels} levels corrected down to the features of what goes in"),
        (network.shared, "rounds of the same weights"),
        (network.noisy, "noise in every round"),
    ]
    return "".join(["back-projection", *(f",\n{text}" for holds, text in told if holds)])
