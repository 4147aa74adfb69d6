"""Addresses of network sources and sinks: what is one, and how it may be shown."""

from __future__ import annotations

import re

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "srt", "tcp")
_HIDDEN = "***"
_ADDRESS = re.compile(r"\b(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>[^\s'\"<>]+)", re.IGNORECASE)


def scheme_of(text: str) -> str | None:
    """Return the scheme of a network address in lower case, None for anything else.

    Example:
        >>> scheme_of("RTSP://camera.local/1"), scheme_of("clip.mp4"), scheme_of("test:bars")
        ('rtsp', None, None)
    """
    found = re.match(r"([a-z][a-z0-9+.-]*)://", text, re.IGNORECASE)
    return found[1].lower() if found and found[1].lower() in SCHEMES else None


def without_credentials(text: str) -> str:
    """Return ``text`` with every secret in every address in it hidden.

    Hidden are user and password, the values behind the question mark, and the last part of an RTMP path,
    which is the stream key on every platform that takes RTMP.

    Example:
        >>> without_credentials("rtsp://me:secret@cam.local:554/1?token=abc: connection refused")
        'rtsp://***@cam.local:554/1?token=***: connection refused'
        >>> without_credentials("rtmp://live.example/app/my-stream-key")
        'rtmp://live.example/app/***'
    """
    return _ADDRESS.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    scheme, rest = found["scheme"], found["rest"]
    # Punctuation of the sentence around the address is no part of it.
    tail = rest[len(rest.rstrip(".,;:!)")) :]
    rest = rest[: len(rest) - len(tail)]
    # A password may hold a slash or a question mark: everything up to the last @ is hidden.
    if "@" in rest:
        rest = f"{_HIDDEN}@{rest.rpartition('@')[2]}"
    place, mark, query = rest.partition("?")
    if scheme.lower().startswith("rtmp") and place.count("/") >= 2:
        place = f"{place.rpartition('/')[0]}/{_HIDDEN}"
    if mark:
        query = "&".join(f"{part.partition('=')[0]}={_HIDDEN}" if "=" in part else _HIDDEN
                         for part in query.split("&"))  # fmt: skip
    return f"{scheme}://{place}{mark}{query}{tail}"
