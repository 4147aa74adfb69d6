"""Gallery: the effects that a page offers, each with a picture, plain words, and a place in a group."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from threading import Lock

from aiohttp import web

from streamfx.engine.folder import read_card
from streamfx.engine.folder_files import read_file
from streamfx.engine.library import FoundEngine, list_effects, shipped_folders
from streamfx.engine.spec import ControlRange, EngineSpec, OutputKind
from streamfx.errors import EngineCorruptError
from streamfx.generate.people.effects import PEOPLE_EFFECTS
from streamfx.generate.request import CONTROLS
from streamfx.generate.where import Where
from streamfx.web.thumbnails import thumbnail

log = logging.getLogger(__name__)

LOOK, PEOPLE, REPAIR, ENLARGE = "look", "people", "repair", "enlarge"
_SHEET = "sheet.jpg"
_MOST_EFFECTS = 200  # that are shown with a picture
_MOST_LETTERS = 140
WORDS = {
    "toon": "Cartoon: clean black lines over calm colours",
    "pencil": "Pencil drawing: lines, and shading by tone",
    "watercolour": "Watercolour: bright paper, layered washes with darker rims",
    "ink": "Drawing in black ink, with a grey wash on paper",
    "caricature": "Larger eyes and a narrower chin; only faces change",
    "wave": "Woodblock print, after Hokusai's Under the Wave off Kanagawa",
    "starry": "Blue night in short strokes, after van Gogh's The Starry Night",
    "scream": "Burning sky, after Munch's The Scream",
    "cafe": "Lamplight and violet, after van Gogh's Café Terrace at Night",
    "snow": "Woodcut in blue and ochre, after Hiroshige's Inokashira in Snow; for scenes, not for faces",
    "restore": "Takes out noise, single bad pixels and the traces of heavy compression",
    "upscale": "Twice as large, with finer detail; here it ends up in the size of the picture again",
}
"""What each shipped engine does, for somebody who has never seen it; pages show them in this order."""

_PEOPLE_WORDS = {
    "blur": "The background out of focus, the person sharp",
    "backdrop": "A picture or a colour in place of the background",
    "mask": "The mask itself: white where the person is",
}
"""What the effects do that need only the mask of people; without `cutout`, which a page cannot show."""

_TITLES = {"cafe": "Café"}


@dataclass(frozen=True, slots=True)
class ShownEffect:
    """An effect as a page offers it.

    Attributes:
        name: name of the engine.
        group: kind of effect: look, people, repair or enlarge.
        words: description of what it does, in plain words; empty where its engine does not say.
        picture: a small square JPEG; None: there is none.
        controls: numbers that can be set while it runs: name, low, high and default of each.
        where: part of the picture that it acts on unless told otherwise; None: it always acts on all of it.
    """

    name: str
    group: str
    words: str
    picture: bytes | None
    controls: tuple[dict[str, str | float], ...] = ()
    where: Where | None = Where.ALL


class Gallery:
    """Answers what a page asks about the effects: ``/effects`` and ``/thumbnails/NAME``.

    Everything is made once, when it is first asked for, in a thread beside the event loop.
    """

    def __init__(self) -> None:
        self._making = Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return what the page asks for."""
        return [web.get("/effects", self._list), web.get("/thumbnails/{name}", self._picture)]

    @cached_property
    def _shown(self) -> dict[str, ShownEffect]:
        return {shown.name: shown for shown in (*shown_effects(list_effects()), *people_effects())}

    def _made(self) -> dict[str, ShownEffect]:
        with self._making:
            return self._shown

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "name": shown.name,
                    "title": _TITLES.get(shown.name, shown.name.capitalize().replace("_", " ")),
                    "group": shown.group,
                    "words": shown.words,
                    "picture": f"thumbnails/{shown.name}" if shown.picture else None,
                    "controls": shown.controls,
                    "where": shown.where,
                }
                for shown in (await asyncio.to_thread(self._made)).values()
            ]
        )

    async def _picture(self, request: web.Request) -> web.Response:
        shown = (await asyncio.to_thread(self._made)).get(request.match_info["name"])
        if shown is None or shown.picture is None:
            raise web.HTTPNotFound(text="There is no picture of such an effect.\n")
        return web.Response(body=shown.picture, content_type="image/jpeg")


def shown_effects(found: Sequence[FoundEngine]) -> list[ShownEffect]:
    """Return how effects are shown, one's own first; those that cannot be read are left out."""
    places = {name: place for place, name in enumerate(WORDS)}
    in_order = sorted(found, key=lambda each: places.get(each.name, -1))
    return [
        ShownEffect(
            each.name,
            group_of(each.spec),
            _words(each),
            _picture(each, group_of(each.spec)) if number < _MOST_EFFECTS else None,
            _controls(each.spec.controls),
            None if each.spec.enlarges else Where.ALL,
        )
        for number, each in enumerate(in_order)
        if each.spec is not None
    ]


def group_of(spec: EngineSpec) -> str:
    """Return the group of an effect: what enlarges, what repairs photographs, or what does neither."""
    if spec.enlarges:
        return ENLARGE
    return REPAIR if spec.target_domain == "photo" or spec.kind is OutputKind.ADDED else LOOK


def people_effects() -> list[ShownEffect]:
    """Return how the effects are shown that need only the mask of people."""
    return [
        ShownEffect(name, PEOPLE, words, _people_picture(name), _controls(kind.ranges), kind.where)
        for name, words in _PEOPLE_WORDS.items()
        for kind in (PEOPLE_EFFECTS[name],)
    ]


def _people_picture(name: str) -> bytes:
    """Return the small picture of one of these effects, which comes with the page."""
    return (resources.files("streamfx.web") / "people" / f"{name}.jpg").read_bytes()


def _controls(ranges: Mapping[str, ControlRange]) -> tuple[dict[str, str | float], ...]:
    return tuple(
        {"name": name, "low": found.low, "high": found.high, "default": found.default}
        for name, found in ranges.items()
        if name in CONTROLS
    )


def _words(found: FoundEngine) -> str:
    """Return what an effect does: our words for what is shipped, else the first sentence of its card."""
    if found.name in WORDS and found.folder.parent in shipped_folders():
        return WORDS[found.name]
    try:
        card = read_card(found.folder)
    except EngineCorruptError:
        return ""
    paragraphs = (" ".join(part.split()) for part in card.split("\n\n"))
    first = next((part for part in paragraphs if part and not part.startswith("#")), "")
    sentence = first.partition(". ")[0].rstrip(".")
    return sentence if len(sentence) <= _MOST_LETTERS else sentence[: _MOST_LETTERS - 1].rstrip() + "…"


def _picture(found: FoundEngine, group: str) -> bytes | None:
    try:
        return thumbnail(read_file(found.folder / _SHEET), halved=group != LOOK)
    except OSError as error:
        log.debug("effect %s has no picture: %s", found.name, error)
        return None
