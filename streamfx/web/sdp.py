"""What offers of WebRTC say, as far as it is looked at before aiortc takes them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

from aiohttp import web

from streamfx.errors import SourceOpenError

SDP_TYPE = "application/sdp"
"""Type of offers and answers in HTTP."""

_OFFER_SECONDS = 5.0
_MEDIA = re.compile(r"^m=(\w+) ", re.MULTILINE)
_MOST_LETTERS, _MOST_KINDS = 12, 3  # of an offer, in messages
_HIDDEN = re.compile(r"^a=(?:candidate:[^\r\n]*\.local [^\r\n]*|end-of-candidates)\r?\n", re.MULTILINE)


def check_kinds(offer: str) -> list[str]:
    """Return the kinds of media that an offer has, in the order of the alphabet.

    Raises:
        SourceOpenError: they are not one video, or that and one audio.
    """
    kinds = sorted(_MEDIA.findall(offer))
    if kinds not in (["video"], ["audio", "video"]):
        raise SourceOpenError(
            f"the offer has {_counted(kinds) or 'no media'}; it must have one video, and may have one audio"
        )
    return kinds


def begun_by_it(offer: str) -> str:
    """Return an offer so that the other side begins to encrypt, where it leaves open who does.

    aiortc begins with ciphers for ECDSA alone, and GStreamer has a certificate for RSA. The other way round
    the certificate is aiortc's.
    """
    return offer.replace("a=setup:actpass", "a=setup:active")


def without_hidden_addresses(offer: str) -> str:
    """Return an offer without the addresses that only the browser's own network can find (mDNS).

    Looking for them takes seconds. Where none is found and the offer says that there are no more, as
    Firefox's does, aioice gives up before it has any address of its own; so that is left out as well. It
    learns the other's address from the first packet that comes.
    """
    return _HIDDEN.sub("", offer)


def _counted(kinds: list[str]) -> str:
    """Return kinds of media with how many there are of each, no more than a few of what a stranger wrote."""
    counts = Counter(kind[:_MOST_LETTERS] for kind in kinds)
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common(_MOST_KINDS))


async def offer_of(request: web.Request) -> str:
    """Return the offer that was posted.

    Raises:
        HTTPException: it did not come in time, is too long, or is nothing of the kind.
    """
    if request.content_type != SDP_TYPE:
        raise web.HTTPUnsupportedMediaType(
            text=f"An offer is posted as {SDP_TYPE}, and this came as {request.content_type[:80]}.\n"
        )
    try:
        async with asyncio.timeout(_OFFER_SECONDS):
            return (await request.read()).decode()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text=f"The offer did not come within {_OFFER_SECONDS:g} s.\n") from error
    except UnicodeDecodeError as error:
        raise web.HTTPBadRequest(text="The offer is no text in UTF-8.\n") from error
