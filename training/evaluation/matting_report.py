"""Everything there is to say about an engine that tells people from the background, with its sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from streamfx.engine.folder import SHEET
from streamfx.generate.people.matting import LONG_SIDE_PIXELS
from training.composed import Masked, put_before
from training.evaluation.masks import Mask
from training.evaluation.matte_runner import MatteRunner
from training.evaluation.matting import (
    STEPS,
    Judged,
    Method,
    judged,
    mediapipe,
    nobody,
    people,
    speed,
    spread_frames,
    stillness,
)
from training.evaluation.options import EvaluateOptions
from training.evaluation.section import Section
from training.people_masks import PeopleMasks
from training.pictures import RESEARCH_ONLY, STILLS, Picture, Still, find_stills, read_still, still_at
from training.sheet import jpeg, sheet

PEOPLE, NOBODY = "people", "nobody"
"""Names among the option `domains`."""

_COARSER = 256  # long side of a reduced picture that costs less
_FAR = 30  # pictures of people who are far away
_FAR_SIZE = (480, 640)
_FAR_HEIGHTS = (1 / 7, 1 / 2)  # of the people, in heights of the picture
_STILL_SCENES = 6
_SHOWN_SCENES = 5
_GREEN = (0, 177, 64)
_CELL = 232  # height of the pictures of the sheet, in pixels


def matting_report(options: EvaluateOptions) -> tuple[list[Section], Mapping[str, bytes]]:
    """Figures of an engine that gives a matte, and its sheet.

    Raises:
        ValueError: There are no clips, or no photographs of people and of others.
    """
    if not options.videos or any(not options.domains.get(name) for name in (PEOPLE, NOBODY)):
        raise ValueError(
            f"engine {options.engine}: give videos, clips of people, and domains with photographs or "
            f"folders: {PEOPLE}, and {NOBODY}, without people"
        )
    masks = PeopleMasks(options.work / "masks")
    found = {name: _held_out(options.domains[name], options) for name in (PEOPLE, NOBODY)}
    free = {name: [picture for still, picture in stills if _is_free(still)] for name, stills in found.items()}
    groups = {path.stem: judged(spread_frames(path), masks) for path in options.videos}
    scenes = [examples[0] for examples in groups.values()][:_STILL_SCENES]
    empty = judged([picture for _, picture in found[NOBODY]], masks)
    groups["photographs"] = judged([picture for _, picture in found[PEOPLE]], masks)
    groups["far away"] = far_away(scenes[:_SHOWN_SCENES], judged(free[NOBODY], masks), options.seed)
    with ExitStack() as opened:
        folders = {"engine": options.engine, **options.against}
        runners = {name: opened.enter_context(MatteRunner(path)) for name, path in folders.items()}
        plain = opened.enter_context(MatteRunner(options.engine, detail=False))
        coarser = opened.enter_context(MatteRunner(options.engine, long_side=_COARSER))
        methods: dict[str, Method] = {
            "engine": runners["engine"],
            f"engine, long side {_COARSER}": coarser,
            "engine, no detail": plain,
        }
        methods |= {name: runner for name, runner in runners.items() if name != "engine"}
        methods["MediaPipe's, squeezed"] = mediapipe
        sections = [
            people(methods, groups),
            nobody(methods, empty),
            stillness(runners, [scene.picture for scene in scenes], options.seed),
            speed(options.engine, scenes[0].picture, (_COARSER, LONG_SIDE_PIXELS)),
        ]
        shown = [*scenes[:_SHOWN_SCENES], *judged(free[PEOPLE][::3], masks)[:3], *groups["far away"][2:5]]
        return sections, {SHEET: jpeg(_sheet(runners["engine"], shown))}


def matting_material(options: EvaluateOptions) -> str:
    """What the figures depend on, so that they can be measured again."""
    clips = ", ".join(path.name for path in options.videos)
    low, high = _FAR_HEIGHTS
    return (
        f"`python -m training evaluate`: {STEPS} frames, evenly spread, of each of {clips}; the held-out of "
        f"the photographs that `domains` names; {_FAR} pictures of people of those clips, {low:.0%} to "
        f"{high:.0%} as high as the picture, before photographs of nobody; long side of the reduced picture "
        f"{LONG_SIDE_PIXELS}; seed {options.seed}."
    )


def far_away(people_near: Sequence[Judged], empty: Sequence[Judged], seed: int) -> list[Judged]:
    """One to three of the people of some pictures, small, before pictures without any."""
    rng = np.random.default_rng([seed, 11])
    found = []
    for index in range(_FAR):
        behind = _filling(empty[int(rng.integers(len(empty)))].picture, *_FAR_SIZE)
        both = Masked(behind, np.zeros(_FAR_SIZE, np.uint8))
        for _ in range(1 + index % 3):
            near = people_near[int(rng.integers(len(people_near)))]
            mask = np.asarray((near.mask * 255).round(), np.uint8)
            both = put_before(
                both, Masked(near.picture, mask), _FAR_SIZE[0] * rng.uniform(*_FAR_HEIGHTS), rng
            )
        found.append(Judged(both.picture, both.mask.astype(np.float32) / np.float32(255)))
    return found


def _filling(picture: Picture, height: int, width: int) -> Picture:
    """The middle of a picture, as large as asked."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size_wh = (round(scale * picture.shape[1]), round(scale * picture.shape[0]))
    large = cv2.resize(picture, size_wh, interpolation=cv2.INTER_CUBIC)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return np.asarray(large[top : top + height, left : left + width], np.uint8)


def _held_out(paths: Sequence[Path], options: EvaluateOptions) -> list[tuple[Still, Picture]]:
    """Held-out photographs among paths and in folders."""
    stills = find_stills([path for path in paths if path.is_dir()], options.exclude)
    stills += [still_at(path) for path in paths if path.suffix.lower() in STILLS]
    pictures = ((still, read_still(still.path)) for still in stills if still.held_out)
    return [(still, picture) for still, picture in pictures if picture is not None]


def _is_free(still: Still) -> bool:
    """Whether a picture may be shown: the sheet is passed on with the engine."""
    return still.licence != RESEARCH_ONLY


def _sheet(engine: MatteRunner, shown: Sequence[Judged]) -> Picture:
    """Pictures, the operator's masks, the engine's, and the people before green."""
    rows = []
    for example in shown:
        matte = engine(example.picture)
        cover_HW1 = matte[..., None]
        green = cover_HW1 * example.picture + (1 - cover_HW1) * np.array(_GREEN, np.float32)
        row = [example.picture, _grey(example.mask), _grey(matte), np.asarray(green.round(), np.uint8)]
        rows.append([_cell(picture) for picture in row])
    return sheet(rows, ["picture", "operator", "engine", "before green"])


def _cell(picture: Picture) -> Picture:
    """A picture as high as the others of the sheet, cut or bordered to 4 : 3."""
    width = _CELL * 4 // 3
    scale = min(_CELL / picture.shape[0], width / picture.shape[1])
    size_wh = (round(scale * picture.shape[1]), round(scale * picture.shape[0]))
    small = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)
    left = (width - size_wh[0]) // 2
    cell = np.full((_CELL, width, 3), 255, np.uint8)
    cell[: size_wh[1], left : left + size_wh[0]] = small
    return cell


def _grey(mask: Mask) -> Picture:
    return np.repeat((mask[..., None] * 255).round().astype(np.uint8), 3, axis=2)
