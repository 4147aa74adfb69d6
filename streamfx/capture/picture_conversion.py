"""Pictures of another size or format, brought into that of an output that is running already."""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Interpolation

from streamfx.capture.planar import Planarizer
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import CodeRange, Matrix, Plane, Planes, VideoFormat

_HOW = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
_RANGES = {CodeRange.LIMITED: ColorRange.MPEG, CodeRange.FULL: ColorRange.JPEG}


class PictureScaler:
    """Turns any picture into planes of one format: scaled as a whole, black beside it for another shape.

    Args:
        video: format that the planes must have.
        planarizer: planarizer that makes planes of pictures that are of this format already.
    """

    def __init__(self, video: VideoFormat, planarizer: Planarizer) -> None:
        self._video, self._planarizer = video, planarizer
        self._name = planar_name(video.subsampling, video.depth)
        self._black: Planes | None = None

    def planes(self, picture: VideoFrame) -> Planes:
        """Return the planes of ``picture``; views of its memory where it fits as it is."""
        if self._planarizer.fits(picture):
            return self._planarizer.planes(picture)
        (height, width), steps = self._video.size, self._video.subsampling.steps
        scale = min(height / picture.height, width / picture.width)
        # Whole chroma samples, so that picture and border meet in luma and chroma alike.
        inner = tuple(
            min(max(round(side * scale / step) * step, step), whole)
            for side, step, whole in zip((picture.height, picture.width), steps, (height, width), strict=True)
        )
        scaled = self.scaled(picture, inner[0], inner[1])
        inside = Planarizer(scaled).planes(scaled)
        if inner == self._video.size:
            return inside
        canvas = tuple(plane.copy() for plane in self.black())
        top, left = (height - inner[0]) // 2 // steps[0], (width - inner[1]) // 2 // steps[1]
        for plane, part, unit in zip(canvas, inside, (steps, (1, 1), (1, 1)), strict=True):
            y, x = top * unit[0], left * unit[1]
            np.copyto(plane[y : y + part.shape[0], x : x + part.shape[1]], part)
        return canvas[0], canvas[1], canvas[2]

    def black(self) -> Planes:
        """Return the planes of a black picture; always the same ones."""
        if self._black is None:
            video = self._video
            luma = 0 if video.colour.code_range is CodeRange.FULL else 16 << (video.depth - 8)
            chroma_size, middle = video.subsampling.chroma_size(video.size), 1 << (video.depth - 1)
            parts = ((video.size, luma), (chroma_size, middle), (chroma_size, middle))
            y, u, v = (_flat(size, value, video.depth) for size, value in parts)
            self._black = (y, u, v)
        return self._black

    def scaled(self, picture: VideoFrame, height: int, width: int) -> VideoFrame:
        """Scale, and bring colours into the matrix and range that the output is tagged with."""
        colour = self._video.colour.assumed(self._video.size[0])
        if picture.colorspace == int(Matrix.UNKNOWN):
            own = self._video.colour.assumed(picture.height)  # as for a whole stream of that size
            picture.colorspace = int(own.matrix)
        return picture.reformat(
            width,
            height,
            self._name,
            dst_colorspace=int(colour.matrix),
            dst_color_range=_RANGES[colour.code_range],
            interpolation=_HOW,
        )


def _flat(size: tuple[int, int], value: int, depth: int) -> Plane:
    return np.full(size, value, np.uint8) if depth == 8 else np.full(size, value, np.uint16)
