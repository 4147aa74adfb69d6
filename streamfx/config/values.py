"""Values of settings: what each kind takes, and what a wrong one is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from streamfx.backends.registry import NAMES
from streamfx.engine.factors import FACTORS, check_factor
from streamfx.media.geometry import crop_of, scaling_of
from streamfx.media.paths import STANDARD_OUTPUT, printable
from streamfx.media.rates import check_rate


def _check_factor(value: object) -> int | float | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        return check_factor(value)
    except ValueError as error:
        raise ValueError(str(error).replace("must be one of", "must be 'auto' or one of")) from error


Factor = Annotated[
    int | float | Literal["auto"], PlainValidator(_check_factor), WithJsonSchema({"enum": ["auto", *FACTORS]})
]


def _check_speed(value: object) -> float:
    """Return how many times real time ``2``, ``1.5`` or ``2x`` is."""
    try:
        number = float(value.removesuffix("x")) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= 1000:
        raise ValueError("must be how many times faster than real time, 2 or 2x for instance")
    return float(number)


Speed = Annotated[
    float, PlainValidator(_check_speed), WithJsonSchema({"type": ["number", "string"], "default": 1.0})
]
Text = Annotated[str, Field(min_length=1)]


def check_file_name(value: object) -> str:
    """Return the name of a file: any text, also with bytes that are no UTF-8, which pydantic would refuse.

    Raises:
        ValueError: it is none, or empty.
    """
    if not isinstance(value, str):
        raise ValueError("must be text")
    if not value:
        raise ValueError("must not be empty")
    return value


FileName = Annotated[
    str,
    PlainValidator(check_file_name),
    PlainSerializer(printable, when_used="json"),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
PipedContainer = Literal["mkv", "nut", "y4m", "ts", "webm", "mp4", "mov"]


def _to_standard_output(output: str, info: ValidationInfo) -> str:
    """Return an output as it is opened: standard output with the ending of what goes into it."""
    container = info.data.get("container")
    if output == "-":
        return f"{STANDARD_OUTPUT}.{container or 'mkv'}"
    if container is not None and not output.startswith(f"{STANDARD_OUTPUT}."):
        raise ValueError("says its container by its ending; give container with the output '-' alone")
    return output


Output = Annotated[FileName, AfterValidator(_to_standard_output)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_MOST_SECONDS = 1e9
_TIMECODE = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d+)?)", re.ASCII)


def check_moment(value: object) -> float:
    """Return how many seconds ``12.5``, ``"1:30"`` or ``"1:02:03.250"`` are.

    Raises:
        ValueError: it is no time.

    Example:
        >>> check_moment("1:02:03.25")
        3723.25
    """
    seconds: float | None = None
    if isinstance(value, str) and (found := _TIMECODE.fullmatch(value)):
        hours, minutes, rest = found.groups()
        if minutes is None or float(rest) < 60:
            seconds = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    if seconds is None or not 0 <= seconds < _MOST_SECONDS:
        raise ValueError("must be seconds or a timecode, 12.5 or 1:02:03.250 for instance")
    return seconds


def _after_start(end: float | None, info: ValidationInfo) -> float | None:
    start = info.data.get("start") or 0.0
    if end is not None and end <= start:
        raise ValueError(f"must come after the start, {start:g} s")
    return end


def _without_end(duration: float | None, info: ValidationInfo) -> float | None:
    if duration is not None and info.data.get("end") is not None:
        raise ValueError("cannot be given together with end; leave one of them out")
    if duration == 0:
        raise ValueError("must be longer than nothing")
    return duration


Moment = Annotated[float, PlainValidator(check_moment), WithJsonSchema({"type": ["number", "string"]})]
End = Annotated[Moment | None, AfterValidator(_after_start)]
Duration = Annotated[Moment | None, AfterValidator(_without_end)]
if TYPE_CHECKING:
    Backend = str
else:  # a type checker cannot know them; pydantic and the JSON schema do
    Backend = Literal[("auto", *reversed(NAMES))]
_DEVICES = r"^(auto|cpu|cuda(:[0-9]{1,2})?)$"


def check_device(value: object) -> str:
    """Return the name of a device as a user gives it.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or not re.match(_DEVICES, value):
        raise ValueError("must be auto, cpu, cuda, or cuda:N for the Nth GPU, counted from 0")
    return value


DeviceName = Annotated[
    str, PlainValidator(check_device), WithJsonSchema({"type": "string", "pattern": _DEVICES})
]
Deinterlace = Literal["auto", "off", "bwdif", "yadif"]
Build = Literal["wait", "background"]


def _check_size(value: object) -> str:
    scaling_of(text := value if isinstance(value, str) else "")  # YAML takes 0x200 for a number
    return text


def _check_crop(value: object) -> str:
    if (text := value if isinstance(value, str) else "") != "auto":
        crop_of(text)
    return text


_TEXT_SCHEMA = {"type": "string", "minLength": 1}
PictureSize = Annotated[str, PlainValidator(_check_size), WithJsonSchema(_TEXT_SCHEMA)]
CropBox = Annotated[str, PlainValidator(_check_crop), WithJsonSchema(_TEXT_SCHEMA)]
Rotation = Literal[0, 90, 180, 270]
Flip = Literal["horizontal", "vertical"]
Rate = Annotated[
    int | float | str, PlainValidator(check_rate), WithJsonSchema({"type": ["number", "string"]})
]
Quality = Annotated[int, Field(ge=0, le=100)]
Texts = Annotated[tuple[Text, ...], Strict(False)]
CLOSED = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=False)
