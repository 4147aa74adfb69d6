"""Routes: how each kind of network address, and an HLS folder, is written."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from streamfx.encode.codecs import on_devices
from streamfx.encode.containers import Container
from streamfx.errors import ConfigError, SinkError
from streamfx.media.addresses import scheme_of, without_credentials
from streamfx.media.ffmpeg_protocols import available, check_protocol

_H264 = on_devices(("h264",))
# Sound and pictures are put in order; where one of them stays away, the other waits no longer than this.
_ORDER_US = {"max_interleave_delta": "500000"}
_FLV = Container(
    "flv",
    _H264,
    {"flvflags": "no_duration_filesize"} | _ORDER_US,
    tick_seconds=Fraction(1, 1000),
    equal_times=True,
    rotation=False,
)
_TS = Container(
    "mpegts",
    on_devices(("h264", "hevc")),
    {"mpegts_flags": "resend_headers", "pat_period": "0.5", "flush_packets": "1"} | _ORDER_US,
    tick_seconds=Fraction(1, 90_000),
    rotation=False,
)
_RTSP = Container(
    "rtsp",
    on_devices(("h264", "hevc")),
    {"rtsp_transport": "tcp"} | _ORDER_US,
    rotation=False,
)
_HLS_SEGMENTS = 6
_PLAYLIST = "live.m3u8"


@dataclass(frozen=True, slots=True)
class NetworkTarget:
    """How an output is reached.

    Attributes:
        name: the output as it may be shown, without credentials.
        address: address that FFmpeg opens.
        kind: name of this kind of output in messages.
        container: container that is sent there.
        relayed: connecting may take long, so a process of its own does it.
    """

    name: str
    address: str
    kind: str
    container: Container
    relayed: bool


def route_of(text: str, *, keyframe_seconds: float, overwrite: bool, written: bool = True) -> NetworkTarget:
    """Return how the output called ``text`` is written.

    Args:
        text: an address, ``hls:FOLDER``, or a playlist ``….m3u8``.
        keyframe_seconds: distance of the pictures that can be joined at, which HLS segments begin with.
        overwrite: whether an HLS playlist that is there may be replaced.
        written: whether the folder of a playlist is made; else it is only refused where it could not be.

    Raises:
        ConfigError: addresses of that kind are for reading only.
        SinkError: an HLS folder cannot be made, or is in use.
    """
    scheme, name = scheme_of(text), without_credentials(text)
    check_protocol(text, writing=True)
    if scheme in ("rtmp", "rtmps"):
        return NetworkTarget(name, text, "RTMP", _FLV, relayed=True)
    if scheme in ("rtsp", "rtsps"):
        return NetworkTarget(name, text, "RTSP", _RTSP, relayed=True)
    if scheme == "udp":
        # Seven packets of 188 bytes: what fits into one Ethernet frame, and what receivers expect.
        size = "" if "pkt_size=" in text else f"{'&' if '?' in text else '?'}pkt_size=1316"
        return NetworkTarget(name, text + size, "UDP", _TS, relayed=False)
    if scheme == "srt":
        return NetworkTarget(name, text, "SRT", _TS, relayed=True)
    if scheme is not None:
        usable = ", ".join(f"{each}://" for each in available(writing=True))
        raise ConfigError(
            f"{name}: {scheme}: addresses can be read, not written; outputs are {usable} addresses, or "
            "hls:FOLDER, which any web server can offer"
        )
    return _hls(text, keyframe_seconds, overwrite, written)


def is_route(text: str) -> bool:
    """Return whether ``text`` is an output of this module: an address, ``hls:…`` or a playlist."""
    return scheme_of(text) is not None or text.startswith("hls:") or text.lower().endswith(".m3u8")


def _hls(text: str, keyframe_seconds: float, overwrite: bool, written: bool) -> NetworkTarget:
    path = Path(text.removeprefix("hls:"))
    playlist = path if path.suffix.lower() == ".m3u8" else path / _PLAYLIST
    folder = playlist.parent
    if playlist.exists() and not overwrite:
        raise SinkError(
            f"{text}: {playlist} exists already; allow overwriting (--overwrite) or choose another folder"
        )
    try:
        if written:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            _check_folder(folder)
    except OSError as error:
        raise SinkError(f"{text}: the folder {folder} cannot be made: {error.strerror}") from error
    options = {
        "hls_time": f"{keyframe_seconds:g}",
        "hls_list_size": str(_HLS_SEGMENTS),
        "hls_delete_threshold": str(_HLS_SEGMENTS),
        "hls_flags": "delete_segments+independent_segments+temp_file+program_date_time",
        "hls_segment_filename": str(folder.absolute() / f"{playlist.stem}-%06d.ts"),
    }
    container = Container(
        "hls", ("h264", "hevc"), options | _ORDER_US, tick_seconds=Fraction(1, 90_000), rotation=False
    )
    return NetworkTarget(text, str(playlist.absolute()), "HLS", container, relayed=False)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that could not be made, without making it.

    Raises:
        OSError: something else is in its place, or nothing may be made in the folder above that is there.
    """
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(each))
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
