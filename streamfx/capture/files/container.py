"""Opens a file for demuxing, says in one line why it cannot, and picks the streams."""

from __future__ import annotations

import os
import sys
from io import BufferedReader
from pathlib import Path
from typing import IO

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from streamfx.capture.files.buffered_input import fetched, index_comes_late, stored
from streamfx.errors import SourceOpenError
from streamfx.media.addresses import scheme_of, without_credentials
from streamfx.media.notes import Converted, LeftOut
from streamfx.media.paths import is_special
from streamfx.media.tracks import OtherTrack, OtherTracks

# A connection that breaks in the middle is made anew from there, as far as the server gives parts of a file.
_WEB_OPTIONS = {"reconnect": "1", "reconnect_delay_max": "8", "rw_timeout": "20000000"}
_WEB_SECONDS = (20.0, 60.0)  # to open, and to wait for data
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_NOT_VIDEO = {"tty", "bin", "xbin", "adf", "idf"}  # demuxers that take any text or bytes for a picture


def open_container(text: str, hwaccel: HWAccel | None = None) -> tuple[InputContainer, IO[bytes] | None]:
    """Return the open container, and the file to close after it when it is none that has a name.

    Args:
        text: a path, ``-`` for standard input, or the address of a file on a web server.
        hwaccel: the device to decode on; None: the processor.

    Raises:
        SourceOpenError: missing, empty, a folder, no permission, or nothing that FFmpeg can demux.
    """
    if text == "-":
        file = _stdin_file()
        return _demuxer(file, text, hwaccel), file
    if scheme_of(text) is not None:
        return _from_server(text, hwaccel)
    path = Path(text)
    if is_special(path):
        file = _readable(path.open("rb"), text)
        return _demuxer(file, text, hwaccel), file
    _refuse_unreadable(path)
    return _demuxer(f"file:{path.absolute()}", text, hwaccel), None


def _from_server(address: str, hwaccel: HWAccel | None) -> tuple[InputContainer, IO[bytes] | None]:
    name = without_credentials(address)
    try:
        container = _demuxer(address, name, hwaccel, _WEB_OPTIONS, _WEB_SECONDS)
    except SourceOpenError:
        if (file := fetched(address)) is None:
            raise
        return _demuxer(file, name, hwaccel), file
    if "mp4" in container.format.name and (file := fetched(address)) is not None:
        container.close()
        return _demuxer(file, name, hwaccel), file
    return container, None


