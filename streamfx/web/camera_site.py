"""Welcome: the site that visitors with a camera come to."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from streamfx.config.serve import ServeConfig
from streamfx.errors import ConfigError
from streamfx.web.gallery import Gallery
from streamfx.web.listen_address import place_of
from streamfx.web.peer import allow_bitrate
from streamfx.web.site import Site
from streamfx.web.visitors import Visitors

_NAME = "serve"


@contextmanager
def open_site(
    config: ServeConfig, tell: Callable[[str], None], on_loss: Callable[[], None]
) -> Iterator[Site]:
    """Give the site, open for visitors; at the end they are sent away.

    Args:
        config: settings.
        tell: callback that is called with a line for each visitor who comes or leaves, in the site's thread.
        on_loss: callback that is called for each whose run ended with losses, in the same thread.

    Raises:
        ConfigError: there is no such effect, the certificate cannot be used, or the reports have no folder.
        SinkError: the address cannot be listened at.
    """
    host = f"[{config.host}]" if ":" in config.host else config.host
    place = place_of(f"{_NAME}:{host}:{config.port}", config.names, token=config.token)
    tls = _tls(config)
    if config.report is not None:
        _make_folder(Path(config.report))
    allow_bitrate(config.visitors.bitrate_kbps)
    visitors = Visitors(config, tell, on_loss)
    folder = files("streamfx.web")
    files_of_page = [folder / "camera", folder / "page"]
    routes = [*visitors.routes(), *Gallery().routes()]
    site = Site(_NAME, place, files_of_page, routes, visitors.close, tls)
    site.start()
    try:
        yield site
    finally:
        site.stop()


def _tls(config: ServeConfig) -> ssl.SSLContext | None:
    if config.certificate is None:
        if config.key is not None:
            raise ConfigError("key: is of no use without a certificate: add --certificate FILE")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.certificate, config.key)
    except FileNotFoundError as error:
        missing = next(name for name in (config.certificate, config.key) if name and not Path(name).exists())
        raise ConfigError(f"{missing}: there is no such file") from error
    except (ssl.SSLError, OSError) as error:
        given = " and ".join(filter(None, (config.certificate, config.key)))
        reason = getattr(error, "reason", None) or error
        raise ConfigError(
            f"{given}: cannot be used as certificate and key (PEM, the key without a password): {reason}"
        ) from error
    return context


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"report: {folder} cannot be a folder for reports: {error.strerror}") from error
