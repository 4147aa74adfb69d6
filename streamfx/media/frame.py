"""Frame: one picture of a video as planar YUV, immutable and self-checking; and what describes it.

Shape legend: a plane is a 2-D NumPy array (height, width), rows may be padded (any positive row stride),
samples contiguous. ``uint8`` at depth 8, ``uint16`` at depths 9 to 16 with the value in the low bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.media.alpha import enlarged_plane
from streamfx.media.frame_memory import FrameMemory
from streamfx.media.hdr import HdrMetadata

Plane: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
Planes: TypeAlias = tuple[Plane, Plane, Plane]
NO_PLANES = cast("Planes", ())
"""Of a frame whose pixels are on a device."""


class Matrix(IntEnum):
    """Luma/chroma matrix, numbered as in ITU-T H.273 (the numbers FFmpeg uses)."""

    RGB = 0
    BT709 = 1
    UNKNOWN = 2
    FCC = 4
    BT470BG = 5
    SMPTE170M = 6
    SMPTE240M = 7
    BT2020_NCL = 9
    BT2020_CL = 10


class CodeRange(StrEnum):
    """How code values span black to white: limited (16..235 at 8 bit), full (0..255) or not stated."""

    LIMITED = "limited"
    FULL = "full"
    UNKNOWN = "unknown"


class ChromaLocation(StrEnum):
    """Where chroma samples lie between luma samples. Unknown means left-sited, the H.264 and HEVC default."""

    LEFT = "left"
    CENTER = "center"
    TOP_LEFT = "topleft"
    TOP = "top"
    BOTTOM_LEFT = "bottomleft"
    BOTTOM = "bottom"
    UNKNOWN = "unknown"


class Subsampling(StrEnum):
    """Chroma subsampling; ``steps`` is (vertical, horizontal) luma samples per chroma sample."""

    YUV420 = "4:2:0"
    YUV422 = "4:2:2"
    YUV444 = "4:4:4"

    @property
    def steps(self) -> tuple[int, int]:
        return {"4:2:0": (2, 2), "4:2:2": (1, 2), "4:4:4": (1, 1)}[self.value]

    def chroma_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) of a chroma plane for a luma plane of ``size``; odd sizes round up."""
        (height, width), (step_y, step_x) = size, self.steps
        return -(-height // step_y), -(-width // step_x)


@dataclass(frozen=True, slots=True)
class Colour:
    """Colour description of a stream. ``primaries`` and ``transfer`` are H.273 numbers; 2 is "unknown"."""

    matrix: Matrix = Matrix.UNKNOWN
    code_range: CodeRange = CodeRange.UNKNOWN
    primaries: int = 2
    transfer: int = 2
    chroma_location: ChromaLocation = ChromaLocation.UNKNOWN

    def assumed(self, height: int) -> Colour:
        """Return this description with every unknown that matters replaced by the usual assumption.

        Matrix: BT.709 from 720 lines up, else BT.601. Range: limited. Chroma: left-sited.
        """
        matrix = self.matrix
        if matrix is Matrix.UNKNOWN:
            matrix = Matrix.BT709 if height >= 720 else Matrix.SMPTE170M
        code_range = CodeRange.LIMITED if self.code_range is CodeRange.UNKNOWN else self.code_range
        location = self.chroma_location
        if location is ChromaLocation.UNKNOWN:
            location = ChromaLocation.LEFT
        return replace(self, matrix=matrix, code_range=code_range, chroma_location=location)


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What all frames of a stream have in common, and what a sink needs to open.

    Attributes:
        size: (height, width) in pixels, as coded (before rotation is applied by a player).
        subsampling: chroma subsampling.
        depth: bits per sample, 8 to 16.
        colour: colour description as tagged; unknown stays unknown.
        time_base: unit of every frame's ``pts`` and ``duration``, in seconds.
        rate_fps: nominal frame rate; None when the source does not state one.
        sample_aspect_ratio: pixel aspect ratio; None when not stated.
        rotation_degrees: counter-clockwise rotation a player must apply, multiple of 90.
        frame_count: number of frames if the container states it, else None.
        duration_seconds: duration if the container states it, else None.
        hdr: static HDR metadata; None without.
        top_field_first: top field first of interlaced pictures: whether the upper of their fields is
            shown first; None for whole pictures.
        alpha: whether frames have an alpha plane.
    """

    size: tuple[int, int]
    subsampling: Subsampling
    depth: int
    colour: Colour
    time_base: Fraction
    rate_fps: Fraction | None = None
    sample_aspect_ratio: Fraction | None = None
    rotation_degrees: int = 0
    frame_count: int | None = None
    duration_seconds: float | None = None
    hdr: HdrMetadata | None = None
    top_field_first: bool | None = None
    alpha: bool = False

    @property
    def expected_frames(self) -> int | None:
        """About how many frames there are: as stated, else by rate and duration; None where nothing says."""
        if self.frame_count is not None or not self.duration_seconds or not self.rate_fps:
            return self.frame_count
        return round(self.duration_seconds * self.rate_fps)

    def frame(
        self,
        planes: Planes,
        *,
        index: int,
        pts: int,
        duration: int | None = None,
        captured_ns: int = 0,
        repeated: bool = False,
        device_pixels: DevicePixels | None = None,
        alpha: Plane | None = None,
        key: bool = False,
        again: bool = False,
    ) -> Frame:
        """Return a frame of this stream; see ``Frame`` for what each argument is and what is checked."""
        return Frame(
            planes=planes,
            subsampling=self.subsampling,
            depth=self.depth,
            colour=self.colour,
            index=index,
            pts=pts,
            time_base=self.time_base,
            duration=duration,
            captured_ns=captured_ns,
            repeated=repeated,
            device_pixels=device_pixels,
            alpha=alpha,
            key=key,
            again=again,
        )

    def grey(self) -> Frame:
        """Return a frame of this stream that is grey all over."""
        middle, dtype = 1 << (self.depth - 1), np.uint8 if self.depth == 8 else np.uint16
        chroma_size = self.subsampling.chroma_size(self.size)
        y, u, v = (np.full(size, middle, dtype) for size in (self.size, chroma_size, chroma_size))
        return self.frame((y, u, v), index=0, pts=0)


class DevicePixels(Protocol):
    """Pixels in the memory of a GPU; see `streamfx.gpu.pool.Held`."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of luma in pixels."""

    @property
    def subsampling(self) -> Subsampling:
        """Chroma subsampling."""

    @property
    def depth(self) -> int:
        """Bits per sample."""

    def fetch(self) -> Planes:
        """Return the pixels as planes in main memory; waits for them."""

    def sampled(self, rows: int, columns: int) -> Planes:
        """Return so many samples of each plane, evenly spread, in main memory; waits for them."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """One picture, planar YUV, immutable.

    Attributes:
        planes: (Y, U, V); made read-only here. The frame keeps the memory alive, whoever allocated it.
            `NO_PLANES` where the pixels are on a device.
        subsampling: chroma subsampling, which the plane sizes must match.
        depth: bits per sample, 8 to 16.
        colour: colour description as tagged by the stream.
        index: number of the frame in its source, from 0.
        pts: presentation time in units of ``time_base``, exact.
        time_base: seconds per unit of pts.
        duration: duration in units of ``time_base``; None when not known.
        captured_ns: monotonic clock when capture handed the frame over.
        repeated: stands in for a picture that did not come (the source is away): the previous one, or black.
        shot: number of its shot, from 0; counted only where an effect needs it, 0 elsewhere.
        device_pixels: the pixels, where they are on a device; None where they are in ``planes``.
        alpha: opacity of each pixel, as large and as deep as luma, from 0 to the highest value; None where
            all are opaque.
        key: whether decoding can begin with it in its source.
        again: whether it shows the very picture of the frame before it once more.
        memory: memory that effects have of it and of the frames before; None where the
            frame stands alone.

    Raises:
        FrameError: planes, depth, subsampling and sizes do not fit together.
    """

    planes: Planes
    subsampling: Subsampling
    depth: int
    colour: Colour
    index: int
    pts: int
    time_base: Fraction
    duration: int | None = None
    captured_ns: int = 0
    repeated: bool = False
    shot: int = 0
    device_pixels: DevicePixels | None = None
    alpha: Plane | None = None
    key: bool = False
    again: bool = False
    memory: FrameMemory | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None:
            self._check_alpha(self.alpha)
        if self.device_pixels is not None:
            self._check_device_pixels(self.device_pixels)
            return
        if len(self.planes) != 3:
            raise FrameError(f"frame {self.index}: needs 3 planes (Y, U, V), found {len(self.planes)}")
        if not 8 <= self.depth <= 16:
            raise FrameError(f"frame {self.index}: depth must be 8 to 16 bits, found {self.depth}")
        dtype = np.dtype(np.uint8 if self.depth == 8 else np.uint16)
        for name, plane in zip("YUV", self.planes, strict=True):
            if plane.dtype != dtype or plane.ndim != 2:
                raise FrameError(
                    f"frame {self.index}: plane {name} must be 2-D {dtype} at depth {self.depth}, "
                    f"found {plane.ndim}-D {plane.dtype}"
                )
        chroma_size = self.subsampling.chroma_size(self.size)
        for name, plane, size in zip("YUV", self.planes, (self.size, chroma_size, chroma_size), strict=True):
            if plane.shape != size or 0 in size:
                raise FrameError(
                    f"frame {self.index}: plane {name} must be {size} for luma {self.size} at "
                    f"{self.subsampling}, found {plane.shape}"
                )
            if plane.strides[1] != plane.itemsize:
                raise FrameError(f"frame {self.index}: samples of plane {name} must be contiguous in a row")
            plane.flags.writeable = False

    def _check_alpha(self, alpha: Plane) -> None:
        dtype = np.dtype(np.uint8 if self.depth == 8 else np.uint16)
        if alpha.shape != self.size or alpha.dtype != dtype:
            raise FrameError(
                f"frame {self.index}: alpha must be {self.size} {dtype} as luma is, found {alpha.shape} "
                f"{alpha.dtype}"
            )
        alpha.flags.writeable = False

    def _check_device_pixels(self, device_pixels: DevicePixels) -> None:
        asked = (self.subsampling, self.depth, 0)
        found = (device_pixels.subsampling, device_pixels.depth, len(self.planes))
        if asked != found:
            raise FrameError(
                f"frame {self.index}: pixels on a device must be {self.subsampling} {self.depth}-bit, and no "
                f"planes beside them; found {device_pixels.subsampling} {device_pixels.depth}-bit, "
                f"{len(self.planes)} planes"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the luma plane in pixels."""
        if self.device_pixels is not None:
            return self.device_pixels.size
        height, width = self.planes[0].shape
        return height, width

    @property
    def format(self) -> VideoFormat:
        """What it says of the stream it belongs to."""
        return VideoFormat(
            self.size,
            self.subsampling,
            self.depth,
            self.colour,
            self.time_base,
            alpha=self.alpha is not None,
        )

    @property
    def time_seconds(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base

    def with_planes(self, planes: Planes) -> Frame:
        """Return a frame with other pixels and the same everything else; alpha is enlarged with them."""
        alpha, size = self.alpha, planes[0].shape
        if alpha is not None and alpha.shape != size:  # enlarged by the effect
            alpha = enlarged_plane(alpha, (size[0], size[1]))
        return replace(self, planes=planes, device_pixels=None, alpha=alpha)

    def fetched(self) -> Frame:
        """Return the frame with its pixels in main memory; the very same where they are there."""
        return self if self.device_pixels is None else self.with_planes(self.device_pixels.fetch())

    def with_device_pixels(self, device_pixels: DevicePixels) -> Frame:
        """Return a frame with pixels on a device and the same everything else."""
        return replace(self, planes=NO_PLANES, device_pixels=device_pixels)

    def with_memory(self, memory: FrameMemory | None) -> Frame:
        """Return a frame with another memory and the same everything else."""
        return replace(self, memory=memory)

    def __repr__(self) -> str:
        height, width = self.size
        return (
            f"Frame(index={self.index}, {width}x{height} {self.subsampling} {self.depth}-bit, "
            f"pts={self.pts}×{self.time_base}, {self.colour.matrix.name.lower()}/{self.colour.code_range})"
        )
