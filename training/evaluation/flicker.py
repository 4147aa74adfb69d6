"""Flicker: warping error of clips through engines, beside the source's own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from training.evaluation.chosen import to_whole_strides
from training.evaluation.runner import Runner
from training.evaluation.section import Cell, Section
from training.evaluation.upscaling import AMPLITUDES, enlarged_bicubic, reduced
from training.pictures import Picture, read_clip
from training.temporal import motion, warping_error

log = logging.getLogger(__name__)

_MEANING = (
    "Warping error in code values: the mean difference between a frame and the one before, moved to its "
    "place by the flow of the {} (DIS), outside occlusions. Clips that were not in the training."
)


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
        _MEANING.format("source"),
        {"clip": "", "method": "", "factor": "g", "warping error": ".2f", "beyond the source": ".2f"},
        rows,
    )


def enlarged_flicker(
    runners: Mapping[int, Callable[..., Picture]], clips: Sequence[Path], first: int, count: int
) -> Section:
    """Warping errors of `count` frames of each clip, from frame `first` on, that were reduced and enlarged
    again.

    Args:
        runners: The engine, by how many times larger pictures become.
        clips: The true pictures.
        first: Number of the first frame.
        count: Number of frames.
    """
    rows: list[list[Cell]] = []
    for clip in clips:
        truths = [to_whole_strides(frame) for frame in read_clip(clip, first, count)]
        rows += [[clip.stem, *row] for row in enlarged_errors(runners, truths)]
        log.info("judged clip %s", clip.name)
    return Section(
        "flicker",
        _MEANING.format("true clip")
        + " Frames went in reduced by the bicubic filter, rounded to 8 bits. A blurred clip flickers less "
        "than the true one, whose compression is restless too: beyond bicubic says what the engine adds.",
        {
            "clip": "",
            "enlargement": "",
            "method": "",
            "noise amplitude": "g",
            "warping error": ".2f",
            "beyond the true clip": "+.2f",
            "beyond bicubic": "+.2f",
        },
        rows,
    )


def enlarged_errors(
    runners: Mapping[int, Callable[..., Picture]], truths: Sequence[Picture]
) -> list[list[Cell]]:
    """Rows of enlargement, method, noise amplitude, warping error, and that beyond the true clip's and beyond
    that of bicubic, for the frames of a clip; the clip itself comes first."""
    motions = [motion(before, now) for before, now in pairwise(truths)]
    own = warping_error(truths, motions)
    rows: list[list[Cell]] = [["", "true clip", None, own, None, None]]
    for times, runner in runners.items():
        small = [reduced(truth, times) for truth in truths]
        plain = warping_error([enlarged_bicubic(frame, times) for frame in small], motions)
        rows.append([f"x{times}", "bicubic", None, plain, plain - own, None])
        for amplitude in (AMPLITUDES[0], AMPLITUDES[-1]):
            error = warping_error([runner(frame, noise_amplitude=amplitude) for frame in small], motions)
            rows.append([f"x{times}", "engine", amplitude, error, error - own, error - plain])
    return rows
