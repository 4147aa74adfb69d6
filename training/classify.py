"""Training of classifiers: how good a picture is, or what kind of picture it is.

One command for both. `good` names good pictures, which are damaged; the classes are those of the score that
says how much was lost (`training.quality`). `domains` names pictures of each domain. Windows at full
resolution serve the first, since sharpness is what counts there; whole pictures at a small size the second.

Legend of shapes: B pictures, S side, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch.nn import functional

from streamfx.engine.families.classifier import HEADS, STRIDE, Classifier
from training import loop
from training.calibration import calibrate
from training.classify_card import classify_card
from training.classify_examples import Examples, open_examples
from training.classify_options import ClassifyOptions
from training.evaluation.confusion import accuracy, confusion
from training.export import export, golden

log = logging.getLogger(__name__)


class ClassifyTrainee:
    """The network and what corrects it."""

    def __init__(self, options: ClassifyOptions, network: Classifier, examples: Examples) -> None:
        self._options, self._network, self._examples = options, network, examples
        self._optimiser = torch.optim.Adam(network.parameters(), lr=options.loop.learning_rate)
        self.networks = {"generator": network}
        self.optimisers = {"generator": self._optimiser}

    def step(self, number: int) -> dict[str, float]:
        """Correct the network once; returns the cross entropy."""
        rgb_B3SS, labels_B = (part.to(self._options.loop.device) for part in self._examples.batch(number))
        with self._options.loop.precision():
            scores_BKss = self._network.scores_of(rgb_B3SS.contiguous(memory_format=torch.channels_last))
        entropy = functional.cross_entropy(scores_BKss.float().mean((2, 3)), labels_B)
        return loop.correct(self._optimiser, {"entropy": entropy})


def run(options: ClassifyOptions) -> None:
    """Train, judge on held-out pictures, and write the engine."""
    examples = open_examples(options)
    try:
        network = train(options, examples)
        if known := examples.calibrating(options.judged):
            log.info("scores divided by %.2f, after %d pictures", calibrate(network, known), len(known))
        table = confusion(network, examples.held_out(options.judged), len(options.classes))
    finally:
        examples.close()
    log.info("held-out accuracy %.3f", accuracy(table))
    fields = {
        "version": options.version,
        "family": "classifier",
        "options": {"classes": len(options.classes), "width": options.width, "detail": options.detail},
        "stride": STRIDE,
        "factors": [1.0],
        "heads": list(HEADS),
        "classes": list(options.classes),
        "max_displacement_pixels": 0.0,
        "source_domain": "any",
        "target_domain": "any",
        "licence": options.licence,
    }
    card = classify_card(options, table)
    frame = golden(network, factor=1.0, size=(96, 128), grain=0.08)
    engine = export(network, options.out, fields, frame, card)
    log.info("wrote engine %s to %s", engine.name, engine.folder)


def train(
    options: ClassifyOptions, examples: Examples, on_step: Callable[[int], None] | None = None
) -> Classifier:
    """The trained network, in evaluation mode; goes on from the checkpoint in `options.work`, if any."""
    torch.manual_seed(options.loop.seed)
    network = Classifier(len(options.classes), options.width, options.detail)
    network.to(options.loop.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainee = ClassifyTrainee(options, network, examples)
    loop.run(trainee, options.loop, options.steps, options.work, recipe=options, on_step=on_step)
    return network
