"""Network output: from the heads of a network to the planes of a full-size frame, by what the heads are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfx.engine.golden import Array
from streamfx.engine.spec import EngineSpec, OutputKind
from streamfx.generate.network_input import NetworkInput, surface_planes
from streamfx.generate.ops.enlarge import enlarge_twice
from streamfx.generate.ops.fuse.operation import fuse
from streamfx.generate.ops.place.definition import NO_SHIFTS, shifts_of
from streamfx.generate.ops.place.operation import place
from streamfx.media.frame import Colour, Frame, Planes, VideoFormat


@dataclass(frozen=True, slots=True)
class NetworkOutput:
    """The way back to full size for the frames of one engine.

    Attributes:
        spec: spec of the engine.
        colour: colour of the frames, nothing in it unknown.
        strength: 0..1.
        threads: threads for each step; None for all cores this process may use.
    """

    spec: EngineSpec
    colour: Colour
    strength: float
    threads: int | None

    def full_size(self, frame: Frame, given: NetworkInput, heads: Array) -> Planes:
        """Return the planes of a frame of the same size.

        Raises:
            FrameError: a head is not finite.
        """
        if self.spec.fuses:
            return fuse(
                frame.planes,
                heads,
                given.values[:3],
                subsampling=frame.subsampling,
                depth=frame.depth,
                code_range=self.colour.code_range,
                chroma_location=self.colour.chroma_location,
                strength=self.strength,
                max_displacement_pixels=self.spec.max_displacement_pixels,
                threads=self.threads,
            )
        if self.spec.layout == "i420":
            (y, u, v), shifts = surface_planes(heads, given.size), NO_SHIFTS
        else:
            height, width = (side * self.spec.scale for side in given.size)
            (y, u, v), shifts = heads[:, :height, :width], shifts_of(frame, self.colour)
        return place(
            frame,
            (y, u, v),
            self.colour,
            strength=self.strength,
            added=self.spec.kind is OutputKind.ADDED,
            shifts=shifts,
            threads=self.threads,
        )

    def larger(self, picture: Array, heads: Array) -> Array:
        """Return a picture (3, h, w) as large as the heads, with what they say added to it."""
        larger = picture
        for _ in range(self.spec.doublings):
            larger = enlarge_twice(larger, self.threads)
        larger += np.float32(self.strength) * heads
        return larger

    def enlarged(self, video: VideoFormat, given: NetworkInput, picture: Array) -> Planes:
        """Return the planes of a frame of a larger format, given its picture (3, H, W) in code values.

        Raises:
            FrameError: the picture is not finite.
        """
        blank = video.grey()
        times = blank.size[0] // given.size[0]
        y, u, v = picture[:, : given.size[0] * times, : given.size[1] * times]
        shifts = shifts_of(blank, self.colour)
        return place(blank, (y, u, v), self.colour, shifts=shifts, threads=self.threads)
