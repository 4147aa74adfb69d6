"""Cards of both engines of an unpaired training."""

from __future__ import annotations

from pathlib import Path

from training.card import plain_card, sources
from training.unpaired_options import GeneratorWeights, UnpairedOptions


def card(options: UnpairedOptions, name: str, domains: tuple[str, str]) -> str:
    """Card of one of both freshly trained engines."""
    begun = "random weights" if options.init is None else f"the weights of {_place(options.init)}"
    which = "both generators" if options.init is None else "the generator back"
    loop, crop, there = options.loop, options.source.crop, options.target_domain
    how = (
        f"`python -m training unpaired`, seed {loop.seed}: two generators, one per direction, and two "
        f"critics of patches, as features of VGG-19 show them. The generator to {there} started from "
        f"{begun}, that back from random weights. {options.copying_steps} steps in which {which} learned to "
        f"give back what it sees, and critics what there is, then {options.steps} of all four; in the first "
        f"{options.tied_steps} all factors learned together. Batch {options.source.batch} of {crop} x {crop} "
        f"pixels of each domain, Adam at {loop.learning_rate:g} (critics {options.critic_learning_rate:g}) "
        f"with a linear tail, at random factors; target pictures were enlarged by {options.stroke_scale:g} "
        f"times the factor to the power {options.stroke_growth:g}. Losses, on the fused full-size output, "
        f"and their weights to {there}: {_told(options.weights)}; back: {_told(options.weights_back)}; "
        f"price of the displacement {options.displacement_price:g}. "
        f"{options.cycle_reach:g} of the gradient of what returned reached the generator that began, noise "
        f"of {options.cycle_noise:g} was added half way, and target pictures that came back were compared as "
        f"means of {options.cycle_pooling} x {options.cycle_pooling} pixels."
    )
    told = [
        f"{options.source_domain}: {sources(options.source.stills, options.source.content)}",
        f"{options.target_domain}: {sources(options.target_stills, options.target.content)}",
    ]
    what = f" ({options.title})" if options.title else ""
    does = f"Turns pictures and video of the domain {domains[0]} into {domains[1]}{what}."
    return plain_card(name, does, options.network, options.factors, [how, *told])


def _told(weights: GeneratorWeights) -> str:
    return (
        f"belief of the critic in translations {weights.adversarial:g}, in returns {weights.returned:g}, "
        f"cycle {weights.cycle:g}, identity {weights.identity:g}, temporal term {weights.temporal:g}, grid "
        f"of pixels {weights.grid:g}"
    )


def _place(weights: Path) -> str:
    """Where an engine's weights lie, without folders that only this machine has."""
    return "/".join(weights.parts[-3:-1])
