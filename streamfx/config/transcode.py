"""Configuration: YAML, overrides and options in, one typed and closed model out, or every problem at once.

The model is what ``streamfx.transcode`` takes, what ``streamfx schema`` prints and what every report stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

from pydantic import BaseModel, Field, ValidationError

from streamfx.config.problems import Model, validated
from streamfx.config.text import KeyPath, Settings, read_overrides, read_yaml
from streamfx.config.values import (
    CLOSED,
    DEVICE,
    Backend,
    Build,
    Count,
    Deinterlace,
    DeviceName,
    Factor,
    FileName,
    Quality,
    Seconds,
    Speed,
    Text,
    Texts,
)
from streamfx.media.addresses import without_credentials


class LimitsConfig(BaseModel):
    """When to give up."""

    model_config = CLOSED

    frames: Count | None = Field(default=None, description="end after this many frames of the source")
    decode_failures_in_a_row: Count = Field(
        default=50, description="give up after this many broken frames in a row"
    )
    decode_failures: Count | None = Field(
        default=1000, description="give up after this many broken frames altogether"
    )
    read_seconds: Seconds | None = Field(
        default=60.0, description="give up when the source delivers nothing for so many seconds"
    )


class QueueConfig(BaseModel):
    """The bounded queues between the stages."""

    model_config = CLOSED

    policy: Literal["auto", "wait", "drop_oldest", "drop_newest"] = Field(
        default="auto",
        description="what a full capture queue does; auto: wait, or drop_oldest for a live source",
    )
    capture: Count | None = Field(
        default=None, description="most frames waiting for generate; null: what suits source and workers"
    )
    encode: Count | None = Field(
        default=None, description="most frames begun and not yet encoded; null: what suits the workers"
    )


class TranscodeConfig(BaseModel):
    """Everything that ``streamfx transcode`` can be told."""

    model_config = CLOSED

    input: FileName = Field(
        description="what to read: a video file, '-' for standard input, pictures, test:bars"
    )
    output: FileName = Field(
        description="what to write: a video file (its ending picks the container), null:"
    )
    effects: Texts = Field(
        default=(), description="effects in the order they are applied, each NAME or NAME:KEY=VALUE,KEY=VALUE"
    )
    factor: Factor = Field(
        default="auto",
        description="how many times smaller the network's picture is; auto: the smallest that keeps up",
    )
    speed: Speed = Field(
        default=1.0,
        description="how many times faster than real time a file is to be done, for factor auto",
    )
    backend: Backend = Field(default="auto", description="what runs the network")
    device: DeviceName = Field(default="auto", description=DEVICE)
    build: Build = Field(
        default="wait",
        description="background: frames go on with something slower while TensorRT builds a plan",
    )
    deinterlace: Deinterlace = Field(
        default="auto",
        description="auto: where pictures are flagged as interlaced; off; bwdif or yadif: all pictures",
    )
    codec: Text | None = Field(
        default=None, description="video codec of the output; null picks one that fits"
    )
    pixel_format: Text | None = Field(
        default=None, description="FFmpeg's name of a format to convert to; null: what suits the video"
    )
    preset: Text | None = Field(default=None, description="speed against size, as the codec names it")
    quality: Quality | None = Field(
        default=None, description="constant quality, as the codec counts it (lower is better)"
    )
    threads: Count | None = Field(default=None, description="processor threads to use; null for all")
    workers: Count | None = Field(
        default=None, description="frames generated at a time; null picks what is fastest for the source"
    )
    overwrite: bool = Field(default=False, description="replace the output when it exists")
    strict: bool = Field(
        default=False, description="refuse an output that would lack something of the source"
    )
    verify: bool = Field(
        default=True, description="read the finished output again and compare it with the account"
    )
    report: FileName | None = Field(
        default=None, description="write the account of every frame to this file, as JSON"
    )
    resume: bool = Field(
        default=False, description="work in segments, and go on after those that an earlier run finished"
    )
    segment_seconds: Seconds = Field(
        default=10.0, description="least length of a segment, for resume; it ends before a key frame or a cut"
    )
    queue: QueueConfig = Field(default_factory=QueueConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What to write, as in the configuration of a live run."""
        return (self.output,)

    def without_credentials(self) -> TranscodeConfig:
        """Return the configuration as it may be stored and shown."""
        shown = {"input": without_credentials(self.input), "output": without_credentials(self.output)}
        return self.model_copy(update=shown)


@overload
def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
) -> TranscodeConfig: ...


@overload
def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    *,
    model: type[Model],
) -> Model: ...


def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    *,
    model: type[BaseModel] = TranscodeConfig,
) -> BaseModel:
    """Return the configuration: the file, then ``overrides``, then ``options``; the later wins.

    Args:
        path: YAML file; None for none.
        overrides: ``key=value`` texts, as given to ``--set``; a dotted key reaches into a section and the
            value is read as YAML.
        options: settings by name, as given to command-line options or as Python arguments; None values are
            not set. Text is turned into what the setting needs ("4" into 4).
        model: what is configured: ``TranscodeConfig`` or ``LiveConfig``.

    Raises:
        ConfigError: with every problem there is, one per line, each with file, line, column and key.

    Example:
        >>> files = {"input": "a.mp4", "output": "b.mp4"}
        >>> config = load_config(None, ["quality=20", "limits.frames=9"], files)
        >>> config.quality, config.limits.frames
        (20, 9)
        >>> load_config(None, ["qualty=20"], files)
        Traceback (most recent call last):
        ...
        streamfx.errors.ConfigError: --set qualty=20: unknown key 'qualty'; did you mean 'quality'?
    """
    settings = read_yaml(Path(path)) if path is not None else Settings()
    read_overrides(settings, overrides, partial(_accepts, model))
    for name, value in (options or {}).items():
        if value is not None:
            settings.set((name,), _typed(model, (name,), value), "")
    return validated(model, settings)


def schema(model: type[BaseModel] = TranscodeConfig) -> dict[str, Any]:
    """Return the JSON schema of configuration files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}


def _typed(model: type[BaseModel], path: KeyPath, value: object) -> object:
    """Return what a text from the command line means for the setting at ``path``."""
    if not isinstance(value, str) or _accepts(model, path, value):
        return value
    probe = Settings()
    read_overrides(probe, [f"{'.'.join(str(part) for part in path)}={value}"], partial(_accepts, model))
    return value if probe.problems else probe.get(path)


def _accepts(model: type[BaseModel], path: KeyPath, value: object) -> bool:
    """Return whether the setting at ``path`` takes ``value`` as it is."""
    probe = Settings()
    probe.set(path, value, "")
    try:
        model.model_validate(probe.values)
    except ValidationError as error:
        return all(tuple(detail["loc"][: len(path)]) != path for detail in error.errors(include_url=False))
    return True
