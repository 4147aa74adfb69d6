"""The card of a classifier."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from numpy.typing import NDArray

from training.classify_options import ClassifyOptions
from training.evaluation.confusion import confusion_section
from training.quality import BOUNDS
from training.restore_card import mix

_LINE = 110


def classify_card(options: ClassifyOptions, table_KK: NDArray[np.int64]) -> str:
    """Card with the figures of held-out pictures."""
    what = _domains(options) if options.domains else _quality()
    sides = ", ".join(map(str, options.sides))
    training = (
        f"`python -m training classify`, seed {options.loop.seed}: {options.steps} steps of {options.batch} "
        f"pictures of {sides} pixels, cross entropy of the mean scores, Adam at "
        f"{options.loop.learning_rate:g} with a linear tail. "
    )
    return f"""# {options.out.name}

{what}
Family `classifier`: {", ".join(str(options.width * n) for n in (1, 2, 4, 6))} channels in its four stages{
        ", fine detail beside the picture" if options.detail else ""
    }.
Scores come as maps, one value for 16 x 16 pixels; their mean over the picture, then softmax, gives the
probabilities of {", ".join(options.classes)}.

## Training

{fill(training + _pictures(options), _LINE)}

## Figures

{confusion_section(options.classes, table_KK).markdown()}
{f"{chr(10)}## Limits{chr(10)}{chr(10)}{fill(options.note, _LINE)}{chr(10)}" if options.note else ""}"""


def _quality() -> str:
    low, high = BOUNDS
    text = (
        f"Tells how good a picture is: poor (score below {low:g}), medium, or good ({high:g} and more). The "
        "score, 0 to 100, is defined by what degradation took from a good picture: the mean of PSNR from 20 "
        "to 45 dB and SSIM of the luma from 0.5 to 1, each stretched to 0 to 100. It knows nothing of the "
        "quality of the camera or of the scene: smooth pictures may pass for blurred ones. Look at windows "
        "of 128 pixels or more at full resolution."
    )
    return fill(text, _LINE)


def _domains(options: ClassifyOptions) -> str:
    text = f"Tells the domain of a picture: {', '.join(options.classes)}. Look at whole pictures, reduced."
    return fill(text, _LINE)


def _pictures(options: ClassifyOptions) -> str:
    if options.good:
        names = ", ".join(path.name for path in options.good)
        return f"Good pictures: {names}. Degradations. {mix()}"
    parts = [f"{name}: {', '.join(p.name for p in paths)}" for name, paths in options.domains.items()]
    return f"Pictures. {'; '.join(parts)}. A third of them degraded, all of varied gamma and saturation."
