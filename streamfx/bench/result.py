"""Result: what ``streamfx bench`` measured and with what, as it is kept in a file and compared later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from streamfx.errors import ConfigError, SinkError

SCHEMA_VERSION: Final = 1
BUSY = 0.1
"""Share of the processors that other programs may take without a word."""

_CLOSED = ConfigDict(frozen=True, extra="forbid")


class Case(BaseModel):
    """One combination that is measured, as it was asked for.

    Attributes:
        level: share of the way that is measured, a key of `LEVELS`.
        effect: effect as a user writes it.
        width_pixels: width of the source's frames.
        height_pixels: height of the frames of the source.
        factor: reduction of the picture that the network sees.
        backend: backend asked for, maybe ``auto``.
        precision: precision asked for, maybe ``auto``.
    """

    model_config = _CLOSED

    level: str
    effect: str
    width_pixels: int
    height_pixels: int
    factor: float
    backend: str
    precision: str

    @property
    def size(self) -> str:
        """WIDTHxHEIGHT."""
        return f"{self.width_pixels}x{self.height_pixels}"

    def __str__(self) -> str:
        asked = [each for each in (self.backend, self.precision) if each != "auto"]
        return " ".join([self.level, self.effect, self.size, f"factor {self.factor:g}", *asked])


class ActualSettings(BaseModel):
    """What really ran.

    Attributes:
        backend: backend that ran the network.
        precision: precision that the network computed in.
        threads: processor threads for one frame.
        at_a_time: frames that are processed at a time.
        batch: frames in one call of the network.
        device: device that ran the network: cpu or cuda.
        frames: place of the frames from decoder to encoder: cpu for main memory, or cuda.
        encoder: NVIDIA's, by FFmpeg's name, where that encoded; None: the one asked for, or none.
    """

    model_config = _CLOSED

    backend: str
    precision: str
    threads: int
    at_a_time: int = 1
    batch: int = 1
    device: str = "cpu"
    frames: str = "cpu"
    encoder: str | None = None

    def __str__(self) -> str:
        where = "" if self.device == "cpu" else f" on {self.device}"
        frames = "" if self.frames == self.device else f", frames on {self.frames}"
        encoder = "" if self.encoder is None else f", {self.encoder}"
        return f"{self.backend} {self.precision}{where}{frames}{encoder}"


class Row(BaseModel):
    """The figures of one case. Times are those of a frame: what that includes, its level says.

    Attributes:
        case: case as it was asked for.
        ran: engine and settings that ran.
        fps: frames that were measured, by the time they took together.
        p50_ms: half of the frames took as long as this or less; percentiles are within 1 %.
        p95_ms: None of fewer than 20 frames.
        p99_ms: None of fewer than 100 frames.
        max_ms: the longest.
        turns_fps: ``fps`` of each turn: they tell how steady the machine was.
        frames: frames measured.
        warm_up_frames: warm up frames that went before and do not count.
        peak_memory_mib: most main memory that a process held which does nothing else; None where unknown.
        device_memory_mib: most memory of the GPU; None where none is used.
        taken_by_others: share of the processors, 0..1, that other programs took; None where unknown.
        power_watts: mean of each meter that can be read, of the whole device, while it was measured.
        parts_p50_ms: times of the parts of a frame, where they are known.
    """

    model_config = _CLOSED

    case: Case
    ran: ActualSettings
    fps: float
    p50_ms: float
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float
    turns_fps: tuple[float, ...]
    frames: int
    warm_up_frames: int
    peak_memory_mib: float | None
    device_memory_mib: float | None
    taken_by_others: float | None
    power_watts: dict[str, float]
    parts_p50_ms: dict[str, float]


class Failed(BaseModel):
    """A case that could not be measured, and why."""

    model_config = _CLOSED

    case: Case
    reason: str


class BenchConfig(BaseModel):
    """What is measured and how, defaults included.

    Attributes:
        levels: names of what is measured, as `streamfx.bench.levels` lists them.
        effects: effects as a user writes them.
        sizes: (height, width) of the frames.
        factors: factors for effects that have a choice.
        backends: names, or ``auto``.
        precisions: names, or ``auto``.
        threads: processor threads to use.
        frames: frames of each row, at least, unless they take too long.
        seconds: most time that the frames of a row may take.
        rounds: number of turns each row has.
        clip: video to take the pictures from; None: the test picture.
        encoder: encoder of the level ``pipeline``; auto: NVIDIA's where frames are on a GPU that has one,
            else x264.
        device: place where frames live and networks run: auto, cpu, cuda or cuda:N.
    """

    model_config = _CLOSED

    levels: tuple[str, ...]
    effects: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    factors: tuple[float, ...]
    backends: tuple[str, ...]
    precisions: tuple[str, ...]
    threads: int
    frames: int
    seconds: float
    rounds: int
    clip: str | None = None
    encoder: Literal["auto", "x264", "null:"] = "auto"
    device: str = "auto"


class DeviceInfo(BaseModel):
    """What it was measured on.

    Attributes:
        processor: fields of `streamfx.hardware.cpu.Cpu`.
        gpus: fields of `streamfx.hardware.nvidia.Gpu`, GPU by GPU.
        driver: version of NVIDIA's driver; None without one.
        system: name and version of the operating system.
        clocks_mhz: lowest and highest that was seen between the turns, by what runs at it.
    """

    model_config = _CLOSED

    processor: dict[str, Any]
    gpus: tuple[dict[str, Any], ...]
    driver: str | None
    system: str
    clocks_mhz: dict[str, tuple[float, float]]


class BenchResult(BaseModel):
    """Everything that one call measured, and what is needed to judge it later.

    Attributes:
        schema_version: schema version of this description of the file.
        measured_at: UTC, ISO 8601.
        device: device on which everything was measured.
        versions: versions of streamfx, Python and the libraries that did the work.
        config: settings of the measurement.
        includes: content of a frame's time at each level, in words.
        notes: values that are not known, with the reasons.
        rows: the figures.
        failed: cases that could not be measured, with the reasons.
        stopped: whether it was stopped before the end.
    """

    model_config = _CLOSED

    schema_version: Literal[1] = SCHEMA_VERSION
    measured_at: str
    device: DeviceInfo
    versions: dict[str, str]
    config: BenchConfig
    includes: dict[str, str]
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    failed: tuple[Failed, ...]
    stopped: bool = False

    @property
    def encoders(self) -> tuple[str, ...]:
        """What encoded at the level ``pipeline``, or would have: x264, null: or NVIDIA's by FFmpeg's name."""
        usual = "x264" if self.config.encoder == "auto" else self.config.encoder
        found = [row.ran.encoder or usual for row in self.rows if row.case.level == "pipeline"]
        return tuple(dict.fromkeys(found)) or (usual,)

    @property
    def taken_by_others(self) -> float:
        """The largest share of the processors, 0..1, that other programs took during a row."""
        return max((row.taken_by_others or 0.0 for row in self.rows), default=0.0)

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            SinkError: it cannot be written there.
        """
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SinkError(f"{path}: cannot write the figures: {error.strerror}") from error


def read_result(path: Path) -> BenchResult:
    """Return what was written by an earlier call.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the figures: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON, so there are no figures in it: {error}") from error
    found = values.get("schema_version") if isinstance(values, dict) else None
    if found != SCHEMA_VERSION:
        has = f"schema_version {found}" if found is not None else "no schema_version"
        raise ConfigError(
            f"{path} was not written by 'streamfx bench --json' of this version: it has {has}, "
            f"{SCHEMA_VERSION} is needed"
        )
    try:
        return BenchResult.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path} was changed since it was written: {place}: {first['msg']}") from error
