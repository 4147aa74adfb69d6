"""Configuration of ``streamfx live``: what ``streamfx.live`` takes and every report of it stores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, Strict

from streamfx.config.option import Option
from streamfx.config.run import EncodedRunArguments, EncodedRunConfig
from streamfx.config.text import from_environment
from streamfx.config.values import CLOSED, Build, Count, Seconds, Text, Texts
from streamfx.media.addresses import without_credentials


class ReconnectConfig(BaseModel):
    """How a lost network source or sink is got back."""

    model_config = CLOSED

    attempts: Count | None = Field(
        default=20, description="number of failed attempts in a row to give up at; null: never"
    )
    first_seconds: Seconds = Field(default=0.5, description="time before the second attempt, in seconds")
    longest_seconds: Seconds = Field(
        default=15.0, description="longest time between two attempts, in seconds: each doubles the one before"
    )
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.3, description="share of a wait by which it is made longer or shorter at random"
    )


class SourceConfig(BaseModel):
    """How a network source or a camera is read."""

    model_config = CLOSED

    open_seconds: Seconds = Field(default=10.0, description="longest time that opening may take, in seconds")
    read_seconds: Seconds = Field(
        default=5.0,
        description="longest time without anything from the source, in seconds: then it is lost and opened "
        "anew",
    )
    gap: Annotated[Literal["last", "black", "pause"], Option("live", "WHAT")] = Field(
        default="last",
        description="picture shown while the source is away: last, black, or pause (none; time stands still)",
    )
    jitter_seconds: Annotated[float, Field(ge=0, le=5)] = Field(
        default=0.5,
        description="longest time that pictures which come in bursts wait for their turn, in seconds; 0: "
        "none waits",
    )
    loop: Annotated[bool, Option("live")] = Field(
        default=False, description="endless repetition of a file, with its sound"
    )
    options: dict[Text, str] = Field(
        default_factory=dict,
        description="options of demuxer and protocol, as FFmpeg spells them; of a camera: exposure, focus "
        "and the like",
    )
    reconnect: ReconnectConfig = Field(default_factory=ReconnectConfig)


class SinkConfig(BaseModel):
    """How a network sink is written."""

    model_config = CLOSED

    write_seconds: Seconds = Field(
        default=5.0,
        description="longest time that the output may take nothing, in seconds: then it is lost and opened "
        "anew",
    )
    bitrate_kbps: Count | None = Field(
        default=None,
        description="upper limit of the video's bit rate in kbit/s; null: constant quality alone",
    )
    keyframe_seconds: Seconds = Field(
        default=2.0, description="longest time between two pictures that can be joined at, in seconds"
    )
    reconnect: ReconnectConfig = Field(default_factory=ReconnectConfig)


class WebConfig(BaseModel):
    """A page that shows the pictures and changes the run (``web:8080``)."""

    model_config = CLOSED

    width: Annotated[int, Field(ge=64, le=8192)] = Field(
        default=1280, description="largest width of the pictures on the page, in pixels"
    )
    quality: Annotated[int, Field(ge=2, le=31)] = Field(
        default=3, description="quality of the pictures on the page, as JPEG counts it: 2 (best) to 31"
    )
    streams: Annotated[int, Field(ge=0, le=64)] = Field(
        default=16,
        description="most viewers at a time who get video by WebRTC; others get picture by picture",
    )
    stream_kbps: Annotated[int, Field(ge=100, le=100_000)] = Field(
        default=6000, description="most bits a second of that video, in thousands"
    )
    recordings: Text = Field(default=".", description="folder for recordings from the page")
    token: bool = Field(
        default=True,
        description="secret in the printed address that lets viewers in; false: anybody here may come",
    )
    names: Texts = Field(default=(), description="names of the page, beside addresses and the machine's own")


class LiveQueueConfig(BaseModel):
    """The bounded queues of a live run."""

    model_config = CLOSED

    policy: Literal["drop_oldest", "drop_newest", "wait"] = Field(
        default="drop_oldest", description="policy of a full capture queue"
    )
    capture: Annotated[int, Field(ge=1, le=3)] = Field(
        default=2, description="most frames that wait for generate, 1 to 3"
    )
    output: Count = Field(
        default=8, description="most frames that wait for each output, where there are several"
    )


class LiveLimitsConfig(BaseModel):
    """When to end."""

    model_config = CLOSED

    seconds: Annotated[Seconds | None, Option("live", "N")] = Field(
        default=None, description="length of the run in seconds; until the source ends by default"
    )
    frames: Count | None = Field(
        default=None, description="number of frames of the source to stop after; no limit by default"
    )
    decode_failures_in_a_row: Count = Field(
        default=250, description="number of broken frames in a row to give up at"
    )


Address = Annotated[Text, AfterValidator(from_environment)]
"""An input or output. What stands in it as ``${NAME}`` comes from the environment: keys need not be typed."""


class LiveConfig(EncodedRunConfig):
    """Everything that ``streamfx live`` can be told."""

    input: Address = Field(
        description="source: rtsp:// rtmp:// http(s):// udp://, camera:0, whip:8090 (publishers come to it), "
        "test:bars, a file in real time"
    )
    outputs: Annotated[tuple[Address, ...], Strict(False), Field(min_length=1)] = Field(
        description="outputs, one or several: rtmp:// rtsp:// udp://, hls:FOLDER, a video file, virtual:, "
        "window:, web:8080 (a page), null:"
    )
    build: Build = Field(
        default="background",
        description="conduct while TensorRT builds a plan: wait, or background (something slower runs)",
    )
    wait: Annotated[bool, Option("live", switch_off=True)] = Field(
        default=True,
        description="waiting for a source or server that is away at the start; else the run is refused",
    )
    source: SourceConfig = Field(default_factory=SourceConfig)
    sink: SinkConfig = Field(default_factory=SinkConfig)
    web: WebConfig = Field(default_factory=WebConfig)
    queue: LiveQueueConfig = Field(default_factory=LiveQueueConfig)
    limits: LiveLimitsConfig = Field(default_factory=LiveLimitsConfig)

    @property
    def speed(self) -> float:
        """How many times real time, as in the configuration of a file run: a live source has its own pace."""
        return 1.0

    def without_credentials(self) -> LiveConfig:
        """Return the configuration as it may be stored and shown.

        Options of the demuxer may be secrets too (``headers``, ``passphrase``): only their names are kept.
        """
        hidden = dict.fromkeys(self.source.options, "***")
        return self.model_copy(
            update={
                "input": without_credentials(self.input),
                "outputs": tuple(map(without_credentials, self.outputs)),
                "source": self.source.model_copy(update={"options": hidden}),
            }
        )


class LiveArguments(EncodedRunArguments, total=False):
    """Settings of `LiveConfig`, as Python arguments; those of its sections that have an option as well."""

    seconds: float | None
    gap: str
    wait: bool
    loop: bool
