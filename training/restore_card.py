"""The card of a restoration engine."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from training.card import NOT_MEASURED, sources
from training.degrade import SHARES, SHUFFLED_SHARE

if TYPE_CHECKING:
    from training.restore import RestoreOptions

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
        f"`python -m training restore` from {start.rstrip('.')}, seed {loop.seed}: {options.steps} steps of "
        f"{options.feed.batch} pictures of {options.side} x {options.side} pixels, "
        f"{options.temporal_clips} of them with the frame that follows, "
        f"Adam at {loop.learning_rate:g} with a linear tail. Loss: {_loss(options)}. Factors: {factors}."
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


def _loss(options: RestoreOptions) -> str:
    """The loss of all steps."""
    loss = "the PSNR of each picture" if options.decibels else "L1"
    loss += (
        f", plus {options.temporal_weight:g} times the difference of neighbouring frames where they show the "
        "same"
    )
    if options.decibels and options.least_square_until:
        loss += (
            f"; errors below a mean square of {options.least_square_from:g} hardly count at first, "
            f"from step {options.least_square_until} on all above 50 dB"
        )
    if options.joint_steps:
        critic = f"{options.critic_steps} step" + "s" * (options.critic_steps != 1)
        loss += (
            f". After these the critic alone for {critic}; then {options.joint_steps} steps with L1 + "
            f"{options.adversarial_weight:g} Σ -log D in place of the PSNR"
        )
    return loss


def _shares(options: RestoreOptions) -> str:
    """How often pictures get no random combination, as a sentence; nothing where all do."""
    if not options.single_share and not options.clean_share:
        return ""
    often = [f"{_NAMES[kind].split(',')[0]} {times:g} times" for kind, times in options.single_kinds.items()]
    how = f"{', '.join(often)} as often as the others" if often else "each equally often"
    return (
        f"One kind alone, {how}: {options.single_share:.0%} of pictures; none: "
        f"{options.clean_share:.0%}; the others get random combinations. "
    )


def _pictures(options: RestoreOptions) -> str:
    feed = options.feed
    chosen = f" Of these, what {options.judge.name} calls good." if options.judge else ""
    return f"Pictures: {sources(feed.stills, feed.content)}{chosen}"
