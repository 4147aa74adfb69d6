"""Matting: an engine's mattes against the masks of the slow operator, on people that it never saw."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.masks import Mask, border_score, overlap
from training.evaluation.material import VARIANTS, Variant
from training.evaluation.matte_runner import MatteRunner
from training.evaluation.network import JUDGES, open_network
from training.evaluation.price import in_turns
from training.evaluation.section import Cell, Section
from training.people_masks import PeopleMasks
from training.pictures import Picture, read_clip, to_short_side

log = logging.getLogger(__name__)

Method = Callable[[Picture], Mask]

STEPS = 5
"""Frames of each clip, evenly spread."""
SIZE = (720, 1280)
_MEDIAPIPE = 256  # side of what its network sees
_BORDER = 2 / 720  # of the short side: borders this far apart still agree
_SOMEBODY = 0.004  # share of the pixels from which there is somebody in a mask
_STILL_FRAMES = 6
_STILLS: tuple[Variant, ...] = ("noisy", "dark", "compressed")


@dataclass(frozen=True, eq=False)
class Judged:
    """A picture HW3 and the operator's mask HW of it, in 0..1."""

    picture: Picture
    mask: Mask

    @property
    def shows_somebody(self) -> bool:
        """Whether the operator found people in it."""
        return bool((self.mask >= 0.5).mean() >= _SOMEBODY)


def judged(pictures: Sequence[Picture], masks: PeopleMasks) -> list[Judged]:
    """Pictures with the operator's masks, sides cut to even ones."""
    found = [(picture, masks(picture).astype(np.float32) / np.float32(255)) for picture in pictures]
    return [Judged(_even(picture), _even(mask)) for picture, mask in found]


def people(methods: Mapping[str, Method], groups: Mapping[str, Sequence[Judged]]) -> Section:
    """How well each method's mattes agree with the masks of the operator, for groups of pictures."""
    rows: list[list[Cell]] = []
    for name, examples in groups.items():
        for method, matte in methods.items():
            found = [_scores(matte(example.picture), example.mask) for example in examples]
            rows.append([name, len(examples), method, *(float(value) for value in np.mean(found, axis=0))])
        log.info("judged %s", name)
    return Section(
        "people",
        "People who were not in the training, against the masks of the operator `person`: intersection over "
        "union (IoU), boundary F-score (borders agree that are at most 2 pixels apart where the short side "
        "has 720), mean difference in codes of 255.",
        {"of": "", "pictures": "d", "method": "", "IoU": ".3f", "border": ".3f", "difference": ".2f"},
        rows,
    )


def nobody(methods: Mapping[str, Method], examples: Sequence[Judged]) -> Section:
    """What each method marks in pictures in which the operator finds nobody."""
    rows: list[list[Cell]] = []
    for method, matte in methods.items():
        shares = [float((matte(example.picture) >= 0.5).mean()) for example in examples]
        rows.append([method, float(np.mean(shares)), float(np.mean([share > 0.01 for share in shares]))])
    return Section(
        "nobody",
        f"{len(examples)} held-out photographs in which the operator finds nobody (people who show no face "
        "are among them): mean share of the pixels that are marked, and share of the photographs in which "
        "more than 1 % is.",
        {"method": "", "marked": ".2%", "photographs": ".0%"},
        rows,
    )


def stillness(runners: Mapping[str, MatteRunner], scenes: Sequence[Picture], seed: int) -> Section:
    """Change of the matte from frame to frame where nothing but the noise of the camera changes."""
    rows: list[list[Cell]] = []
    for name, runner in runners.items():
        for remembers in (False, True):
            changes: list[Cell] = []
            for variant in _STILLS:
                rng = np.random.default_rng([seed, 9])
                clips = [[VARIANTS[variant](scene, rng) for _ in range(_STILL_FRAMES)] for scene in scenes]
                changes.append(float(np.mean([_change(runner.clip(c, remembers=remembers)) for c in clips])))
            rows.append([name, "with" if remembers else "without", *changes])
    return Section(
        "stillness",
        f"{len(scenes)} scenes that stand still, {_STILL_FRAMES} frames with noise of their own: mean change "
        "of the matte from one frame to the next, in codes of 255, without and with the memory.",
        {"method": "", "memory": "", **dict.fromkeys(_STILLS, ".3f")},
        rows,
    )


def speed(folder: Path, picture: Picture, long_sides: Sequence[int], rounds: int = 60) -> Section:
    """Milliseconds of the network for a frame of 720 lines, beside MediaPipe's own."""
    frame = cv2.resize(to_short_side(picture, SIZE[0]), SIZE[::-1], interpolation=cv2.INTER_AREA)
    square = np.zeros((1, _MEDIAPIPE, _MEDIAPIPE, 3), np.float32)
    rows: list[list[Cell]] = []
    for threads in (1, 2):
        for side in long_sides:
            with MatteRunner(folder, threads=threads, long_side=side, backend="openvino") as runner:
                (taken,) = in_turns([runner.timed(np.asarray(frame, np.uint8))], rounds)
            rows.append([f"engine, long side {side}", threads, float(np.median(taken))])
    own = open_network(JUDGES / "selfie_segmentation.tflite")
    (taken,) = in_turns([lambda: own(square)], rounds)
    rows.append(["MediaPipe's, a square of 256", 1, float(np.median(taken))])
    return Section(
        "speed",
        f"Network alone, {SIZE[1]} x {SIZE[0]}, OpenVINO, float32: median of {rounds} calls, in ms.",
        {"method": "", "threads": "d", "ms": ".2f"},
        rows,
    )


def mediapipe(picture: Picture) -> Mask:
    """What MediaPipe's own network says of a picture, squeezed to its square, as large as the picture."""
    size = (_MEDIAPIPE, _MEDIAPIPE)
    square = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    (mask_BHWC,) = open_network(JUDGES / "selfie_segmentation.tflite")(square[None])
    enlarged = cv2.resize(mask_BHWC[0, ..., 0], picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.float32)


def spread_frames(path: Path, count: int = STEPS) -> list[Picture]:
    """Frames of a clip, evenly spread."""
    frames = read_clip(path)
    places = [round(place) for place in np.linspace(0, len(frames) - 1, count)] if frames else []
    return [frames[place] for place in places]


def _even(plane: NDArray[Any]) -> NDArray[Any]:
    """A picture or mask whose sides are even, as those of most video are."""
    height, width = (side // 2 * 2 for side in plane.shape[:2])
    return np.ascontiguousarray(plane[:height, :width])


def _scores(matte: Mask, mask: Mask) -> tuple[float, float, float]:
    near = max(1.0, _BORDER * min(mask.shape))
    return overlap(matte, mask), border_score(matte, mask, near), 255 * float(np.abs(matte - mask).mean())


def _change(mattes: Sequence[Mask]) -> float:
    return 255 * float(np.mean([np.abs(now - before).mean() for before, now in pairwise(mattes)]))
