"""Serving: a page that lets visitors in, each with a camera and a run of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamfx.config.serve import ServeConfig
from streamfx.errors import ConfigError

log = logging.getLogger(__name__)


@contextmanager
def serving(
    config: ServeConfig, tell: Callable[[str], None] = log.info, lose: Callable[[], None] = lambda: None
) -> Iterator[str]:
    """Let visitors in while in the context, whose value is the address to open in a browser.

    Args:
        config: settings.
        tell: called with a line for each visitor who comes or leaves, in a thread of the site.
        lose: called for each whose run ended with losses, in the same thread.

    Raises:
        ConfigError: a library is missing, there is no such effect, or a file of the settings is no good.
        SinkError: the address cannot be listened at.
    """
    try:
        from streamfx.web.camera_site import open_site
    except ImportError as error:
        raise ConfigError(f"serve needs aiohttp and aiortc: pip install 'streamfx[web]' ({error})") from error
    with open_site(config, tell, lose) as site:
        yield site.address
