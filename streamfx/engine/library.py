"""Library: where engines are looked for, and which there are."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streamfx.engine.folder import SPEC, Engine, read_engine, read_spec
from streamfx.engine.spec import EngineSpec
from streamfx.errors import (
    EngineCorruptError,
    EngineMismatchError,
    EngineNotFoundError,
    did_you_mean,
    printable,
)

log = logging.getLogger(__name__)

VARIABLE = "STREAMFX_ENGINES"


@dataclass(frozen=True, slots=True)
class FoundEngine:
    """An engine folder that was found.

    Attributes:
        name: name of the folder, which is what a user asks for.
        folder: place where it lies.
        spec: description of the engine; None where it cannot be read.
        problem: reason why it cannot be read; None where it can.
        shadowed: folders of the same name that are not used, because this one comes first.
    """

    name: str
    folder: Path
    spec: EngineSpec | None
    problem: str | None
    shadowed: tuple[Path, ...] = ()


def load_engine(name_or_path: str | Path) -> Engine:
    """Return an engine, verified, by its name or from its folder.

    Args:
        name_or_path: the name of a folder in one of `engine_folders`, or a path: any `Path`, and any text
            with a separator in it.

    Raises:
        EngineNotFoundError: there is none; lists the folders searched and the engines found.
        EngineCorruptError: a file of it is missing, unreadable or not the one that was recorded.
        EngineMismatchError: it is of a format that this version of streamfx does not read.
    """
    if isinstance(name_or_path, Path) or os.sep in name_or_path or (os.altsep or os.sep) in name_or_path:
        return read_engine(Path(name_or_path).expanduser())
    found = _find(engine_folders())
    if name_or_path in found:
        folder, *shadowed = found[name_or_path]
        for other in shadowed:
            log.warning("engine %s is the one in %s; the one in %s is not used", name_or_path, folder, other)
        return read_engine(folder)
    meant = did_you_mean(name_or_path, found)
    raise EngineNotFoundError(
        f"there is no engine {name_or_path!r}{f'; {meant}' if meant else '.'} "
        f"Engines found: {', '.join(found) or 'none'}. Searched: {', '.join(map(str, engine_folders()))}. "
        f"Give a path to an engine's folder, or name its parent in {VARIABLE}"
    )


def list_engines() -> tuple[FoundEngine, ...]:
    """Return every engine that can be had by name, in order of names; broken ones with what is wrong."""
    listed = []
    for name, (folder, *shadowed) in _find(engine_folders()).items():
        spec, problem = None, None
        try:
            if name != printable(name):
                raise EngineCorruptError(f"{folder}: its name holds characters that cannot be printed")
            spec = read_spec(folder)
        except (EngineCorruptError, EngineMismatchError) as error:
            problem = str(error)
        listed.append(FoundEngine(printable(name), folder, spec, problem, tuple(shadowed)))
    return tuple(listed)


def list_effects() -> tuple[FoundEngine, ...]:
    """Return every engine that a user may pick as an effect, in order of names; broken ones too."""
    return tuple(found for found in list_engines() if found.spec is None or found.spec.no_effect is None)


def engine_folders() -> tuple[Path, ...]:
    """Return the folders that engines are looked for in; the first that has a name wins.

    They are those in the variable STREAMFX_ENGINES, the user's, and those that come with streamfx: inside an
    installed package, beside it in a checkout.
    """
    given = [Path(text).expanduser() for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    return (*given, user_folder(), *shipped_folders())


def user_folder() -> Path:
    """Return the folder of the user's own engines, which need not be there."""
    import platformdirs

    return platformdirs.user_data_path("streamfx", appauthor=False) / "engines"


def shipped_folders() -> tuple[Path, ...]:
    """Return the folders of the engines that come with streamfx."""
    package = Path(__file__).resolve().parent.parent
    shipped = [package / "engines"]
    if (package.parent / "pyproject.toml").exists():
        shipped.append(package.parent / "engines")
    return tuple(folder for folder in shipped if folder.is_dir())


def find_engines(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the folders of the engines in ``folders`` by name, in order of names; the first of a name
    wins."""
    return {name: found[0] for name, found in _find(folders).items()}


def _find(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """Return all folders of the engines in ``folders`` by name, each once, in order of names."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for path in folder.glob(f"*/{SPEC}"):
            others = found.setdefault(path.parent.name, [])
            if all(path.parent.resolve() != other.resolve() for other in others):
                others.append(path.parent)
    return {name: found[name] for name in sorted(found) if not name.startswith(".")}
