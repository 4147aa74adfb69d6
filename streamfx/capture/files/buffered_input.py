"""Input that can only be read from front to back, where its container must be read in another order."""

from __future__ import annotations

import base64
import shutil
import struct
import tempfile
from io import BufferedReader
from typing import IO

from streamfx.errors import SourceOpenError
from streamfx.media.addresses import without_credentials

_COPY_BYTES = 1 << 20
_OPEN_SECONDS = 20
# Boxes that may stand before those that matter; the layout is that of ISO/IEC 14496-12.
_BEFORE = (b"ftyp", b"styp", b"free", b"skip", b"wide", b"uuid", b"pdin", b"sidx")
_INDEX = (b"moov", b"moof")


def index_comes_late(head: bytes) -> bool:
    """Return whether the beginning of a file is that of an MP4 or MOV whose index is behind its data.

    Args:
        head: the first bytes; as many as there are at once.
    """
    at, known = 0, False
    while at + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, at)
        if kind in _INDEX:
            return False
        if kind == b"mdat":
            return known or at == 0
        if kind not in _BEFORE or size < 8:
            return False
        known, at = True, at + size
    return False


def stored(file: BufferedReader, name: str) -> IO[bytes]:
    """Copy what is left of a pipe into a file without a name, and return that, at its beginning.

    Raises:
        SourceOpenError: there is no room for it.
    """
    copy = tempfile.TemporaryFile(prefix="streamfx-")  # noqa: SIM115  # the caller closes it
    try:
        shutil.copyfileobj(file, copy, _COPY_BYTES)
        copy.seek(0)
    except OSError as error:
        copy.close()
        raise SourceOpenError(
            f"{name}: must be stored in {tempfile.gettempdir()} to be read, as its index is at the end, and "
            f"cannot be: {error.strerror or error}"
        ) from error
    return copy


def fetched(address: str) -> IO[bytes] | None:
    """Return the file at an HTTP address, stored as by ``stored``, if that is needed; else None.

    It is where its index is at the end and the server does not give parts of a file.

    Raises:
        SourceOpenError: there is no room for it, or it does not come whole.
    """
    import urllib.parse
    import urllib.request

    parts = urllib.parse.urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urllib.parse.urlunsplit(parts._replace(netloc=host)))
    if at:
        coded = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {coded}")
    name = without_credentials(address)
    try:
        with urllib.request.urlopen(request, timeout=_OPEN_SECONDS) as answer:
            reader = BufferedReader(answer)
            if answer.headers.get("Accept-Ranges") == "bytes" or not index_comes_late(reader.peek(1)):
                return None
            copy = stored(reader, name)
            length = answer.headers.get("Content-Length")
    except (OSError, ValueError):
        return None  # FFmpeg was refused as well, and its reason is told
    size_bytes = copy.seek(0, 2)
    copy.seek(0)
    if length is not None and length.isdigit() and size_bytes < int(length):
        copy.close()
        raise SourceOpenError(f"{name}: only {size_bytes} of {length} bytes came")
    return copy
