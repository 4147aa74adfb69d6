"""Serving: a page that lets visitors in, each with a camera and a run of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Unpack

from streamfx.config.arguments import takes_settings
from streamfx.config.loading import configured
from streamfx.config.serve import ServeArguments, ServeConfig
from streamfx.errors import ConfigError

log = logging.getLogger(__name__)


@contextmanager
def serving(
    config: ServeConfig, tell: Callable[[str], None] = log.info, on_loss: Callable[[], None] = lambda: None
) -> Iterator[str]:
    """Let visitors in while in the context, whose value is the address to open in a browser.

    Args:
        config: settings.
        tell: callback that is called with a line for each visitor who comes or leaves, in a thread of the
            site.
        on_loss: callback that is called for each whose run ended with losses, in the same thread.

    Raises:
        ConfigError: a library is missing, there is no such effect, or a file of the settings is no good.
        SinkError: the address cannot be listened at.
    """
    try:
        from streamfx.web.camera_site import open_site
    except ImportError as error:
        raise ConfigError(f"serve needs aiohttp and aiortc: pip install 'streamfx[web]' ({error})") from error
    with open_site(config, tell, on_loss) as site:
        yield site.address


@takes_settings(ServeConfig, ServeArguments)
@contextmanager
def serve(
    *,
    settings: Sequence[str] = (),
    **options: Unpack[ServeArguments],
) -> Iterator[str]:
    """Offer a page that changes visitors' cameras while in the context, whose value is its address.

    Args:
        **options: settings by name, those of `ServeConfig`; ``help(streamfx.serve)`` tells each.
        settings: everything else, each ``key=value`` as for ``--set`` (``visitors.bitrate_kbps=3000``).

    Raises:
        ConfigError: a setting is wrong, a library is missing, or there is no such effect.
        SinkError: the address cannot be listened at.
    """
    with serving(configured(ServeConfig, options, settings)) as address:
        yield address
