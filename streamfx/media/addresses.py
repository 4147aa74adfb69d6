"""Addresses of network sources and sinks: what is one, what was meant to be one, and how it may be shown."""

from __future__ import annotations

import difflib
import os
import re

from streamfx.errors import ConfigError

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "srt", "tcp")
_HIDDEN = "***"
_ADDRESS = re.compile(r"\b(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>[^\s'\"<>]+)", re.IGNORECASE)
# Somebody with a password, whatever stands before: up to the last @ that a word holds.
_LOGIN = re.compile(r"[^\s'\"<>/@:]+(?!://):(?:(?!://)[^\s'\"<>])*@(?=[^\s'\"<>])")
# An address with a slash or a colon too few: rtmp:/host/app/key, rtmp//host/app/key.
_NEARLY = re.compile(
    r"\b(?P<scheme>[a-z]{3,6})(?P<mark>:/?|//)(?P<rest>[^\s/'\"<>][^\s'\"<>]*)", re.IGNORECASE
)
_SECRET = r"[\w.-]*(?:pass(?:word|phrase|wd)|secret|token|api_?key|stream_?key|credentials?)"
_SETTING = re.compile(rf"\b(?P<key>{_SECRET})=(?P<value>[^\s&'\"<>]+)", re.IGNORECASE)
_HEADERS = re.compile(r"\b(?P<key>[\w.-]*(?:headers?|cookies?|authorization))=[^\n]+", re.IGNORECASE)
_PUNCTUATION = ".,;:!)"  # of the sentence around an address, and no part of it
_LIKE = 0.75


def scheme_of(text: str) -> str | None:
    """Return the scheme of a network address in lower case, None for anything else.

    Example:
        >>> scheme_of("RTSP://camera.local/1"), scheme_of("clip.mp4"), scheme_of("test:bars")
        ('rtsp', None, None)
    """
    found = re.match(r"([a-z][a-z0-9+.-]*)://", text, re.IGNORECASE)
    return found[1].lower() if found and found[1].lower() in SCHEMES else None


def check_address(text: str) -> None:
    """Refuse what was meant to be a network address and is none; it would be taken for a file name.

    Raises:
        ConfigError: says what an address looks like, and shows nothing of what may be a secret.

    Example:
        >>> check_address("rtsp://camera.local/1"); check_address("clip.mp4"); check_address("hls:/var/www")
        >>> check_address("rtspx://user:password@camera.local/1")
        Traceback (most recent call last):
        ...
        streamfx.errors.ConfigError: there are no rtspx:// addresses; write rtsp:// instead
    """
    if scheme_of(text) is not None or os.path.exists(text):
        return
    found = re.match(r"([a-z][a-z0-9+.-]*)(://?|//|:)", text, re.IGNORECASE)
    name = found[1].lower() if found else ""
    near = difflib.get_close_matches(name, SCHEMES, n=1, cutoff=_LIKE)
    if found and found[2] == "://" and name != "file":
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        hint = f"write {near[0]}:// instead" if near else f"there are {known}"
        raise ConfigError(f"there are no {name}:// addresses; {hint}")
    if found and near:
        raise ConfigError(f"{name}{found[2]} begins no address; write {near[0]}:// instead")
    if _LOGIN.match(text):
        raise ConfigError(
            f"{without_credentials(text)}: an address needs its protocol in front, rtsp:// for instance"
        )


def without_credentials(text: str) -> str:
    """Return ``text`` with every secret in every address in it hidden, and those of settings.

    Hidden are user and password, the values behind the question mark, the last part of an RTMP path, which is
    the stream key on every platform that takes RTMP, and all but the host where the protocol is not known.

    Example:
        >>> without_credentials("rtsp://me:secret@cam.local:554/1?token=abc: connection refused")
        'rtsp://***@cam.local:554/1?token=***: connection refused'
        >>> without_credentials("rtmp://live.example/app/my-stream-key")
        'rtmp://live.example/app/***'
        >>> without_credentials("rtmo://live.example/app/my-stream-key, rtmp:/live.example/app/my-stream-key")
        'rtmo://live.example/***, rtmp:/***'
        >>> without_credentials("--set source.option.passphrase=secret: unknown key")
        '--set source.option.passphrase=***: unknown key'
    """
    text = _ADDRESS.sub(_shown, text)
    text = _NEARLY.sub(_shown_nearly, text)
    text = _LOGIN.sub(f"{_HIDDEN}@", text)
    text = _HEADERS.sub(rf"\g<key>={_HIDDEN}", text)
    return _SETTING.sub(lambda found: f"{found['key']}={_HIDDEN}{_tail(found['value'])}", text)


def is_secret(key: str) -> bool:
    """Return whether the value of a setting of that name must not be shown.

    Example:
        >>> is_secret("passphrase"), is_secret("headers"), is_secret("quality")
        (True, True, False)
    """
    return any(pattern.match(f"{key}=x") is not None for pattern in (_SETTING, _HEADERS))


def _shown(found: re.Match[str]) -> str:
    scheme, rest = found["scheme"], found["rest"]
    tail = _tail(rest)
    rest = rest[: len(rest) - len(tail)]
    # A password may hold a slash or a question mark: everything up to the last @ is hidden.
    if "@" in rest:
        rest = f"{_HIDDEN}@{rest.rpartition('@')[2]}"
    place, mark, query = rest.partition("?")
    if scheme.lower() not in SCHEMES:
        host, slash, _ = place.partition("/")
        return f"{scheme}://{host}{slash and f'/{_HIDDEN}'}{mark and f'?{_HIDDEN}'}{tail}"
    if scheme.lower().startswith("rtmp") and place.count("/") >= 2:
        place = f"{place.rpartition('/')[0]}/{_HIDDEN}"
    if mark:
        query = "&".join(f"{part.partition('=')[0]}={_HIDDEN}" if "=" in part else _HIDDEN
                         for part in query.split("&"))  # fmt: skip
    return f"{scheme}://{place}{mark}{query}{tail}"


def _shown_nearly(found: re.Match[str]) -> str:
    name = found["scheme"].lower()
    like = difflib.get_close_matches(name, SCHEMES, n=1, cutoff=_LIKE)
    return f"{found['scheme']}{found['mark']}{_HIDDEN}{_tail(found['rest'])}" if like else found[0]


def _tail(text: str) -> str:
    """Return the punctuation at the end."""
    return text[len(text.rstrip(_PUNCTUATION)) :]
