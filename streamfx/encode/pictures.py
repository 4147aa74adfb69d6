"""Picture sequences as output: PNG without loss, JPEG small."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from streamfx.av_planes import planar_name
from streamfx.encode.pixels import AV_RANGES, Packer
from streamfx.errors import ConfigError, SinkError
from streamfx.frame import Frame, VideoFormat

_NUMBER = re.compile(r"%(0\d+)?d")
_ENDINGS = (".png", ".jpg", ".jpeg")
_FOLDER_PATTERN = "%05d.png"


def is_pictures(text: str) -> bool:
    """Return whether ``text`` names pictures: a number pattern, a folder, or a file ending of pictures."""
    path = Path(text)
    return (
        bool(_NUMBER.search(path.name))
        or path.suffix.lower() in _ENDINGS
        or text.endswith("/")
        or path.is_dir()
    )


class PictureSink:
    """Writes each frame as a picture, numbered from 1. Each appears under its name only when it is complete.

    Args:
        text: ``out/%05d.png`` or ``.jpg``, a folder (gets ``%05d.png``), or one file name for a single
            picture.
        video: format of the frames.
        quality: of JPEG, 2 (best) to 31; None for 3.
        overwrite: whether pictures of these names may be replaced.

    Raises:
        ConfigError: not a kind of picture that can be written, or a quality it does not have.
        SinkError: the folder is missing or cannot be written to, or pictures are there already.
    """

    def __init__(
        self, text: str, video: VideoFormat, *, quality: int | None = None, overwrite: bool = True
    ) -> None:
        path = Path(text)
        if text.endswith("/") or path.is_dir():
            path /= _FOLDER_PATTERN
        self.name, self.notes = text, list[str]()
        self.frames_written = self.packets_written = 0
        self._path, self._video = path, video
        self._jpeg = path.suffix.lower() != ".png"
        if path.suffix.lower() not in _ENDINGS:
            raise ConfigError(f"{path}: pictures can be written as {' '.join(_ENDINGS)}")
        self._encoder = self._open_encoder(quality)
        self._packer = Packer(video, planar_name(video.subsampling, video.depth), video.colour.code_range)
        self._one_only = _NUMBER.search(path.name) is None
        if self._one_only and (video.frame_count or 1) > 1:
            raise ConfigError(
                f"{path}: names one picture, and there are {video.frame_count} frames; "
                f"write {path.stem}%05d{path.suffix}"
            )
        _prepare_folder(path, overwrite)

    def write(self, frame: Frame) -> None:
        """Write one frame as the next picture.

        Raises:
            SinkError: it cannot be written, or a second picture comes for a single file name. Those written
                stay.
        """
        number = self.frames_written + 1
        if self._one_only and number > 1:
            raise SinkError(
                f"{self._path}: names one picture, and a second frame came; "
                f"write {self._path.stem}%05d{self._path.suffix}"
            )
        target = self._path.with_name(_NUMBER.sub(lambda m: f"%{m[1] or ''}d" % number, self._path.name))
        partial = target.with_name(f".{target.stem}.partial-{secrets.token_hex(4)}{target.suffix}")
        try:
            partial.write_bytes(self._encode(frame))
            os.replace(partial, target)
        except (av.FFmpegError, OSError) as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or str(error)
            raise SinkError(f"{target}: cannot be written: {reason}") from error
        self.frames_written = self.packets_written = number

    def finish(self) -> None:
        """Do nothing: every picture is complete already."""

    def abort(self) -> None:
        """Do nothing: what is there is complete, and stays."""

    def _open_encoder(self, quality: int | None) -> VideoCodecContext:
        video = self._video
        encoder = av.CodecContext.create("mjpeg" if self._jpeg else "png", "w")
        assert isinstance(encoder, VideoCodecContext)
        encoder.height, encoder.width = video.size
        encoder.time_base = Fraction(1, 25)
        encoder.thread_count = 1  # threads would keep pictures back
        if video.sample_aspect_ratio is not None:
            encoder.sample_aspect_ratio = video.sample_aspect_ratio
        if self._jpeg:
            if quality is not None and not 2 <= quality <= 31:
                raise ConfigError(f"quality of JPEG must be 2 (best) to 31 (smallest), found {quality}")
            if video.depth > 8:
                self.notes.append(f"JPEG holds 8 bits of the {video.depth}")
            encoder.pix_fmt = planar_name(video.subsampling, 8).replace("yuv", "yuvj")
            encoder.color_range = int(ColorRange.JPEG)
            encoder.qmin = encoder.qmax = quality or 3
        else:
            if quality is not None:
                raise ConfigError(f"PNG has no quality setting; leave quality={quality} out")
            encoder.pix_fmt = "rgb24" if video.depth == 8 else "rgb48be"
        return encoder

    def _encode(self, frame: Frame) -> bytes:
        picture = self._packer.own_picture(frame)
        if self._jpeg:  # JFIF: BT.601, full range
            colour = self._video.colour.assumed(self._video.size[0])
            picture.colorspace, picture.color_range = int(colour.matrix), AV_RANGES[colour.code_range]
            picture = picture.reformat(
                format=self._encoder.pix_fmt,
                dst_colorspace=Colorspace.ITU601,
                dst_color_range=ColorRange.JPEG,
                interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            )
        else:
            picture = self._packer.to_rgb(picture, self._encoder.pix_fmt or "rgb24")
        picture.pts, picture.time_base = self.frames_written, Fraction(1, 25)
        return b"".join(bytes(packet) for packet in self._encoder.encode(picture))


def _prepare_folder(path: Path, overwrite: bool) -> None:
    """Create the folder where its parent exists; refuse what cannot or must not be written."""
    folder = path.absolute().parent
    if not folder.is_dir():
        try:
            folder.mkdir()
        except OSError as error:
            raise SinkError(f"{path}: the folder {folder} cannot be created: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"{path}: no permission to write in {folder}")
    if not overwrite:
        first = path.with_name(_NUMBER.sub(lambda m: f"%{m[1] or ''}d" % 1, path.name))
        if first.exists():
            raise SinkError(
                f"{first}: exists already; allow overwriting (--overwrite) or choose another name"
            )
