r"""Store: compiled engines kept between runs, in the user's cache folder.

One file per compiled engine, so that replacing it is atomic: a reader sees the old one or the new one, whole.

    streamfx compiled engine 1\n
    {"key": …, "notes": …, "payload": [[name, bytes, sha256], …]}\n
    payload, one after the other

The key names everything that can make a stored build wrong and its hash is part of the file's name, so a
build for something else is never found. What is found is checked before it is used.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

log = logging.getLogger(__name__)

Note: TypeAlias = str | int | float

VARIABLE = "STREAMFX_CACHE"
ANY = "any"
"""Said for a build that runs every size."""
_MAGIC = b"streamfx compiled engine 1\n"
_SUFFIX = ".compiled"
_HEADER_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StoreKey:
    """Everything that can make a stored build wrong.

    Attributes:
        engine: name of the engine; for people, the digest decides.
        engine_digest: hash of everything the engine consists of.
        backend: name of the backend.
        backend_version: version of the library behind the backend.
        torch_version: version of the torch that builds; None where none is installed.
        device: name of the processor or GPU.
        device_features: instruction sets, or compute capability and driver.
        precision: precision that was asked for, which may be ``auto``.
        flags: settings that change what is built.
        sizes: sizes of the reduced picture it can run.
    """

    engine: str
    engine_digest: str
    backend: str
    backend_version: str
    torch_version: str | None
    device: str
    device_features: tuple[str, ...]
    precision: str
    flags: tuple[str, ...] = ()
    sizes: str = ANY

    @property
    def file_name(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"{self.engine}-{self.backend}-{self.precision}-{digest}{_SUFFIX}"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a build consists of.

    Attributes:
        payload: the built files by name.
        notes: facts found out while building, a measured time for instance.
    """

    payload: Mapping[str, bytes]
    notes: Mapping[str, Note]


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """A file of the store. Key and notes are None where its header cannot be read."""

    path: Path
    size_bytes: int
    key: StoreKey | None
    notes: Mapping[str, Note] | None


