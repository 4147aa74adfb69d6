"""What is done to decoded pictures before anything else: made whole of fields, turned, cut, scaled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av.error
from av import VideoFrame
from av.filter import Graph

from streamfx.capture.files.geometry import scaled_to, shaped
from streamfx.capture.files.orientation import Filters, turn_of_degrees, turn_of_matrix
from streamfx.capture.planar import layout_of, samples_of
from streamfx.capture.side_data import display_matrix
from streamfx.errors import SourceOpenError
from streamfx.media.geometry import Geometry
from streamfx.media.part import Part

_DEINTERLACER = "bwdif"
_ANY = Fraction(1, 25)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is asked for.

    Attributes:
        deinterlace: "auto": pictures that are flagged as interlaced; "off": none; "bwdif" or "yadif": all, by
            FFmpeg's filter of that name.
        upright: turn the pixels as a player would turn the picture.
        alpha: keep alpha; else it is left out.
        alone: pictures of a folder are so many pictures, each of its own size, and no film.
        part: the part of the film that is wanted; None: all of it.
        geometry: geometry of the picture as a player would show it; it is turned upright then. None:
            unchanged.
        rate_fps: steady rate to which pictures are dropped or repeated; None: they stay as they come.
    """

    deinterlace: str = "auto"
    upright: bool = False
    alpha: bool = False
    alone: bool = False
    part: Part | None = None
    geometry: Geometry | None = None
    rate_fps: Fraction | None = None

    def needs_filters(self, first: VideoFrame) -> str | None:
        """Return what must be done to pictures that cannot be done where they are on a device."""
        if self.geometry is not None:
            return "it is to be cut, turned or scaled"
        if self.rate_fps is not None:
            return "its rate is to be changed"
        if self.upright and first.rotation:
            return "it is to be turned upright"
        if self.alpha and layout_of(samples_of(first).name).alpha:
            return "it has alpha"
        if self.deinterlace != "off" and (self.deinterlace != "auto" or first.interlaced_frame):
            return "it is to be deinterlaced"
        return None


class Prepared:
    """Passes pictures through FFmpeg's filters, where there is something to do; else as they are.

    Deinterlacing keeps the rate: one picture is made of two fields. It looks at the picture after, so each
    comes out one later. Where a geometry is asked for, pictures unlike the first are first scaled to its
    size.

    Args:
        asked: preparation that is asked for.
        name: name of the source, for messages.
        pixel_shape: width of a pixel for each of its height; None where the video does not say.

    Attributes:
        deinterlaced: whether pictures were made whole of fields so far.
        turned: whether they are turned upright.
        not_turned: reason why they are not although that was asked for; None where they are, or need not be.
        pixel_shape: width of a pixel for each of its height, of the pictures that come out.
        notes: changes of the picture other than those asked for, and the pictures concerned.
    """

    def __init__(self, asked: Preparation, name: str, pixel_shape: Fraction | None = None) -> None:
        self.deinterlaced = self.turned = False
        self.not_turned: str | None = None
        self.pixel_shape = pixel_shape
        self.notes: list[str] = []
        self._asked, self._name = asked, name
        self._filters: Filters = ()
        self._size: tuple[int, int] | None = None
        self._graph: Graph | None = None
        self._form: tuple[object, ...] = ()
        self._time_base = Fraction(1)

    def push(self, picture: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the pictures that come out when one goes in.

        Raises:
            SourceOpenError: the first one does not allow what is asked for.
        """
        if self._size is None:
            self._size = (picture.height, picture.width)
            self._look_at(picture)
        if self._asked.deinterlace not in ("auto", "off") or (
            self._asked.deinterlace == "auto" and picture.interlaced_frame
        ):
            self.deinterlaced = True
        filters = (*self._deinterlacer(), *self._scaled_to_first(picture), *self._filters)
        form = (picture.width, picture.height, picture.format.name, picture.time_base, filters)
        if form != self._form:
            yield from self.rest()
            self._form, self._graph = form, _graph(picture, filters) if filters else None
            self._time_base = picture.time_base or Fraction(1)
        if self._graph is None:
            yield picture
            return
        self._graph.vpush(picture)
        yield from self._ready(self._graph)

    def rest(self) -> Iterator[VideoFrame]:
        """Yield the pictures that are still to come out, at the end."""
        graph, self._graph, self._form = self._graph, None, ()
        if graph is not None:
            graph.vpush(None)
            yield from self._ready(graph)

    def _look_at(self, first: VideoFrame) -> None:
        asked, turn = self._asked, Filters()
        if asked.upright or asked.geometry is not None:
            matrix = display_matrix(first)
            found = turn_of_degrees(first.rotation) if matrix is None else turn_of_matrix(matrix)
            if found is None:
                self.not_turned = f"it is turned by {first.rotation}\N{DEGREE SIGN}, which is no quarter turn"
            turn = found or ()
            self.turned = bool(turn)
        if asked.geometry is not None and asked.deinterlace == "off" and first.interlaced_frame:
            raise SourceOpenError(
                f"{self._name}: pictures are interlaced, and cutting, turning or scaling them would mix "
                "their fields; leave --deinterlace off out"
            )
        try:
            made = shaped(first, turn, asked.geometry, self.pixel_shape)
        except ValueError as error:
            raise SourceOpenError(f"{self._name}: {error}; give another --crop") from error
        self._filters, self.pixel_shape = made.filters, made.pixel_shape
        self.notes.extend(made.notes)

    def _scaled_to_first(self, picture: VideoFrame) -> Filters:
        if self._asked.geometry is None or self._size in (None, (picture.height, picture.width)):
            return ()
        assert self._size is not None
        height, width = self._size
        note = f"pictures of another size than the first's are scaled to {width}x{height} before all else"
        if note not in self.notes:
            self.notes.append(note)
        return scaled_to(self._size)

    def _deinterlacer(self) -> Filters:
        if not self.deinterlaced:
            return ()
        if self._asked.deinterlace == "auto":
            return ((_DEINTERLACER, "mode=send_frame:deint=interlaced"),)
        return ((self._asked.deinterlace, "mode=send_frame:deint=all"),)

    def _ready(self, graph: Graph) -> Iterator[VideoFrame]:
        with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
            while True:
                picture = graph.vpull()
                if picture.time_base is not None:  # filters count in a finer unit
                    ratio = picture.time_base / self._time_base
                    picture.pts = None if picture.pts is None else round(picture.pts * ratio)
                    picture.duration = round(picture.duration * ratio)
                    picture.time_base = self._time_base
                yield picture


def filtered(picture: VideoFrame, filters: Filters) -> VideoFrame:
    """Return a single picture after filters of the kind that give one picture for one."""
    if not filters:
        return picture
    graph = _graph(picture, filters)
    graph.vpush(picture)
    return graph.vpull()


def _graph(picture: VideoFrame, filters: Filters) -> Graph:
    graph = Graph()
    last = graph.add(
        "buffer",
        video_size=f"{picture.width}x{picture.height}",
        pix_fmt=picture.format.name,
        time_base=str(picture.time_base or _ANY),
        pixel_aspect="1/1",
        # A filter that scales takes the colours from here, and not from the pictures.
        colorspace=str(int(picture.colorspace)),
        range=str(int(picture.color_range)),
    )
    for name, arguments in filters:
        step = graph.add(name, arguments)
        last.link_to(step)
        last = step
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
