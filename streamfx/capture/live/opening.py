"""Opening: the source of a live run, which is waited for, and has the pace of its pictures."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from streamfx.capture.live.pacing import PacedSource
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.opening import open_source
from streamfx.capture.source import Source
from streamfx.errors import ConfigError, SourceAwayError
from streamfx.media.addresses import scheme_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """How the source of a live run is opened.

    Attributes:
        settings: time limits, what is shown while it is away, when it is tried again.
        threads: decoder threads; None for one per processor.
        loop: a file is played again and again.
        wait: a source that is not there is waited for; False: it is refused.
        limit_seconds: no longer than that; None: until it is there.
    """

    settings: LiveSettings
    threads: int | None = None
    loop: bool = False
    wait: bool = True
    limit_seconds: float | None = None


def open_live(text: str, opening: Opening, own: Callable[[LiveSettings], Source] | None = None) -> Source:
    """Return a source that hands out its frames at their times.

    Args:
        text: source as the user wrote it.
        opening: limits and repetition.
        own: function that opens it where `open_source` does not; None: that does.

    Raises:
        ConfigError: there is no such kind of source, or it cannot be played again and again.
        SourceAwayError: it is not there, and not waited for any longer.
        SourceOpenError: it cannot be opened.
    """
    if opening.loop and (scheme_of(text) is not None or re.match(r"[a-z][a-z0-9+]+:", text) or text == "-"):
        raise ConfigError(f"{text}: only a file can be played again and again; leave out the setting loop")
    started, attempt = time.monotonic(), 0
    while True:
        try:
            return own(opening.settings) if own is not None else _opened(text, opening)
        except SourceAwayError as error:
            attempt += 1
            delay_seconds = opening.settings.reconnect.delay_seconds(attempt)
            waited_seconds = time.monotonic() - started
            limit_seconds = opening.limit_seconds
            if not opening.wait or (limit_seconds and waited_seconds + delay_seconds > limit_seconds):
                raise
            log.warning("%s; it is waited for (attempt %d)", error, attempt)
        time.sleep(delay_seconds)  # in the thread that Ctrl-C interrupts


def _opened(text: str, opening: Opening) -> Source:
    if opening.loop:
        from streamfx.capture.live.playback import open_loop

        return open_loop(text, opening.settings, opening.threads)
    source = open_source(text, threads=opening.threads, live=opening.settings)
    return source if source.live else PacedSource(source)
