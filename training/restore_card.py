"""The card of a restoration engine."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from training.card import NOT_MEASURED, sources
from training.degrade import SHARES, SHUFFLED_SHARE

if TYPE_CHECKING:
    from training.restore_options import RestoreOptions

_LINE = 110
_WHAT = (
    "Restores damaged pictures and video: noise, blur, blocks and ringing of compression. Same size in and "
    "out. At factors above 1 the network sees a reduced picture and can only correct what is coarser than "
    "its pixels: use factor 1 where time allows."
)
_NAMES = {
    "gaussian_blur": "Gaussian blur, odd kernel 3 to 13",
    "motion_blur": "linear motion blur, length 0 to 12 pixels, angle 0 to 90 degrees",
    "resampling": "1.25 to 3 times smaller and enlarged back by nearest, bilinear or bicubic",
    "gaussian_noise": "Gaussian noise, deviation 2 to 30 of 255",
    "poisson_noise": "Poisson noise, white 60 to 1000 photons",
    "salt_and_pepper": "salt and pepper, 0.2 to 4 % of all pixels",
    "jpeg": "JPEG, quality 50 to 100",
    "codec": "video codec: H.264 (factor 22 to 40) or MPEG-2 (quantiser 3 to 20)",
}


def mix() -> str:
    """The random combination of degradations, as a sentence."""
    parts = ", ".join(f"{_NAMES[kind]} ({share:.0%})" for kind, share in SHARES.items())
    return (
        f"Each kind is part of a combination with its own probability: {parts}; in this order, or with "
        f"all but the compressions shuffled ({SHUFFLED_SHARE:.0%})."
    )


def restore_card(options: RestoreOptions) -> str:
    """Card of a freshly trained engine; evaluation fills in the figures."""
    network, loop = options.network, options.loop
    start = options.history or ("the weights of another engine" if options.init else "random weights")
    factors = ", ".join(f"{factor:g} ({share:.0%})" for factor, share in options.factors.items())
    training = (
        f"`python -m training restore` from {start.rstrip('.')}, seed {loop.seed}: "
        f"{options.phases[-1]} steps of {options.feed.batch} pictures of {options.side} x {options.side} "
        f"pixels, {options.temporal_clips} of them with the frame that follows, "
        f"Adam at {loop.learning_rate:g} with a linear tail. {_losses(options)} Factors: {factors}."
    )
    return f"""# {options.out.name}

{fill(_WHAT, _LINE)}
Family `restore`: {network.near}, {network.middle}, {network.low} channels at half, quarter, eighth size.
Control: `strength`, 0 to 1.

## Training

{fill(training, _LINE)}

{fill("Degradations. " + _shares(options) + mix(), _LINE)}

{fill(_pictures(options), _LINE)}

## Figures

{NOT_MEASURED}
"""


def _losses(options: RestoreOptions) -> str:
    """The losses of all steps, as sentences."""
    calm = f"{options.temporal_weight:g} times the difference of neighbouring frames where they show the same"
    told = ""
    if options.steps:
        distance = "the PSNR of each picture, as far as 50 dB" if options.decibels else "L1"
        told = f"Loss: {distance}, plus {calm}"
        if options.decibels and options.least_square_until:
            told += (
                f"; for the first {options.least_square_until} steps less far, at the start as far as a mean "
                f"square of {options.least_square_from:g}, and without the second term"
            )
        told += ". "
    if options.joint_steps:
        critic = f"{options.critic_steps} step" + "s" * (options.critic_steps != 1)
        told += (
            f"{'The last of these train' if options.steps else 'They train'} the critic alone for {critic}; "
            f"then {options.joint_steps} steps with L1 + {options.adversarial_weight:g} Σ -log D, "
            f"plus {calm}. "
        )
    return told.strip()


def _shares(options: RestoreOptions) -> str:
    """How often pictures get no random combination, as a sentence; nothing where all do."""
    if not options.single_share and not options.clean_share:
        return ""
    often = [f"{kind.replace('_', ' ')} {times:g}" for kind, times in options.single_kinds.items()]
    how = f"{', '.join(often)} times as often as the others" if often else "each equally often"
    return (
        f"One kind alone, {how}: {options.single_share:.0%} of pictures; none: "
        f"{options.clean_share:.0%}; the others get random combinations. "
    )


def _pictures(options: RestoreOptions) -> str:
    feed = options.feed
    chosen = f" Of these, what {options.judge.name} calls good." if options.judge else ""
    return f"Pictures: {sources(feed.stills, feed.content)}{chosen}"
