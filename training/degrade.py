"""Degradations that turn good pictures into what restoration has to undo: each one seeded and small.

Pictures are RGB HW3, 8 bits a channel, before and after every degradation, as they are in files and streams.
A clip is degraded as a whole: its frames share the settings, noise is new in every frame, and a real video
codec sees the frames in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.pictures import Picture

Random = np.random.Generator

SHARES: Mapping[str, float] = {
    "gaussian_blur": 0.25,
    "motion_blur": 0.15,
    "resampling": 0.25,
    "gaussian_noise": 0.35,
    "poisson_noise": 0.2,
    "salt_and_pepper": 0.15,
    "jpeg": 0.4,
    "codec": 0.35,
}
"""How often each kind is part of a random combination, in the order in which a camera and a stream would do
it."""
KINDS = tuple(SHARES)
SHUFFLED_SHARE = 0.3  # of the combinations are in another order: resampled or blurred noise exists as well
_ENLARGEMENTS = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
_CODECS = {"libx264": "h264", "mpeg2video": "mpeg2video"}  # encoder: decoder


@dataclass(frozen=True)
class Degradation:
    """One kind of damage with its settings."""

    kind: str
    settings: Mapping[str, Any]


def draw(rng: Random, shares: Mapping[str, float] = SHARES) -> list[Degradation]:
    """A random combination; empty when no kind was drawn: good pictures are part of the task."""
    found = [draw_one(kind, rng) for kind, share in shares.items() if rng.random() < share]
    if rng.random() < SHUFFLED_SHARE:
        last = [d for d in found if d.kind in ("jpeg", "codec")]
        first = [d for d in found if d.kind not in ("jpeg", "codec")]
        found = [first[index] for index in rng.permutation(len(first))] + last
    return found


@dataclass(frozen=True)
class Mix:
    """What pictures of a training get; the shares that are left get a random combination.

    Attributes:
        single: Share of pictures with one kind of damage: in combinations the heavy kinds hide the light
            ones, which then are never learned.
        none: Share of pictures that stay as they are.
        kinds: Relative frequency of each kind alone; 1 where it is not named.
    """

    single: float = 0.0
    none: float = 0.0
    kinds: Mapping[str, float] = field(default_factory=dict)


def draw_of(mix: Mix, rng: Random) -> list[Degradation]:
    """What a picture of a training gets."""
    chance = rng.random()
    if chance < mix.none:
        return []
    if chance < mix.none + mix.single:
        frequencies = np.array([mix.kinds.get(kind, 1.0) for kind in KINDS])
        return [draw_one(str(rng.choice(KINDS, p=frequencies / frequencies.sum())), rng)]
    return draw(rng)


def draw_one(kind: str, rng: Random) -> Degradation:
    """A degradation of a kind at a random strength."""
    return Degradation(kind, _DRAWS[kind](rng))


def degrade(frames: Sequence[Picture], degradations: Sequence[Degradation], rng: Random) -> list[Picture]:
    """The frames of one clip, all of one size, after all degradations, one after the other."""
    found = list(frames)
    for degradation in degradations:
        kind, settings = degradation.kind, degradation.settings
        if kind == "codec":
            found = codec(found, **settings)
        elif kind in _NOISES:
            found = [_NOISES[kind](frame, rng, **settings) for frame in found]
        else:
            found = [_OTHERS[kind](frame, **settings) for frame in found]
    return found


def gaussian_blur(picture: Picture, kernel: int) -> Picture:
    """Picture blurred by an odd kernel; its deviation follows from its size (0.8 for 3, 2.3 for 13)."""
    return np.asarray(cv2.GaussianBlur(picture, (kernel, kernel), 0), np.uint8)


def motion_blur(picture: Picture, length_pixels: float, angle_degrees: float) -> Picture:
    """Picture averaged along a line: linear motion while the shutter was open."""
    kernel = line_kernel(length_pixels, angle_degrees)
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.uint8)


def line_kernel(length_pixels: float, angle_degrees: float) -> NDArray[np.float32]:
    """Kernel of a line through its centre, sum 1; a line of length 0 is a point."""
    reach = int(np.ceil(length_pixels / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    angle = np.deg2rad(angle_degrees)
    for along in np.linspace(-length_pixels / 2, length_pixels / 2, 8 * reach + 1):
        x, y = reach + along * np.cos(angle), reach - along * np.sin(angle)
        left, top = int(np.floor(x)), int(np.floor(y))
        for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            weight = (1 - abs(x - column)) * (1 - abs(y - row))
            if weight > 0:
                kernel[row, column] += weight
    return np.asarray(kernel / kernel.sum(), np.float32)


def resampling(picture: Picture, factor: float, enlargement: str) -> Picture:
    """Picture made smaller by area averages and enlarged back to its size."""
    height, width = picture.shape[:2]
    small_wh = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.resize(picture, small_wh, interpolation=cv2.INTER_AREA)
    back = cv2.resize(small, (width, height), interpolation=_ENLARGEMENTS[enlargement])
    return np.asarray(back, np.uint8)


def gaussian_noise(picture: Picture, rng: Random, deviation: float) -> Picture:
    """Picture with normal noise of a deviation in code values."""
    return _rounded(picture + rng.standard_normal(picture.shape, np.float32) * deviation)


def poisson_noise(picture: Picture, rng: Random, photons: float) -> Picture:
    """Picture as counted light: white is `photons` on average."""
    return _rounded(rng.poisson(picture * (photons / 255)) * (255 / photons))


def salt_and_pepper(picture: Picture, rng: Random, share: float) -> Picture:
    """Picture in which a share of all pixels is black or white."""
    drawn_HW = rng.random(picture.shape[:2], np.float32)
    noisy = picture.copy()
    noisy[drawn_HW < share] = 255
    noisy[drawn_HW < share / 2] = 0
    return noisy


def jpeg(picture: Picture, quality: int) -> Picture:
    """Picture after JPEG compression at a quality of 1 to 100."""
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def codec(frames: Sequence[Picture], encoder: str, level: int) -> list[Picture]:
    """Frames after a video codec: 4:2:0, the first a key frame, the others predicted.

    Args:
        frames: RGB HW3; H and W even.
        encoder: "libx264" (level: constant rate factor) or "mpeg2video" (level: quantiser, 1 to 31).
        level: Coarseness; higher is worse.
    """
    import av

    height, width = frames[0].shape[:2]
    writer = av.CodecContext.create(encoder, "w")
    assert isinstance(writer, av.VideoCodecContext)
    writer.width, writer.height, writer.pix_fmt = width, height, "yuv420p"
    writer.framerate, writer.thread_count = Fraction(25), 1
    if encoder == "libx264":
        writer.options = {"crf": str(level), "preset": "veryfast", "tune": "zerolatency"}
    else:
        writer.options = {"qmin": str(level), "qmax": str(level), "g": "12", "bf": "0"}
        writer.bit_rate = 10**8  # without effect between equal limits of the quantiser
    reader = av.CodecContext.create(_CODECS[encoder], "r")
    assert isinstance(reader, av.VideoCodecContext)
    reader.thread_count = 1
    packets = []
    for index, frame in enumerate(frames):
        source = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
        source.pts = index
        packets += writer.encode(source)
    packets += writer.encode(None)
    decoded = [frame for packet in packets for frame in reader.decode(packet)] + reader.decode(None)
    assert len(decoded) == len(frames)
    return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in decoded]


def _rounded(values: NDArray[Any]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _log_uniform(rng: Random, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _draw_codec(rng: Random) -> dict[str, Any]:
    if rng.random() < 0.7:
        return {"encoder": "libx264", "level": int(rng.integers(22, 41))}
    return {"encoder": "mpeg2video", "level": int(rng.integers(3, 21))}


_DRAWS: Mapping[str, Callable[[Random], dict[str, Any]]] = {
    "gaussian_blur": lambda rng: {"kernel": int(rng.choice([3, 5, 7, 9, 11, 13]))},
    "motion_blur": lambda rng: {
        "length_pixels": float(rng.uniform(0, 12)),
        "angle_degrees": float(rng.uniform(0, 90)),
    },
    "resampling": lambda rng: {
        "factor": float(rng.uniform(1.25, 3)),
        "enlargement": str(rng.choice(list(_ENLARGEMENTS))),
    },
    "gaussian_noise": lambda rng: {"deviation": float(rng.uniform(2, 30))},
    "poisson_noise": lambda rng: {"photons": _log_uniform(rng, 60, 1000)},
    "salt_and_pepper": lambda rng: {"share": float(rng.uniform(0.002, 0.04))},
    "jpeg": lambda rng: {"quality": int(rng.integers(50, 101))},
    "codec": _draw_codec,
}
_NOISES: Mapping[str, Callable[..., Picture]] = {
    "gaussian_noise": gaussian_noise,
    "poisson_noise": poisson_noise,
    "salt_and_pepper": salt_and_pepper,
}
_OTHERS: Mapping[str, Callable[..., Picture]] = {
    "gaussian_blur": gaussian_blur,
    "motion_blur": motion_blur,
    "resampling": resampling,
    "jpeg": jpeg,
}
