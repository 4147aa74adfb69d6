"""Web pages of a live run. The libraries they need, aiohttp and OpenCV, come with the extra ``web``."""

from __future__ import annotations

from streamfx.errors import SinkError
from streamfx.web.place import place_of

_EXTRA = "pip install 'streamfx[web]'"
_NEEDED = {"aiohttp": "aiohttp", "cv2": "OpenCV"}


def is_page(output: str) -> bool:
    """Return whether an output is a page."""
    return output.startswith("web:")


def check_page(output: str) -> None:
    """Refuse an output that is a page and cannot be one, before anything is opened.

    Raises:
        ConfigError: its address cannot be read.
        SinkError: a library is missing; says which, and how to install it.
    """
    place_of(output)
    for module, library in _NEEDED.items():
        try:
            __import__(module)
        except ImportError as error:
            raise SinkError(f"{output}: pages need {library}: {_EXTRA}") from error
