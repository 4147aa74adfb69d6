"""Web pages of a live run. The libraries they need, aiohttp and OpenCV, come with the extra ``web``."""

from __future__ import annotations

from streamfx.errors import SinkError

_EXTRA = "pip install 'streamfx[web]'"
_NEEDED = {"aiohttp": "aiohttp", "cv2": "OpenCV"}


def is_page(output: str) -> bool:
    """Return whether an output is a page."""
    return output.startswith("web:")


def require_libraries(output: str) -> None:
    """Refuse an output that is a page where a library is missing.

    Raises:
        SinkError: says which, and how to install it.
    """
    for module, library in _NEEDED.items():
        try:
            __import__(module)
        except ImportError as error:
            raise SinkError(f"{output}: pages need {library}: {_EXTRA}") from error
