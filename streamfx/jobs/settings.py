"""Settings of a batch: those of ``streamfx transcode`` for every file, and what is done with which files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, Strict, create_model

from streamfx.config.loading import load_config
from streamfx.config.option import Option
from streamfx.config.transcode import TranscodeConfig
from streamfx.config.values import CLOSED, Count, FileName, Text

_FileNames = Annotated[tuple[FileName, ...], Strict(False)]
_OWN: dict[str, Any] = {
    "inputs": (_FileNames, Field(default=(), description="inputs: files, folders and globs")),
    "list": (
        Annotated[FileName | None, Option("files", "FILE")],
        Field(default=None, description="file with one more input a line, - for standard input"),
    ),
    "output_dir": (
        Annotated[FileName, Option("files", "DIR")],
        Field(description="folder for the outputs; the tree below folders and globs is kept"),
    ),
    "ending": (
        Annotated[Text | None, Option("files", ".EXT")],
        Field(
            default=None, description="ending of the outputs, .mp4 for instance; that of the source, or .mkv"
        ),
    ),
    "jobs": (
        Annotated[Count | Literal["auto"], Option("files", "N")],
        Field(default="auto", description="number of files done at a time; auto: one for four processors"),
    ),
    "resume": (
        Annotated[bool, Option("run", switch_off=True)],
        Field(
            default=True,
            description="work in segments that survive a crash, after those that an earlier run finished",
        ),
    ),
    "summary": (
        Annotated[FileName | None, Option("files", "FILE")],
        Field(default=None, description="file for the account of all files; DIR/batch.json by default"),
    ),
}
_NOT_FOR_BATCHES = {"input", "output", "container", "report", "resume"}
_SHARED: dict[str, Any] = {
    name: (Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation, field)
    for name, field in TranscodeConfig.model_fields.items()
    if name not in _NOT_FOR_BATCHES
}

BatchConfig: type[BaseModel] = create_model(
    "BatchConfig",
    __config__=CLOSED,
    __doc__="Everything that ``streamfx batch`` can be told.",
    **_OWN,
    **_SHARED,
)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it was asked for.

    Attributes:
        inputs: files, folders and globs.
        list_file: a file with more of them; None for none.
        output_folder: folder below which outputs go.
        ending: ending of all outputs; None: those of their sources.
        jobs: files done at a time; None: what suits the machine.
        summary: file for the account.
        settings: settings of ``streamfx transcode``, by name, for every file.
    """

    inputs: tuple[str, ...]
    list_file: str | None
    output_folder: Path
    ending: str | None
    jobs: int | None
    summary: Path
    settings: Mapping[str, Any]

    def config_of(self, source: str | Path, output: str | Path, **changed: object) -> TranscodeConfig:
        """Return the settings for one of the files."""
        named = {"input": str(source), "output": str(output)}
        return TranscodeConfig.model_validate({**self.settings, **named, **changed})


def load_batch(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
) -> Batch:
    """Return a batch from a configuration file, ``--set`` and options, read as by ``load_config``.

    Raises:
        ConfigError: with every problem there is.
    """
    config = load_config(path, overrides, options, model=BatchConfig)
    own = {name: getattr(config, name) for name in _OWN}
    folder = Path(own["output_dir"])
    return Batch(
        inputs=own["inputs"],
        list_file=own["list"],
        output_folder=folder,
        ending=_with_dot(own["ending"]),
        jobs=None if own["jobs"] == "auto" else own["jobs"],
        summary=Path(own["summary"]) if own["summary"] else folder / "batch.json",
        settings=config.model_dump(exclude=set(_OWN) - {"resume"}),
    )


def _with_dot(ending: str | None) -> str | None:
    return None if ending is None else f".{ending.lower().removeprefix('.')}"
