"""One picture as a file in memory: PNG or JPEG, with what the file it comes from held beside the pixels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from streamfx.encode.pixels import AV_RANGES, Packer
from streamfx.errors import ConfigError
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.notes import ALPHA_LEFT_OUT, Converted, LeftOut
from streamfx.media.photo_metadata import with_tags
from streamfx.media.tracks import Photo

_PNG_FORMATS = {  # by whether there are more than 8 bits, and alpha
    (False, False): "rgb24",
    (False, True): "rgba",
    (True, False): "rgb48be",
    (True, True): "rgba64be",
}
ENDINGS = (".png", ".jpg", ".jpeg")


class PictureWriter:
    """Makes picture files of frames of one format.

    Args:
        path: path of a picture; its ending says the kind.
        video: format of the frames.
        quality: quality of JPEG, 2 (best) to 31; None for 3.

    Attributes:
        notes: conversions and omissions.

    Raises:
        ConfigError: not a kind of picture that can be written, or a quality it does not have.
    """

    def __init__(self, path: Path, video: VideoFormat, quality: int | None) -> None:
        if path.suffix.lower() not in ENDINGS:
            raise ConfigError(f"{path}: pictures can be written as {' '.join(ENDINGS)}")
        self.notes: list[str] = []
        self._video, self._jpeg = video, path.suffix.lower() != ".png"
        if self._jpeg and video.alpha:
            self.notes.append(LeftOut(f"{ALPHA_LEFT_OUT}: JPEG does not hold it"))
        if video.hdr is not None:
            self.notes.append(LeftOut("HDR metadata is left out: pictures do not carry it"))
        self._encoder = self._open_encoder(quality)
        own = planar_name(video.subsampling, video.depth, alpha=video.alpha)
        self._packer = Packer(video, own, video.colour.code_range)
        self._count = 0

    def written(self, frame: Frame, photo: Photo | None = None) -> bytes:
        """Return a frame as a file.

        Raises:
            FFmpegError: it cannot be encoded.
            SinkError: it is not of the format.
        """
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
        picture.pts, picture.time_base = self._count, Fraction(1, 25)
        self._count += 1
        data = b"".join(bytes(packet) for packet in self._encoder.encode(picture))
        return data if photo is None else with_tags(data, photo.exif, photo.icc)

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
                self.notes.append(Converted(f"JPEG holds 8 bits of the {video.depth}"))
            encoder.pix_fmt = planar_name(video.subsampling, 8).replace("yuv", "yuvj")
            encoder.color_range = int(ColorRange.JPEG)
            encoder.qmin = encoder.qmax = quality or 3
        else:
            if quality is not None:
                raise ConfigError(f"PNG has no quality setting; leave quality={quality} out")
            encoder.pix_fmt = _PNG_FORMATS[video.depth > 8, video.alpha]
        return encoder
