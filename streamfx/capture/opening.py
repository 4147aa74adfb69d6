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
        _refuse_part(text, preparation, "a test picture has none; its option frames says how long it is")
        _refuse_geometry(text, preparation, "its option size says how large they are")
        _refuse_rate(text, preparation, "its option fps says what it is")
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
        _refuse_part(text, preparation, "of pictures, name those that are wanted, as in 'frames/001*.png'")
        _refuse_rate(text, preparation, "of pictures, it stands in the name, as in 'frames/%05d.png?rate=25'")
        return PictureSource(text, preparation=preparation)
    from streamfx.capture.files.animated_webp import AnimatedWebpSource, is_animated_webp

    if scheme is None and is_animated_webp(text):
        _refuse_part(text, preparation, "an animated WebP is read as a whole")
        _refuse_rate(text, preparation, "the pictures of an animated WebP are shown as long as it says")
        return AnimatedWebpSource(text, preparation)
    from streamfx.capture.files.file import FileSource

    return FileSource(text, threads=threads, pictures=pictures, preparation=preparation)


def _refuse_part(text: str, preparation: Preparation | None, why: str) -> None:
    """Refuse to take a part of what is no video file."""
    if preparation is not None and preparation.part is not None:
        raise ConfigError(
            f"{without_credentials(text)}: no part of it can be taken: {why}; leave --start, --end and "
            "--duration out"
        )


def _refuse_all(text: str, preparation: Preparation | None, why: str) -> None:
    _refuse_part(text, preparation, why)
    _refuse_geometry(text, preparation, why)
    _refuse_rate(text, preparation, why)


def _refuse_geometry(text: str, preparation: Preparation | None, why: str) -> None:
    """Refuse to cut, turn or scale the pictures of what is neither a file nor a photograph."""
    if preparation is not None and preparation.geometry is not None:
        raise ConfigError(
            f"{without_credentials(text)}: its pictures are not cut, turned or scaled: {why}; leave --size, "
            "--crop, --rotate and --flip out"
        )


def _refuse_rate(text: str, preparation: Preparation | None, why: str) -> None:
    """Refuse to change the rate of what is no video file."""
    if preparation is not None and preparation.rate_fps is not None:
        raise ConfigError(f"{without_credentials(text)}: its rate is not changed: {why}; leave --fps out")
