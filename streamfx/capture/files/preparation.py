"""What is done to decoded pictures before anything else: made whole of their fields, turned upright."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av.error
from av import VideoFrame
from av.filter import Graph

from streamfx.capture.files.orientation import Filters, turn_of_degrees, turn_of_matrix
from streamfx.capture.side_data import display_matrix
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
    """

    deinterlace: str = "auto"
    upright: bool = False
    alpha: bool = False
    alone: bool = False
    part: Part | None = None


class Prepared:
    """Passes pictures through FFmpeg's filters, where there is something to do; else as they are.

    Deinterlacing keeps the rate: one picture is made of two fields. It looks at the picture after, so each
    comes out one later.

    Args:
        asked: what is asked for.

    Attributes:
        deinterlaced: whether pictures were made whole of fields so far.
        turned: whether they are turned upright.
        not_turned: why they are not although that was asked for; None where they are, or need not be.
    """

    def __init__(self, asked: Preparation) -> None:
        self.deinterlaced = self.turned = False
        self.not_turned: str | None = None
        self._asked, self._turn = asked, Filters()
        self._graph: Graph | None = None
        self._form: tuple[object, ...] = ()
        self._time_base = Fraction(1)
        self._looked_at = not asked.upright

    @property
    def exchanges_sides(self) -> bool:
        """Whether the height of pictures becomes their width."""
        return any(name == "transpose" for name, _ in self._turn)

    def push(self, picture: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the pictures that come out when one goes in."""
        if not self._looked_at:
            self._looked_at = True
            self._look_at(picture)
        if self._asked.deinterlace not in ("auto", "off") or (
            self._asked.deinterlace == "auto" and picture.interlaced_frame
        ):
            self.deinterlaced = True
        filters = (*self._deinterlacer(), *self._turn)
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
        matrix = display_matrix(first)
        turn = turn_of_degrees(first.rotation) if matrix is None else turn_of_matrix(matrix)
        if turn is None:
            self.not_turned = f"it is turned by {first.rotation}\N{DEGREE SIGN}, which is no quarter turn"
        self._turn = turn or ()
        self.turned = bool(turn)

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
    last = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base or _ANY
    )
    for name, arguments in filters:
        step = graph.add(name, arguments)
        last.link_to(step)
        last = step
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
