"""What a decoded picture carries beside its samples: HDR metadata, rotation."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import cast

from av import VideoFrame
from av.sidedata.sidedata import SideData, Type

from streamfx.media.hdr import HdrMetadata

# AVMasteringDisplayMetadata: ten AVRational (primaries r g b, white, darkest, brightest), then two flags.
_MASTERING = struct.Struct("=20i2i")
_LIGHT = struct.Struct("=2I")
_MATRIX = struct.Struct("=9i")


def hdr_metadata(picture: VideoFrame) -> HdrMetadata | None:
    """Return the static HDR metadata of a decoded picture, or None when it carries none."""
    mastering, light = (
        _bytes(picture, Type.MASTERING_DISPLAY_METADATA),
        _bytes(picture, Type.CONTENT_LIGHT_LEVEL),
    )
    if mastering is None and light is None:
        return None
    primaries = white = luminance = None
    if mastering is not None:
        *numbers, has_primaries, has_luminance = _MASTERING.unpack_from(mastering)
        values = [Fraction(n, d) if d else Fraction(0) for n, d in zip(*[iter(numbers)] * 2, strict=True)]
        if has_primaries:
            primaries = ((values[0], values[1]), (values[2], values[3]), (values[4], values[5]))
            white = (values[6], values[7])
        if has_luminance:
            luminance = (values[8], values[9])
    content = None if light is None else _LIGHT.unpack_from(light)
    return HdrMetadata(primaries, white, luminance, content)


_NOT_PASSED_ON = {
    Type.A53_CC: "closed captions in the pictures",
    Type.STEREO3D: "that pictures are stereoscopic",
    Type.SPHERICAL: "that pictures show all directions",
    Type.ICC_PROFILE: "a colour profile",
    Type.S12M_TIMECODE: "timecodes in the pictures",
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    Type.DOVI_METADATA: "Dolby Vision metadata",
    Type.AFD: "the part of pictures that is active",
}


def not_passed_on(picture: VideoFrame) -> list[str]:
    """Return what a decoded picture carries that is not in the output, in words."""
    try:
        kinds = [entry.type for entry in cast("Iterable[SideData]", picture.side_data)]
    except ValueError:  # see below
        return []
    return [words for kind, words in _NOT_PASSED_ON.items() if kind in kinds]


def display_matrix(picture: VideoFrame) -> tuple[int, ...] | None:
    """Return the nine numbers of the display matrix, or None when the picture is shown as it is."""
    data = _bytes(picture, Type.DISPLAYMATRIX)
    return None if data is None else _MATRIX.unpack_from(data)


def _bytes(picture: VideoFrame, kind: Type) -> bytes | None:
    # PyAV's stub says side_data is a dictionary; it is a SideDataContainer, which iterates over its entries.
    try:
        entries = cast("Iterable[SideData]", picture.side_data)
        return next((bytes(entry) for entry in entries if entry.type is kind), None)
    except ValueError:  # there is a kind among them that PyAV 18.1 does not know: EXIF data
        return None