def _demuxer(
    file: str | IO[bytes],
    text: str,
    hwaccel: HWAccel | None,
    options: dict[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> InputContainer:
    try:
        container = av.open(
            file, "r", metadata_errors="surrogateescape", options=options, timeout=timeout, hwaccel=hwaccel
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        if not isinstance(file, str):
            file.close()
        reason = getattr(error, "strerror", None) or str(error)
        cause = OSError(getattr(error, "errno", None) or 0, reason)  # FFmpeg's own repeats a password
        raise SourceOpenError(f"{text}: not a video that can be read: {reason}") from cause
    if container.format.name in _NOT_VIDEO:
        container.close()
        raise SourceOpenError(f"{text}: not a video (it looks like text or plain data)")
    return container


def _stdin_file() -> IO[bytes]:
    if sys.stdin is None or sys.stdin.isatty():
        raise SourceOpenError("-: standard input is a terminal; pipe a video into it")
    return _readable(os.fdopen(os.dup(sys.stdin.fileno()), "rb"), "-")


def _readable(file: BufferedReader, name: str) -> IO[bytes]:
    """Return a file that FFmpeg can read, be it a pipe: the very same, or what it holds."""
    if file.seekable() or not index_comes_late(file.peek(1)):
        return file
    with file:
        return stored(file, name)


def best_video(container: InputContainer, name: str, notes: list[str]) -> VideoStream:
    """Return the video stream to work on: FFmpeg's choice among those that are no cover picture.

    Args:
        container: the open file.
        name: name of the source, for messages.
        notes: notes, to say which other video streams are left out.

    Raises:
        SourceOpenError: there is none that can be decoded.
    """
    moving = [s for s in container.streams.video if not _is_cover(s)]
    usable = [s for s in moving if _has_decoder(s)]
    if not usable:
        found = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        what = "its coding cannot be decoded here" if moving else f"it holds {found}"
        raise SourceOpenError(f"{name}: no video to read in it ({what})")
    best = container.streams.best("video")
    video = next((s for s in usable if best is not None and s.index == best.index), usable[0])
    others = [stream.index for stream in moving if stream.index != video.index]
    notes.extend(
        LeftOut(f"video stream {other} is left out; stream {video.index} is used") for other in others
    )
    return video


def alpha_decoder(video: VideoStream) -> VideoCodecContext | None:
    """Return a decoder that gives the alpha of a VP8 or VP9 video, which FFmpeg's own passes over.

    None for any other video.
    """
    name = _ALPHA_DECODERS.get(video.codec_context.name)
    if name is None or not has_coded_alpha(video):
        return None
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


def has_coded_alpha(video: VideoStream) -> bool:
    """Return whether a file says that its video has alpha beside the pictures, as WebM and Matroska may."""
    return any(key.lower() == "alpha_mode" and value == "1" for key, value in video.metadata.items())


def gather_other_tracks(container: InputContainer, video: VideoStream, notes: list[str]) -> OtherTracks:
    """Return everything in the file but the moving pictures, to be copied; what is odd about it goes into
    ``notes``."""
    streams = [
        OtherTrack(stream.index, stream.type, _codec_name(stream), stream)
        for stream in container.streams
        if stream.index != video.index
        and (stream.type != "video" or _is_cover(stream))
        and not _holds_chapters(stream)
    ]
    other_tracks = OtherTracks(
        streams=tuple(streams),
        metadata=dict(container.metadata),
        video_metadata=dict(video.metadata),
        video_disposition=int(video.disposition),
        chapters=container.chapters(),
    )
    if odd := _not_unicode(other_tracks):
        notes.append(Converted(f"tags that are not in UTF-8 keep the bytes they have: {', '.join(odd)}"))
    return other_tracks


def _not_unicode(other_tracks: OtherTracks) -> list[str]:
    """Return the names of tags that are not UTF-8: PyAV then makes lone surrogates of single bytes."""
    places = [
        other_tracks.metadata,
        other_tracks.video_metadata,
        *(stream.template.metadata for stream in other_tracks.streams),
        *(chapter["metadata"] for chapter in other_tracks.chapters),
    ]
    odd = [key for tags in places for key, text in tags.items() if _is_odd(key) or _is_odd(text)]
    return [ascii(key)[1:-1] for key in dict.fromkeys(odd)]


def _is_odd(text: str) -> bool:
    return any(0xDC80 <= ord(character) <= 0xDCFF for character in text)


def _refuse_unreadable(path: Path) -> None:
    """Say what is wrong with the file, before FFmpeg says it less clearly."""
    try:
        if path.is_dir():
            raise SourceOpenError(f"{path}: is a folder without pictures; give a video file or pictures")
        with path.open("rb") as file:
            if path.is_file() and not file.read(1):
                raise SourceOpenError(f"{path}: is empty (0 bytes)")
    except FileNotFoundError as error:
        raise SourceOpenError(f"{path}: no such file{_looked_in(path)}") from error
    except PermissionError as error:
        raise SourceOpenError(f"{path}: no permission to read it") from error
    except SourceOpenError:
        raise
    except OSError as error:
        raise SourceOpenError(f"{path}: cannot be read: {error.strerror}") from error


def _looked_in(path: Path) -> str:
    folder = path.absolute().parent
    return f" in {folder}" if folder.is_dir() else f" (there is no folder {folder} either)"


def _holds_chapters(stream: Stream) -> bool:
    """Return whether a stream of an MP4 is the text of its chapters, which FFmpeg has read already."""
    return stream.type == "data" and stream.discard is Discard.all


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _has_decoder(stream: Stream) -> bool:
    context: object = stream.codec_context  # None where FFmpeg has no decoder, whatever the stub says
    return context is not None


def _codec_name(stream: Stream) -> str:
    # PyAV's stub says that each has a name; one of an unknown kind has none.
    name = stream.codec_context.name if _has_decoder(stream) else getattr(stream, "name", None)
    return name or "unknown"
