"""Serving: a page that lets visitors in, each with a camera and a run of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike

from streamfx.config.loading import configured
from streamfx.config.serve import ServeConfig
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


@contextmanager
def serve(
    *,
    effect: str | None = None,
    factor: float | str = "auto",
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    visitors: int | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    certificate: str | PathLike[str] | None = None,
    key: str | PathLike[str] | None = None,
    stun: Sequence[str] = (),
    report: str | PathLike[str] | None = None,
    settings: Sequence[str] = (),
) -> Iterator[str]:
    """Offer a page that changes visitors' cameras while in the context, whose value is its address.

    Args:
        effect: effect that visitors see first; any by default.
        factor: reduction of the picture that the network sees: 1, 1.5, 2, 3, 4, 6, 8 times, or auto: the
            smallest that keeps up with the source.
        backend: library that runs the network ('streamfx devices' lists them); auto: the fastest here.
        device: place of the frames and the network: auto (a GPU where one can be used), cpu, cuda, or
            cuda:1 for the second GPU.
        threads: number of processor threads to use; all by default.
        visitors: most visitors at a time; one for every two processors by default.
        host: address to listen at; 127.0.0.1: only this machine can come.
        port: port of the page; 0: any free one.
        certificate: TLS certificate (PEM); browsers give a camera only to https or localhost.
        key: private key of the certificate (PEM).
        stun: STUN server, stun:HOST:PORT, for where an address translator is between.
        report: folder for a report of each visitor.
        settings: everything else, each ``key=value`` as for ``--set`` (``visitors.bitrate_kbps=3000``).

    Raises:
        ConfigError: a setting is wrong, a library is missing, or there is no such effect.
        SinkError: the address cannot be listened at.
    """
    given = dict(locals())
    del given["settings"]
    with serving(configured(ServeConfig, given, settings)) as address:
        yield address
