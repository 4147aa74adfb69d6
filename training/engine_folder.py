"""EngineFolder: where a training writes its engine; refused before the first step if it cannot be one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter, ValidationError

from streamfx.engine.spec import Name

_NAME = TypeAdapter[str](Name)


def _named_like_an_engine(folder: Path) -> Path:
    try:
        _NAME.validate_python(folder.name)
    except ValidationError:
        raise ValueError(
            f"the folder gives the engine its name, and {folder.name!r} cannot be one; use at most 64 small "
            "letters, digits, - and _, the first a letter or a digit"
        ) from None
    return folder


EngineFolder = Annotated[Path, AfterValidator(_named_like_an_engine)]
