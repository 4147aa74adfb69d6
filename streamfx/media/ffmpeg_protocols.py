"""Protocols that the FFmpeg at hand really has: a build may lack some that FFmpeg knows."""

from __future__ import annotations

from functools import lru_cache

import av

from streamfx.errors import ConfigError
from streamfx.media.addresses import SCHEMES, scheme_of

READ_ONLY = ("http", "https", "tcp")
_ALWAYS = ("udp", "tcp", "http", "rtmp", "rtsp")  # need nothing but sockets, and every build has them


def protocols() -> dict[str, str | None]:
    """Return every protocol that addresses may have, with None where it is there, else the reason why not."""
    return {scheme: _problem(scheme) for scheme in SCHEMES}


def check_protocol(text: str, *, writing: bool = False) -> None:
    """Refuse an address whose protocol is not there.

    Args:
        text: an address; anything else passes.
        writing: whether it is an output.

    Raises:
        ConfigError: says which protocols are there.
    """
    scheme = scheme_of(text)
    if scheme is None or (problem := _problem(scheme)) is None:
        return
    there = ", ".join(f"{name}://" for name in available(writing=writing))
    raise ConfigError(f"{scheme}:// addresses cannot be used here: {problem}; there are {there}")


def available(*, writing: bool = False) -> list[str]:
    """Return the protocols that are there, of those that can be written where that is asked for."""
    return [
        scheme
        for scheme, problem in protocols().items()
        if problem is None and not (writing and scheme in READ_ONLY)
    ]


@lru_cache(maxsize=len(SCHEMES))
def _problem(scheme: str) -> str | None:
    if scheme in _ALWAYS:
        return None
    try:
        # FFmpeg looks for the protocol first. Nothing can be at port 0, so nobody is asked anything.
        av.open(f"{scheme}://127.0.0.1:0/", "r", timeout=0.5).close()
    except av.ProtocolNotFoundError:
        return f"the FFmpeg in PyAV {av.__version__} was built without it"
    except (av.FFmpegError, OSError, ValueError):
        return None
    return None
