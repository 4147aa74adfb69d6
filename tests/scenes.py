"""Scenes made in code: pictures with something to see that moves, for tests of what happens at cuts."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from streamfx.media.frame import CodeRange, Colour, Frame, Matrix, Planes, Subsampling, VideoFormat

SIZE = (96, 160)
TINTS = {"grey": (128, 128), "red": (110, 190), "blue": (190, 110)}
FORMAT = VideoFormat(
    SIZE,
    Subsampling.YUV420,
    8,
    Colour(Matrix.SMPTE170M, CodeRange.LIMITED),
    Fraction(1, 25),
    rate_fps=Fraction(25),
)


def scene_planes(
    number: int, time: int = 0, tint: str = "grey", *, light: float = 1, glare: int = 0
) -> Planes:
    """Return the planes of scene ``number``, of random blocks, that sways by a few pixels.

    Args:
        number: number of the scene.
        time: time of the picture.
        tint: colour of the whole scene, a key of ``TINTS``.
        light: 0 is black, 1 as it is.
        glare: codes added to the luma, as by a flash.
    """
    rng = np.random.default_rng(number)
    blocks = rng.integers(30, 220, (3, 6)).repeat(32, 0).repeat(32, 1).astype(np.float64)
    shift = round(5 * np.sin(time / 3)) + 5
    luma = 16 + (blocks[: SIZE[0], shift : shift + SIZE[1]] - 16) * light + glare
    chroma = [np.full((SIZE[0] // 2, SIZE[1] // 2), 128 + (code - 128) * light) for code in TINTS[tint]]
    first, second, third = (np.clip(plane.round(), 16, 235).astype(np.uint8) for plane in (luma, *chroma))
    return first, second, third


def write_clip(path: Path, frames: Sequence[Frame]) -> Path:
    """Write frames without loss, 25 a second, and return the path."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("ffv1", rate=25)
        context = video.codec_context
        (context.height, context.width), context.pix_fmt = SIZE, "yuv420p"
        context.colorspace, context.color_range = 6, 1
        for number, frame in enumerate(frames):
            picture = av.VideoFrame(SIZE[1], SIZE[0], "yuv420p")
            for plane, samples in zip(picture.planes, frame.planes, strict=True):
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(samples.shape[0], -1)
                rows[:, : samples.shape[1]] = samples
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    return path


def scene_frame(number: int, time: int = 0, tint: str = "grey", *, light: float = 1, glare: int = 0) -> Frame:
    """Return frame ``time`` of a scene; see ``scene_planes``."""
    planes = scene_planes(number, time, tint, light=light, glare=glare)
    return FORMAT.frame(planes, index=time, pts=time, duration=1)
