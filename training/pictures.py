"""Training pictures: found in folders and clips, split by source picture, cut into crops; all seeded.

A picture is read when it is first needed. Whatever cannot be read is named in the log, skipped and counted.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

log = logging.getLogger(__name__)

RESEARCH_ONLY = "research use only"
"""Licence of pictures whose collection the card of an engine names."""

STILLS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
CLIPS = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts", ".gif"})
HELD_OUT_SHARE = 0.2
MARGIN = 24  # reduced pixels that the network sees around a crop
SHORT_SIDES = (384, 432, 480)  # of the pictures that crops are cut from
SPARE = 16  # pixels by which a window can still move inside the smallest picture

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Still:
    """One picture file and the source picture that it was cut from."""

    path: Path
    source: str
    licence: str = "not stated"

    @property
    def place(self) -> float:
        """Number in 0..1 that follows from the name of the source alone, so that crops never straddle."""
        digest = hashlib.sha256(self.source.encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32

    @property
    def held_out(self) -> bool:
        """Whether this source is kept for evaluation."""
        return self.place < HELD_OUT_SHARE


def find_stills(folders: Iterable[Path], exclude: Sequence[str] = ()) -> list[Still]:
    """Picture files below `folders` in a fixed order, each with its source.

    An `index.csv` with columns `file` and `source_image` or `work`, in the folder or the one above, names the
    sources; without it each file is its own source. Paths that contain a word of `exclude` are left out.
    """
    stills: list[Still] = []
    for folder in folders:
        root, rows = _index(folder)
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in STILLS)
        wanted = [path for path in paths if not any(word in path.as_posix() for word in exclude)]
        stills += [_still(path, rows.get(path.relative_to(root).as_posix())) for path in wanted]
    return stills


def still_at(path: Path) -> Still:
    """A single picture file with its source, as `find_stills` finds it."""
    root, rows = _index(path.parent)
    return _still(path, rows.get(path.relative_to(root).as_posix()))


def _index(folder: Path) -> tuple[Path, dict[str, dict[str, str]]]:
    for root in (folder, folder.parent):
        index = root / "index.csv"
        if index.is_file():
            with index.open(newline="", encoding="utf-8") as rows:
                return root, {row["file"]: row for row in csv.DictReader(rows)}
    return folder, {}


def _still(path: Path, row: dict[str, str] | None) -> Still:
    if row is None:
        return Still(path, path.name)
    source = row.get("source_image") or row.get("work") or path.name
    return Still(path, f"{row.get('package', '')}/{source}", row.get("licence", "not stated"))


def read_still(path: Path) -> Picture | None:
    """RGB picture HW3, or None (and a line in the log) when the file cannot be read."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        log.warning("skipped %s: %s", path, error)
        return None
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        log.warning("skipped %s: not a readable picture", path)
        return None
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def save_still(path: Path, picture: Picture) -> None:
    """Write an RGB picture HW3 as a PNG file, complete or not at all."""
    data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    temporary = path.with_suffix(".partial")
    temporary.write_bytes(data.tobytes())
    temporary.replace(path)


def read_clip(path: Path, first: int = 0, count: int | None = None, step: int = 1) -> list[Picture]:
    """RGB frames HW3 of a clip: `count` of them (all by default), every `step`-th from frame `first` on."""
    reader = cv2.VideoCapture(str(path))
    frames: list[Picture] = []
    index = 0
    while count is None or len(frames) < count:
        decoded, frame = reader.read()
        if not decoded:
            break
        if index >= first and (index - first) % step == 0:
            frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8))
        index += 1
    reader.release()
    if not frames:
        log.warning("skipped %s: no frame could be decoded", path)
    return frames


def to_short_side(picture: Picture, short_side: int) -> Picture:
    """Picture resized so that its short side has `short_side` pixels."""
    height, width = picture.shape[:2]
    scale = short_side / min(height, width)
    if scale == 1:
        return picture
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size_wh, interpolation=method), np.uint8)


def to_tensor(picture: Picture) -> Tensor:
    """RGB tensor 3HW in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255


def noisy(rgb_3HW: Tensor, rng: np.random.Generator, deviation: float) -> Tensor:
    """RGB in [0, 1], of any shape, with normal noise of a deviation added."""
    noise = torch.from_numpy(rng.standard_normal(rgb_3HW.shape, np.float32)).to(rgb_3HW.device)
    return (rgb_3HW + deviation * noise).clamp(0, 1)


def spoiled(picture: Picture, rng: np.random.Generator, deviation: float, quality: int) -> Picture:
    """RGB picture HW3 as a poor camera gives it: with normal noise of a deviation, in codes, and compressed
    as JPEG of a quality, 1 to 100."""
    noise = deviation * rng.standard_normal(picture.shape, np.float32)
    noisy_bgr = (picture[..., ::-1] + noise).round().clip(0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", noisy_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    spoiled_bgr = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(spoiled_bgr[..., ::-1])


def to_picture(rgb_3HW: Tensor) -> Picture:
    """RGB picture HW3, rounded and clamped, of a tensor in [0, 1]."""
    codes = (rgb_3HW.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.asarray(codes.permute(1, 2, 0).cpu().numpy(), np.uint8)


@dataclass(frozen=True)
class Crop:
    """A square of `side` pixels at (top, left) of a square picture."""

    picture: Picture
    top: int
    left: int
    side: int

    def rgb(self) -> Tensor:
        """The crop itself, RGB 3SS in [0, 1]."""
        return to_tensor(self.picture[self.top : self.top + self.side, self.left : self.left + self.side])

    def window(self, factor: float, shift_yx: tuple[int, int] = (0, 0)) -> tuple[Tensor, int, int]:
        """The crop with surroundings for the network, moved by `shift_yx` pixels where the picture allows.

        Returns:
            RGB 3WW in [0, 1], with W / factor a multiple of 4, and the crop's top and left inside it.
        """
        side = window_side(self.side, factor)
        top = self._start(self.top, side, shift_yx[0])
        left = self._start(self.left, side, shift_yx[1])
        return to_tensor(self.picture[top : top + side, left : left + side]), self.top - top, self.left - left

    def _start(self, position: int, side: int, shift: int) -> int:
        centred = min(max(position - (side - self.side) // 2, 0), self.picture.shape[0] - side)
        lowest = max(position + self.side - side, 0)
        highest = min(position, self.picture.shape[0] - side)
        return int(min(max(centred + shift, lowest), highest))


def window_side(crop_side: int, factor: float) -> int:
    """Side in full-size pixels of the window around a crop: the crop and a margin, whole strides when
    reduced."""
    unit = 4 * factor
    wanted = min(crop_side + 2 * MARGIN * factor, max(min(SHORT_SIDES) - SPARE, crop_side))
    return round(int(wanted // unit) * unit)


def draw_factor(shares: Mapping[float, float], rng: np.random.Generator) -> float:
    """One of the factors, as often as its share says."""
    return float(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
