"""Quality of pictures: what the score is, and which training pictures are good by a trained classifier."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from streamfx.engine.families.classifier import STRIDE, Classifier, probabilities
from training.checkpoint import replace
from training.metrics import ssim
from training.pictures import Picture, Still, read_still, to_tensor

log = logging.getLogger(__name__)

CLASSES = ("poor", "medium", "good")
BOUNDS = (30.0, 60.0)  # scores between the classes
_SIDE = 192  # of the window that is judged, in pixels
_PSNR_DB = (20.0, 45.0)  # worth 0 and 100
_SSIM = (0.5, 1.0)  # worth 0 and 100


def psnr(picture: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio over R, G and B, in dB; at most 50, the noise of rounding to 8 bits and a
    little more, so that a perfect picture does not outweigh all others in a mean."""
    squared = np.square(picture.astype(np.float32) - truth).mean(dtype=np.float64)
    return float(10 * np.log10(255**2 / max(squared, 255**2 / 10**5)))


def score(picture: Picture, truth: Picture) -> float:
    """Quality from 0 to 100 of a degraded picture whose original is known.

    The mean of two distances to the original, each from 0 to 100: PSNR from 20 to 45 dB, and SSIM of the luma
    from 0.5 to 1. So it says how much was lost, not how the picture was taken: an original is worth 100
    whatever it shows.
    """
    similarity = ssim(to_tensor(picture)[None], to_tensor(truth)[None]).item()
    parts = [
        (value - low) / (high - low)
        for value, (low, high) in ((psnr(picture, truth), _PSNR_DB), (similarity, _SSIM))
    ]
    return 100 * float(np.clip(parts, 0, 1).mean())


def label(score_0_100: float) -> int:
    """Index of the class of a score."""
    return sum(score_0_100 >= bound for bound in BOUNDS)


@torch.no_grad()
def judge(network: Classifier, picture: Picture) -> tuple[float, ...]:
    """Probability of each class for the middle of a picture, at its full resolution."""
    height, width = (min(side // STRIDE * STRIDE, _SIDE) for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    window = picture[top : top + height, left : left + width]
    return tuple(probabilities(network.scores_of(to_tensor(window)[None]))[0].tolist())


def select_good(
    stills: Sequence[Still], network: Classifier, least_side_pixels: int, readers: int, work: Path
) -> list[Still]:
    """Pictures that are most probably good and large enough, in their order; the others are counted in the
    log and listed, with the reason, in `refused.csv` in `work`.

    Verdicts are kept in `work`: with the same judge, side and files none is read again.

    Args:
        stills: Pictures to choose from.
        network: The judge.
        least_side_pixels: Short side that a picture must have.
        readers: Threads that read and judge.
        work: Folder for `verdicts.json` and `refused.csv`.
    """
    key, kept = _key(stills, network, least_side_pixels), work / "verdicts.json"
    saved = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    if saved.get("key") == key:
        verdicts: list[str] = saved["verdicts"]
    else:
        with ThreadPoolExecutor(readers, thread_name_prefix="streamfx-judge") as threads:
            verdicts = list(threads.map(lambda still: _verdict(still, network, least_side_pixels), stills))
        replace(kept, json.dumps({"key": key, "verdicts": verdicts}))
    judged = list(zip(stills, verdicts, strict=True))
    refused = [(still.path, verdict) for still, verdict in judged if verdict != CLASSES[-1]]
    listed = io.StringIO()
    csv.writer(listed, lineterminator="\n").writerows([("file", "why"), *refused])
    replace(work / "refused.csv", listed.getvalue())
    words = ", ".join(f"{count} {why}" for why, count in Counter(why for _, why in refused).items())
    found = [still for still, verdict in judged if verdict == CLASSES[-1]]
    listing = f"{words}: {work / 'refused.csv'}" if refused else "none left out"
    log.info("%d of %d pictures are good (%s)", len(found), len(stills), listing)
    return found


def _verdict(still: Still, network: Classifier, least_side_pixels: int) -> str:
    """The most probable class, or why there is none."""
    picture = read_still(still.path)
    if picture is None:
        return "unreadable"
    if min(picture.shape[:2]) < least_side_pixels:
        return "too small"
    return CLASSES[int(np.argmax(judge(network, picture)))]


def _key(stills: Sequence[Still], network: Classifier, least_side_pixels: int) -> str:
    """Digest of what verdicts follow from: names and sizes stand for the pictures."""
    digest = hashlib.sha256(str(least_side_pixels).encode())
    for tensor in network.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    for still in stills:
        digest.update(f"{still.path}\n{still.path.stat().st_size}\n".encode())
    return digest.hexdigest()
