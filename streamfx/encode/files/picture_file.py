"""One picture as a file in memory, with what the file it comes from held beside the pixels."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream

from streamfx.encode.files.picture_kinds import AVIF, JPEG, kind_of
from streamfx.encode.pixels import AV_RANGES, Packer
from streamfx.encode.plan import too_many_pixels
from streamfx.errors import ConfigError
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import Frame, Subsampling, VideoFormat
from streamfx.media.notes import ALPHA_LEFT_OUT, Converted, LeftOut
from streamfx.media.photo_metadata import with_tags
from streamfx.media.tracks import Photo

_TURN = Fraction(1, 25)  # unit of the times that encoders want, and pictures do not have


class PictureWriter:
    """Makes picture files of frames of one format.

    Args:
        path: path of a picture; its ending says the kind.
        video: format of the frames.
        quality: quality of the kind (see `picture_kinds`); None for the usual one.

    Attributes:
        notes: conversions and omissions.

    Raises:
        ConfigError: not a kind of picture that can be written, a quality it does not have, or more
            pixels than it holds.
    """

    def __init__(self, path: Path, video: VideoFormat, quality: int | None) -> None:
        self._kind = kind = kind_of(path)
        self.notes: list[str] = []
        self._video, self._quality = video, kind.quality(quality)
        if kind.most_pixels is not None and max(video.size) > kind.most_pixels:
            raise ConfigError(too_many_pixels(str(path), video.size, kind.most_pixels))
        if video.alpha and not kind.alpha:
            self.notes.append(LeftOut(f"{ALPHA_LEFT_OUT}: {kind.name} does not hold it"))
        if video.hdr is not None:
            self.notes.append(LeftOut("HDR metadata is left out: pictures do not carry it"))
        if video.depth > kind.depth:
            self.notes.append(Converted(f"{kind.name} holds {kind.depth} bits of the {video.depth}"))
        if kind.halves_chroma and video.subsampling is not Subsampling.YUV420:
            self.notes.append(Converted(f"{kind.name} holds colours at half the resolution"))
        self._encoder = None if kind is AVIF else self._open_encoder()
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
        if self._encoder is None:
            data = self._avif(self._yuv(picture, "yuv420p10le" if self._video.depth > 8 else "yuv420p"))
        else:
            wanted = self._encoder.pix_fmt or "rgb24"
            picture = self._packer.to_rgb(picture, wanted) if self._kind.rgb else self._yuv(picture, wanted)
            picture.pts, picture.time_base = self._count, _TURN
            self._count += 1
            data = b"".join(bytes(packet) for packet in self._encoder.encode(picture))
        if photo is None or not (photo.exif or photo.icc):
            return data
        if self._kind.tags:
            return with_tags(data, photo.exif, photo.icc)
        note = f"EXIF data and colour profiles are left out of {self._kind.name}"
        if note not in self.notes:
            self.notes.append(LeftOut(note))
        return data

    def _yuv(self, picture: VideoFrame, pix_fmt: str) -> VideoFrame:
        """Return a picture made by ``own_picture`` as JFIF has it, and AVIF is tagged: BT.601, full range."""
        colour = self._video.colour.assumed(self._video.size[0])
        picture.colorspace, picture.color_range = int(colour.matrix), AV_RANGES[colour.code_range]
        return picture.reformat(
            format=pix_fmt,
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
        )

    def _open_encoder(self) -> VideoCodecContext:
        video, kind = self._video, self._kind
        encoder = av.CodecContext.create(kind.encoder, "w")
        assert isinstance(encoder, VideoCodecContext)
        encoder.height, encoder.width = video.size
        encoder.time_base = _TURN
        encoder.thread_count = 1  # threads would keep pictures back
        if video.sample_aspect_ratio is not None:
            encoder.sample_aspect_ratio = video.sample_aspect_ratio
        encoder.options = dict(kind.options)
        if kind is JPEG:
            encoder.pix_fmt = planar_name(video.subsampling, 8).replace("yuv", "yuvj")
            encoder.color_range = int(ColorRange.JPEG)
            encoder.qmin = encoder.qmax = self._quality
        else:
            encoder.pix_fmt = kind.rgb[min(video.depth, kind.depth) > 8, video.alpha]
            if kind.qualities is not None:
                encoder.options |= {"quality": str(self._quality)}
        return encoder

    def _avif(self, picture: VideoFrame) -> bytes:
        """Return a picture as an AVIF file, which is a container of one."""
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints its settings to stderr otherwise
        file, colour = io.BytesIO(), self._video.colour
        with av.open(file, "w", format="avif") as container:
            options = {**self._kind.options, "crf": str(self._quality)}
            stream = container.add_stream(self._kind.encoder, options=options)
            assert isinstance(stream, VideoStream)
            context = stream.codec_context
            context.height, context.width = picture.height, picture.width
            context.pix_fmt = picture.format.name
            context.time_base = stream.time_base = _TURN
            context.colorspace, context.color_range = int(Colorspace.ITU601), int(ColorRange.JPEG)
            context.color_primaries, context.color_trc = colour.primaries, colour.transfer
            if self._video.sample_aspect_ratio is not None:
                context.sample_aspect_ratio = self._video.sample_aspect_ratio
            picture.pts, picture.time_base = 0, _TURN
            container.mux([*stream.encode(picture), *stream.encode(None)])
        return file.getvalue()