class CompiledStore:
    """Compiled engines in one folder. Any number of threads and processes may use it at once.

    Args:
        folder: folder of the store; None for `default_folder`. Made when the first engine is stored.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else folder

    def load(self, key: StoreKey) -> Stored | None:
        """Return the stored build for ``key``; None where there is none, or none that is whole.

        The log says why a file that is there cannot be used, and how the nearest one differs.
        """
        path = self.folder / key.file_name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            self._log_nearest(key)
            return None
        except OSError as error:
            log.warning("cannot read the compiled engine %s, building it again: %s", path, error)
            return None
        try:
            found, stored = _unpack(data)
            if found != key:
                raise ValueError("it was built for something else than its name says")
        except (ValueError, TypeError, KeyError) as error:
            log.warning("the compiled engine %s cannot be used, building it again: %s", path, error)
            return None
        return stored

    def save(self, key: StoreKey, stored: Stored) -> Path | None:
        """Store a build, replacing what is there for this key, and return where; None where that failed.

        A store that cannot be written to costs time at the next start and nothing else, so it is only logged.
        """
        path = self.folder / key.file_name
        temporary = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".", suffix=_SUFFIX, dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(_pack(key, stored))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            log.warning("cannot store the compiled engine %s, it is built again next time: %s", path, error)
            return None
        return path

    def keep_newest(self, key: StoreKey, count: int) -> None:
        """Remove the oldest builds of an engine and backend that are for one size, but for so many."""
        alike = list(self.folder.glob(f"{glob.escape(key.engine)}-{key.backend}-*{_SUFFIX}"))
        if len(alike) <= count:
            return
        of_a_size = [entry for entry in self.entries() if entry.path in alike and _is_of_a_size(entry, key)]
        for path in sorted((entry.path for entry in of_a_size), key=_written_ns)[:-count]:
            path.unlink(missing_ok=True)

    def entries(self) -> tuple[StoreEntry, ...]:
        """Return what is stored, in order of file names."""
        found = []
        for path in sorted(self.folder.glob(f"[!.]*{_SUFFIX}")):
            try:
                size_bytes = path.stat().st_size
                with path.open("rb") as file:
                    key, notes, _ = _read_header(file.read(_HEADER_LIMIT_BYTES))
                found.append(StoreEntry(path, size_bytes, key, notes))
            except FileNotFoundError:
                continue  # removed by another process since it was listed
            except (OSError, ValueError, TypeError, KeyError):
                found.append(StoreEntry(path, size_bytes, None, None))
        return tuple(found)

    def clear(self) -> tuple[StoreEntry, ...]:
        """Remove everything stored, leftovers of broken-off writes included; return what was stored."""
        removed = self.entries()
        for path in self.folder.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)
        return removed

    def _log_nearest(self, key: StoreKey) -> None:
        wanted = asdict(key)
        for entry in self.entries():
            if entry.key and (entry.key.engine, entry.key.backend) == (key.engine, key.backend):
                found = asdict(entry.key)
                differences = ", ".join(
                    f"{name} {found[name]} is now {wanted[name]}"
                    for name in wanted
                    if found[name] != wanted[name]
                )
                log.info("the compiled engine %s does not fit: %s", entry.path.name, differences)


def default_folder() -> Path:
    """Return the folder in the variable STREAMFX_CACHE, else the one for caches of this user."""
    if given := os.environ.get(VARIABLE):
        return Path(given).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("streamfx", appauthor=False) / "compiled"


def _is_of_a_size(entry: StoreEntry, key: StoreKey) -> bool:
    """Tell whether an entry is of the engine and backend of ``key``, and for one size."""
    found = entry.key
    if found is None or found.sizes == ANY:
        return False
    return (found.engine, found.backend) == (key.engine, key.backend)


def _written_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0  # removed by another process since it was listed


def _pack(key: StoreKey, stored: Stored) -> bytes:
    listed = [[name, len(data), hashlib.sha256(data).hexdigest()] for name, data in stored.payload.items()]
    header = json.dumps({"key": asdict(key), "notes": dict(stored.notes), "payload": listed})
    return b"".join([_MAGIC, header.encode(), b"\n", *stored.payload.values()])


def _read_header(data: bytes) -> tuple[StoreKey, dict[str, Note], tuple[int, list[tuple[str, int, str]]]]:
    """Return key, notes, and where the payload starts with what it lists.

    Raises:
        ValueError, TypeError, KeyError: it is not a header.
    """
    if not data.startswith(_MAGIC):
        raise ValueError("it does not start like a compiled engine")
    end = data.find(b"\n", len(_MAGIC))
    if end < 0:
        raise ValueError("its header is cut off")
    header = json.loads(data[len(_MAGIC) : end])
    values = header["key"]
    for name in ("device_features", "flags"):
        values[name] = tuple(values[name])
    payload = [(str(name), int(size), str(digest)) for name, size, digest in header["payload"]]
    return StoreKey(**values), dict(header["notes"]), (end + 1, payload)


def _unpack(data: bytes) -> tuple[StoreKey, Stored]:
    """Return key and build of a stored file.

    Raises:
        ValueError, TypeError, KeyError: it is cut off, changed, or something else.
    """
    key, notes, (start, listed) = _read_header(data)
    payload = {}
    for name, size, digest in listed:
        part = data[start : start + size]
        if len(part) < size:
            raise ValueError(f"it is cut off: {name} has {len(part)} of {size} bytes")
        found = hashlib.sha256(part).hexdigest()
        if found != digest:
            raise ValueError(f"{name} was changed: its SHA-256 is {found}, recorded {digest}")
        payload[name] = part
        start += size
    if start != len(data):
        raise ValueError(f"it is {len(data) - start} bytes too long")
    return key, Stored(payload, notes)
