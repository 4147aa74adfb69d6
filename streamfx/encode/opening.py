"""Opens a sink by its name, and says beforehand what it will hold."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.encode.encoding import Encoding
from streamfx.encode.sink import Sink
from streamfx.errors import ConfigError
from streamfx.media.addresses import check_address
from streamfx.media.frame import VideoFormat

if TYPE_CHECKING:
    from streamfx.encode.files.pictures import Photos
    from streamfx.encode.network.sink import Delivery
    from streamfx.encode.pixels import Packing
    from streamfx.media.tracks import OtherTracks

_KINDS = (
    "a video file (out.mp4), pictures (out/%05d.png), rtmp://, rtsp:// or udp:// addresses, "
    "hls:FOLDER, virtual: (a camera for other programs), window:, web:PORT (a page, live), or null: (nothing "
    "is kept)"
)


def check_output(text: str, source_path: Path | None = None, *, overwrite: bool = True) -> None:
    """Refuse what cannot be an output, whatever the frames are; nothing is opened.

    Args:
        text: the output, as ``open_sink`` takes it.
        source_path: the file being read, which must not be overwritten.
        overwrite: whether a file that is there may be replaced.

    Raises:
        ConfigError: an address that is none or whose protocol is not there, or the source itself.
        SinkError: a file that cannot be written, a screen or a library that is not there.
    """
    check_address(text)
    if text.startswith("window:"):
        from streamfx.encode.screens.window import check_screen

        check_screen(text)
    elif text.startswith("virtual:"):
        from streamfx.encode.screens.virtual_camera import virtual_camera_library

        virtual_camera_library(text)
    elif text not in ("", "null:"):
        _check_target(text, source_path, overwrite)


def _check_target(text: str, source_path: Path | None, overwrite: bool) -> None:
    from streamfx.encode.files.output_file import refuse_target
    from streamfx.encode.files.pictures import is_pictures
    from streamfx.encode.network.targets import is_route, route_of

    if is_route(text):
        route_of(text, keyframe_seconds=1, overwrite=overwrite, written=False)
    elif not is_pictures(text):
        refuse_target(Path(text), source_path, overwrite)


def opens_elsewhere(text: str) -> bool:
    """Return whether an output cannot be tried but by opening it: an address, a folder of HLS, a screen."""
    from streamfx.encode.network.targets import is_route

    return is_route(text) or text.startswith(("virtual:", "window:"))


def shows_as_coded(text: str) -> bool:
    """Return whether an output shows pictures as they are coded: it cannot say that they are to be turned.

    Args:
        text: the output, as ``open_sink`` takes it.
    """
    from streamfx.encode.containers import CONTAINERS
    from streamfx.encode.files.pictures import is_pictures

    container = CONTAINERS.get(Path(text).suffix.lower())
    return is_pictures(text) or (container is not None and not container.rotation)


def holds_alpha(text: str, codec: str | None) -> bool:
    """Return whether an output holds alpha.

    Args:
        text: the output, as ``open_sink`` takes it.
        codec: a user's name of the video codec; None: the usual one.
    """
    from streamfx.encode.codecs import find_codec
    from streamfx.encode.containers import CONTAINERS
    from streamfx.encode.files.picture_kinds import KINDS
    from streamfx.encode.files.pictures import is_pictures

    if is_pictures(text):
        kind = KINDS.get(Path(text).suffix.lower())
        return kind is None or kind.alpha  # a folder holds PNG unless the source's pictures say otherwise
    container = CONTAINERS.get(Path(text).suffix.lower())
    if container is None or not container.alpha:
        return False
    return codec is None or find_codec(codec).name in container.alpha


def try_output(
    text: str,
    *,
    format: VideoFormat,
    other_tracks: OtherTracks | None = None,
    source_path: Path | None = None,
    encoding: Encoding | None = None,
    delivery: Delivery | None = None,
) -> None:
    """Refuse an output that could not be opened for such frames; nothing of it is left.

    Nobody is connected to: a server would wait for pictures. A window is not shown.

    Args:
        text: the output, as ``open_sink`` takes it.
        format: format of the frames.
        other_tracks: tracks of the source, of which nothing is taken.
        source_path: the file being read, which must not be overwritten.
        encoding: codec and settings of the encoder; None: the usual ones.
        delivery: time limits and more of network sinks; None: the usual ones.

    Raises:
        ConfigError, SinkError: as ``open_sink``.
    """
    if text.startswith("window:"):
        check_output(text)
        return
    open_sink(
        text,
        format=format,
        other_tracks=None if other_tracks is None else other_tracks.apart(),
        source_path=source_path,
        encoding=replace(encoding or Encoding(), written=False),
        delivery=delivery,
    ).abort()


def open_sink(
    text: str,
    *,
    format: VideoFormat,
    other_tracks: OtherTracks | None = None,
    source_path: Path | None = None,
    encoding: Encoding | None = None,
    delivery: Delivery | None = None,
    packing: Packing | None = None,
    photos: Photos | None = None,
) -> Sink:
    """Return the sink that ``text`` names, open and ready to write. Every refusal comes from here.

    Args:
        text: a video file, ``out/%05d.png`` for pictures, an address, ``hls:FOLDER``, ``virtual:``,
            ``window:``, or ``null:``.
        format: format of the frames.
        other_tracks: sound, subtitles and tags to copy into a video file: those of the source, which must be
            open and not be read yet. None for none.
        source_path: the file being read, which must not be overwritten.
        encoding: codec and settings of the encoder, and whether a file may be replaced; None: the usual
            ones.
        delivery: time limits and more of network sinks; None: the usual ones.
        packing: function that makes the packing that hands frames to the encoder of a video file; None: they
            are in main memory.
        photos: the picture files that frames come from; None where they come from none.

    Raises:
        ConfigError: no such kind of sink, or the choices do not go together.
        SinkError: it cannot be opened; the message says why.
    """
    encoding = encoding or Encoding()
    # Each kind is imported when asked for: `streamfx --help` must not wait for FFmpeg to load.
    if not text:
        raise ConfigError(f"no output given; it can be {_KINDS}")
    check_address(text)
    kind = re.match(r"([a-z][a-z0-9+]*):", text)
    if text == "null:":
        from streamfx.encode.null import NullSink

        return NullSink()
    if kind and kind[1] == "web":
        raise ConfigError(f"{text}: a page shows what is live; write: streamfx live INPUT {text}")
    if kind and kind[1] == "virtual":
        from streamfx.encode.screens.virtual_camera import VirtualCameraSink

        return VirtualCameraSink(text, format)
    if kind and kind[1] == "window":
        from streamfx.encode.screens.window import WindowSink

        return WindowSink(text, format)
    from streamfx.encode.files.pictures import PictureSink, is_still
    from streamfx.encode.network.targets import is_route

    if is_still(text, format) and not is_route(text):
        return PictureSink(text, format, photos=photos, other_tracks=other_tracks, encoding=encoding)
    from streamfx.encode.files.file import FileSink
    from streamfx.encode.network.sink import NetworkSink

    if is_route(text):
        return NetworkSink(text, format, other_tracks=other_tracks, encoding=encoding, delivery=delivery)
    from streamfx.encode.pixels import Packer

    return FileSink(
        Path(text),
        format,
        other_tracks=other_tracks,
        source_path=source_path,
        encoding=encoding,
        packing=packing or Packer,
    )
