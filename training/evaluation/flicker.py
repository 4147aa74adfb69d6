"""Flicker: warping error of clips through engines, beside the source's own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from training.evaluation.chosen import to_whole_strides
from training.evaluation.runner import Runner
from training.evaluation.section import Cell, Section
from training.pictures import read_clip
from training.temporal import motion, warping_error

log = logging.getLogger(__name__)


def flicker(runners: Mapping[str, Runner], clips: Sequence[Path], first: int, count: int) -> Section:
    """Warping errors of `count` frames of each clip, from frame `first` on, at every factor."""
    rows: list[list[Cell]] = []
    for clip in clips:
        frames = [to_whole_strides(frame) for frame in read_clip(clip, first, count)]
        motions = [motion(before, now) for before, now in pairwise(frames)]
        own = warping_error(frames, motions)
        rows.append([clip.stem, "source", None, own, None])
        for method, runner in runners.items():
            for factor in runner.factors:
                error = warping_error([runner(frame, factor) for frame in frames], motions)
                rows.append([clip.stem, method, factor, error, error - own])
        log.info("judged clip %s", clip.name)
    return Section(
        "flicker",
        "Warping error in code values: the mean difference between a frame and the one before, moved to its "
        "place by the flow of the source (DIS), outside occlusions. Clips that were not in the training.",
        {"clip": "", "method": "", "factor": "g", "warping error": ".2f", "beyond the source": ".2f"},
        rows,
    )
