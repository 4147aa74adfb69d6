"""Where a page is offered: the address, who may reach it, and by which names. Needs no library."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import socket
from dataclasses import dataclass, field
from enum import StrEnum

from streamfx.errors import ConfigError, SinkError

_LOOPBACK = "127.0.0.1"
_FORM = re.compile(r"(?P<kind>[a-z]+):(?:(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9.-]+):)?(?P<port>\d{1,5})")


class Access(StrEnum):
    """What a visitor may do."""

    CHANGE = "change"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to listen at, and who may ask there.

    Attributes:
        host: host to listen at, without brackets; ``0.0.0.0`` or ``::`` for every address of the machine.
        port: port to listen at; 0 for any that is free.
        names: further names the page may be asked for by, beside addresses and the machine's own name.
        token: secret that a visitor must know; None: nothing.
        look_token: secret with which a visitor may look on and change nothing; None: there is no such way.
    """

    host: str = _LOOPBACK
    port: int = 8080
    names: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    look_token: str | None = field(default=None, repr=False)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def address(self, port: int, access: Access = Access.CHANGE, *, secure: bool = False) -> str:
        """Return what to open in a browser, with the token where there is one.

        Args:
            port: port that is listened at.
            access: rights of whoever opens it.
            secure: whether by https.
        """
        token = self.token if access is Access.CHANGE else self.look_token
        host = self.host if self.host not in ("0.0.0.0", "::") else own_address()
        shown = f"[{host}]" if ":" in host else host
        return f"http{'s' * secure}://{shown}:{port}/" + (f"?token={token}" if token else "")

    def answers_to(self, host_header: str) -> bool:
        """Return whether a request for that host is meant for this page.

        A name that some web site gave this machine's address (DNS rebinding) is not; an address is, because
        no web site can come from it. The port does not matter: it may have been forwarded.
        """
        host = _host_of(host_header)
        if host in self.names or host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            own = socket.gethostname().lower()
            return not self.loopback and host in (own, own.partition(".")[0] + ".local")
        return address.is_loopback or not self.loopback

    def access(self, token: str | None) -> Access | None:
        """Return what a visitor with that token may do, None: not even come in; takes the same time whatever
        it is."""
        if self.token is None:
            return Access.CHANGE
        may_change = hmac.compare_digest((token or "").encode(), self.token.encode())
        may_look = hmac.compare_digest((token or "").encode(), (self.look_token or "").encode())
        if may_change:
            return Access.CHANGE
        return Access.LOOK if may_look and self.look_token else None


def place_of(text: str, names: tuple[str, ...] = (), *, token: bool = True) -> ListenAddress:
    """Return the place that ``web:[HOST:]PORT`` asks for, with new tokens.

    On loopback, too: every user and program of this machine, and whoever comes through a tunnel, can ask
    there.

    Args:
        text: text as the user wrote it; what stands before the colon may be another word.
        names: further names the page may be asked for by, beside addresses and the machine's own name.
        token: False: whoever reaches the page may come in; for loopback only.

    Raises:
        ConfigError: it cannot be read, or other machines could come in without a token.

    Example:
        >>> place_of("web:8080")
        ListenAddress(host='127.0.0.1', port=8080, names=())
        >>> place_of("web:8080").token is None, place_of("web:8080", token=False).token is None
        (False, True)
    """
    found = _FORM.fullmatch(text)
    if found is None or not 0 <= int(found["port"]) <= 65535:
        kind = text.partition(":")[0]
        raise ConfigError(
            f"{text}: is no place for a page; write {kind}:8080, or {kind}:0.0.0.0:8080 so that other "
            "machines can reach it"
        )
    host = (found["host"] or _LOOPBACK).strip("[]")
    host = _LOOPBACK if host == "localhost" else host
    if not token and not is_loopback(host):
        raise ConfigError(
            f"{text}: other machines can reach this page, so it needs its token; leave out token=false"
        )
    secret, look_secret = (secrets.token_urlsafe(24) if token else None for _ in range(2))
    named = tuple(name.lower() for name in names)
    return ListenAddress(host, int(found["port"]), named, secret, look_secret)


def check_free(name: str, place: ListenAddress) -> None:
    """Refuse a place that cannot be listened at, by listening there for a moment.

    Args:
        name: name of the page.
        place: place that it is to be offered at.

    Raises:
        SinkError: something listens there already, or it is no address of this machine.
    """
    try:
        for family, _, _, _, address in dict.fromkeys(
            socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            socket.create_server((str(address[0]), int(address[1])), family=family).close()
    except (OSError, ValueError) as error:
        raise not_listening(name, place, error) from error


def not_listening(name: str, place: ListenAddress, problem: Exception) -> SinkError:
    """Return the error that says why a page cannot be offered at a place."""
    number = getattr(problem, "errno", None) or 0
    reason = os.strerror(number) if number > 0 else str(problem)
    return SinkError(
        f"{name}: cannot listen at {place.host}, port {place.port}: {reason}; "
        "choose another port, or 0 for any that is free"
    )


def _host_of(header: str) -> str:
    """Return the host of a Host header without port and brackets, in lower case; empty where it is none."""
    found = re.fullmatch(r"\[([0-9a-f:.]+)\](:\d+)?|([a-z0-9._-]+)(:\d+)?", header.lower())
    return (found[1] or found[3]) if found else ""


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is an address that only this machine can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def own_address() -> str:
    """Return the address that others reach this machine by, as far as it can be known; else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which way it would go (RFC 5737)
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
