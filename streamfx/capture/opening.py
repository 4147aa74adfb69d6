"""Opens a source by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from streamfx.capture.source import Source
from streamfx.errors import ConfigError
from streamfx.media.addresses import check_address, scheme_of, without_credentials

if TYPE_CHECKING:
    from streamfx.capture.device_decoding import PicturesOnDevice
    from streamfx.capture.files.preparation import Preparation
    from streamfx.capture.live.settings import LiveSettings

_COMES_LIVE = "it comes live"
_KINDS = (
    "a video file (clip.mp4), '-' (standard input), pictures (frames/%05d.png, a folder, one picture), "
    "an address (rtsp:// rtmp:// http:// https:// udp:// tcp://), camera:0, "
    "a test picture (test:bars), fault:SCENARIO:SOURCE"
)


def open_source(
    text: str,
    *,
    threads: int | None = None,
    live: LiveSettings | None = None,
    pictures: PicturesOnDevice | None = None,
    preparation: Preparation | None = None,
) -> Source:
    """Return the source that ``text`` names, open and ready to read.

    Args:
        text: a video file, ``-`` for standard input, ``frames/%05d.png?rate=25``, a folder of pictures, one
            picture, an address, ``camera:0``, ``fault:SCENARIO:SOURCE``, or
            ``test:bars?size=1280x720&fps=30``.
        threads: decoder threads; None for one per processor.
        live: time limits and more of sources that may go away; None: the usual ones, and what a web server
            offers is a file: read as fast as wanted, to its end.
        pictures: place where pictures of a video file are to stay on a device; None: in main memory.
        preparation: treatment of the pictures of a video file before anything else, and the part of it that
            is wanted; None: the usual treatment, and all of it.

    Raises:
        ConfigError: no such kind of source, an option of it is wrong, or it has no parts.
        SourceOpenError: it cannot be opened; the message says why.
    """
    # Each kind is imported when asked for: `streamfx --help` must not wait for FFmpeg to load.
    from streamfx.capture.files.pictures import PictureSource, is_pictures

    if not text:
        raise ConfigError(f"no source given; it can be {_KINDS}")
    kind = re.match(r"([a-z][a-z0-9+]*):", text)
    if kind and kind[1] == "test":
        _refuse(text, preparation, "part", "a test picture has none; its option frames says how long it is")
        _refuse(text, preparation, "geometry", "its option size says how large they are")
        _refuse(text, preparation, "rate_fps", "its option fps says what it is")
        from streamfx.capture.pattern import PatternSource

        return PatternSource(text, endless=live is not None)
    if kind and kind[1] == "fault":
        _refuse_all(text, preparation, _COMES_LIVE)
        from streamfx.capture.live.faults import open_fault

        return open_fault(text, live, threads=threads)
    if kind and kind[1] == "camera":
        _refuse_all(text, preparation, _COMES_LIVE)
        from streamfx.capture.live.camera import open_camera

        return open_camera(text, live)
    check_address(text)
    scheme = scheme_of(text)
    if scheme is not None and (live is not None or scheme not in ("http", "https")):
        _refuse_all(text, preparation, _COMES_LIVE)
        from streamfx.capture.live.network import open_network
        from streamfx.media.ffmpeg_protocols import check_protocol

        check_protocol(text)
        return open_network(text, live, threads=threads)
    if scheme is None and is_pictures(text):
        _refuse(text, preparation, "part", "of pictures, name those that are wanted, as in 'frames/001*.png'")
        _refuse(
            text,
            preparation,
            "rate_fps",
            "of pictures, it stands in the name, as in 'frames/%05d.png?rate=25'",
        )
        return PictureSource(text, preparation=preparation)
    from streamfx.capture.files.animated_webp import AnimatedWebpSource, is_animated_webp

    if scheme is None and is_animated_webp(text):
        _refuse(text, preparation, "part", "an animated WebP is read as a whole")
        _refuse(
            text, preparation, "rate_fps", "the pictures of an animated WebP are shown as long as it says"
        )
        return AnimatedWebpSource(text, preparation)
    from streamfx.capture.files.file import FileSource

    return FileSource(text, threads=threads, pictures=pictures, preparation=preparation)


_ASKED = {
    "part": ("no part of it can be taken", "--start, --end and --duration"),
    "geometry": (
        "its pictures are not cut, turned or scaled",
        "--size, --crop, --rotate and --flip",
    ),
    "rate_fps": ("its rate is not changed", "--fps"),
}
"""What a preparation may ask for, by its attribute: why that is refused, and the options that ask for it."""


def _refuse(text: str, preparation: Preparation | None, asked: str, why: str) -> None:
    """Refuse a part, a geometry or a rate that was asked of a source that cannot have it."""
    if preparation is not None and getattr(preparation, asked) is not None:
        refusal, options = _ASKED[asked]
        raise ConfigError(f"{without_credentials(text)}: {refusal}: {why}; leave {options} out")


def _refuse_all(text: str, preparation: Preparation | None, why: str) -> None:
    for asked in _ASKED:
        _refuse(text, preparation, asked, why)
