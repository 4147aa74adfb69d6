"""Web pages of a live run. The libraries they need come with the extra ``web``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.source import Source
from streamfx.config.live import LiveConfig, WebConfig
from streamfx.encode.opening import open_sink
from streamfx.encode.sink import Sink
from streamfx.errors import SinkError, SourceOpenError
from streamfx.media.frame import VideoFormat
from streamfx.media.tracks import OtherTracks
from streamfx.run.controls import RunControls
from streamfx.web.listen_address import check_free, place_of

if TYPE_CHECKING:
    from streamfx.web.sink import PageSink

_EXTRA = "pip install 'streamfx[web]'"
_NEEDED = {"aiohttp": "aiohttp", "aiortc": "aiortc", "cv2": "OpenCV"}


def is_page(output: str) -> bool:
    """Return whether an output is a page."""
    return output.startswith("web:")


def check_page(output: str, settings: WebConfig) -> None:
    """Refuse an output that is a page and cannot be one, before anything is opened.

    Raises:
        ConfigError: its address cannot be read, or must not do without a token.
        SinkError: a library is missing, and how to install it is said; or the address cannot be listened at.
    """
    place = place_of(output, token=settings.token)
    for module, library in _NEEDED.items():
        try:
            __import__(module)
        except ImportError as error:
            raise SinkError(f"{output}: pages need {library}: {_EXTRA}") from error
    check_free(output, place)


def is_listening(source: str) -> bool:
    """Return whether a source is one that publishers come to."""
    return source.startswith("whip:")


def open_publishing(
    source: str, settings: WebConfig, announce: Callable[[str], None]
) -> AbstractContextManager[Callable[[LiveSettings], Source]]:
    """Return what lets publishers come to a source; see `publishing`.

    Raises:
        ConfigError: its address cannot be read, or must not do without a token.
        SourceOpenError: a library is missing, and how to install it is said.
        SinkError: the address cannot be listened at.
    """
    place_of(source, token=settings.token)
    try:
        from streamfx.web.whip import publishing
    except ImportError as error:
        raise SourceOpenError(f"{source}: WHIP needs aiohttp and aiortc: {_EXTRA}") from error
    return publishing(source, settings, announce)


def open_page(
    output: str,
    shown: str,
    video: VideoFormat,
    controls: RunControls,
    config: LiveConfig,
    other_tracks: OtherTracks | None = None,
) -> PageSink:
    """Return the page that shows a run, listening; see `PageSink`.

    Args:
        output: output as the user wrote it.
        shown: name of the source.
        video: format of the frames that come out.
        controls: place where the run is changed.
        config: config of the run; recordings are encoded like its other outputs.
        other_tracks: streams beside the pictures, with a queue of their own, for recordings; None: none.

    Raises:
        SinkError: the address cannot be listened at.
    """
    from streamfx.web.sink import PageSink  # checked before: its libraries are there

    def open_file(path: Path, tracks: OtherTracks | None) -> Sink:
        return open_sink(
            str(path),
            format=video,
            other_tracks=tracks,
            encoding=replace(config.encoding, overwrite=False),
        )

    title = Path(shown).name if Path(shown).is_file() else shown
    return PageSink(output, title, video, controls, config.web, open_file, other_tracks)
