"""Inputs of a batch: files, folders, globs, lists in; each file once, with its place in the output, out."""

from __future__ import annotations

import glob
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamfx.encode.containers import CONTAINERS
from streamfx.errors import ConfigError
from streamfx.media.notes import NOTE

log = logging.getLogger(__name__)

VIDEO_ENDINGS = frozenset({
    ".3g2", ".3gp", ".apng", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m2t", ".m2ts", ".m2v",
    ".m4v", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt",
    ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})  # fmt: skip
"""Endings of what is taken for a video in a folder; a file that is named itself may have any."""

_USUAL_ENDING = ".mkv"  # holds whatever a source may hold


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a batch.

    Attributes:
        source: file to read.
        output: file to write.
    """

    source: Path
    output: Path


@dataclass(frozen=True, slots=True)
class _Found:
    """A file, and the folder below which its place is kept."""

    source: Path
    root: Path


def find_items(
    inputs: Sequence[str], output_folder: Path, *, list_file: str | None = None, ending: str | None = None
) -> list[Item]:
    """Return what to do, in order of names within each input; each file once.

    Below a folder, and below the part of a glob that has no wildcards, the tree is kept. An output has the
    ending of its source where that says a container that can be written, else .mkv. Where two sources would
    get the same output, their outputs keep the whole name before the ending: ``a.avi.mkv``.

    Args:
        inputs: files, folders, globs.
        output_folder: folder below which outputs go.
        list_file: a file with one more input a line, ``-`` for standard input.
        ending: ending of all outputs; None: that of the source.

    Raises:
        ConfigError: an input is not there, nothing was found, or the ending says no kind of video.
    """
    if ending is not None and ending not in CONTAINERS:
        raise ConfigError(
            f"ending {ending!r} stands for no kind of video file; there are: {' '.join(CONTAINERS)}"
        )
    texts = [*inputs, *(_listed(list_file) if list_file is not None else ())]
    if not texts:
        raise ConfigError("no input given: name files, folders or globs, or a list of them (--list FILE)")
    found: dict[str, _Found] = {}
    for text in texts:
        for each in _found(text, output_folder):
            found.setdefault(os.path.realpath(each.source), each)
    if not found:
        raise ConfigError(
            f"no video found in {', '.join(texts)}; files of other endings must be named themselves"
        )
    return _placed(list(found.values()), output_folder, ending)


def _listed(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError(f"--list {name}: cannot be read: {error.strerror or error}") from error
    return [line for line in text.splitlines() if line.strip()]


def _found(text: str, output_folder: Path) -> Iterator[_Found]:
    path = Path(text)
    if path.is_dir():
        yield from _in_folder(path, path, output_folder)
    elif path.exists():
        yield _Found(path, path.parent)
    elif glob.has_magic(text):
        root = _fixed_part(path)
        matches = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
        if not matches:
            raise ConfigError(f"{text}: nothing has such a name")
        for match in matches:
            if match.is_dir():
                yield from _in_folder(match, root, output_folder)
            elif match.suffix.lower() in VIDEO_ENDINGS or path.suffix:  # **/*.xyz names its ending itself
                yield _Found(match, root)
    else:
        raise ConfigError(f"{text}: no such file or folder")


def _in_folder(folder: Path, root: Path, output_folder: Path) -> Iterator[_Found]:
    """Yield the videos in a folder, hidden ones and those in the folder of outputs apart; name the rest."""
    written, others = os.path.realpath(output_folder), Counter[str]()
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(Path(place, name)) != written
        )
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or not path.is_file():
                continue
            if path.suffix.lower() in VIDEO_ENDINGS:
                yield _Found(path, root)
            else:
                others[path.suffix.lower() or "without an ending"] += 1
    if others:
        told = ", ".join(f"{count} {kind}" for kind, count in others.most_common())
        log.log(NOTE, "%s: files that are no videos by their ending are left out: %s", folder, told)


def _fixed_part(path: Path) -> Path:
    """Return the folder of a glob before its first wildcard."""
    fixed = []
    for part in path.parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)


def _placed(found: Iterable[_Found], output_folder: Path, ending: str | None) -> list[Item]:
    def output(each: _Found, *, whole: bool) -> Path:
        relative = output_folder / os.path.relpath(each.source, each.root)
        own = each.source.suffix.lower()
        new = ending or (own if own in CONTAINERS else _USUAL_ENDING)
        return relative.with_name(f"{relative.name if whole else relative.stem}{new}")

    found = list(found)
    counts = Counter(output(each, whole=False) for each in found)
    items = [Item(each.source, output(each, whole=counts[output(each, whole=False)] > 1)) for each in found]
    twice = [path for path, count in Counter(item.output for item in items).items() if count > 1]
    if twice:
        sources = ", ".join(str(item.source) for item in items if item.output == twice[0])
        raise ConfigError(f"{twice[0]} would be the output of each of {sources}; give them separate batches")
    for item in items:
        if os.path.realpath(item.output) == os.path.realpath(item.source):
            raise ConfigError(f"{item.output}: is the source itself; choose another --output-dir")
    return items
