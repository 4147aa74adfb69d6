"""Configuration of ``streamfx live``: what ``streamfx.live`` takes and every report of it stores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, Strict

from streamfx.config.text import from_environment
from streamfx.config.values import (
    CLOSED,
    DEVICE,
    Backend,
    Build,
    Count,
    DeviceName,
    Factor,
    Quality,
    Seconds,
    Text,
    Texts,
)
from streamfx.media.addresses import without_credentials


class ReconnectConfig(BaseModel):
    """How a lost network source or sink is got back."""

    model_config = CLOSED

    attempts: Count | None = Field(
        default=20, description="give up after this many attempts in a row that failed; null for never"
    )
    first_seconds: Seconds = Field(default=0.5, description="wait before the second attempt")
    longest_seconds: Seconds = Field(default=15.0, description="waits double up to this")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.3, description="share by which a wait is made longer or shorter at random"
    )


class SourceConfig(BaseModel):
    """How a network source or a camera is read."""

    model_config = CLOSED

    open_seconds: Seconds = Field(default=10.0, description="give up opening after this time")
    read_seconds: Seconds = Field(
        default=5.0, description="a source that delivers nothing for so long is lost, and opened anew"
    )
    gap: Literal["last", "black", "pause"] = Field(
        default="last",
        description="shown while the source is away: the last picture, black, or nothing (time stands still)",
    )
    jitter_seconds: Annotated[float, Field(ge=0, le=5)] = Field(
        default=0.5,
        description="longest wait of pictures that come in bursts, for their times; 0: none waits",
    )
    loop: bool = Field(default=False, description="play a file again and again, with its sound")
    options: dict[Text, str] = Field(
        default_factory=dict, description="options for the demuxer and protocol, as FFmpeg spells them"
    )
    reconnect: ReconnectConfig = Field(default_factory=ReconnectConfig)


class SinkConfig(BaseModel):
    """How a network sink is written."""

    model_config = CLOSED

    write_seconds: Seconds = Field(
        default=5.0, description="a sink that takes nothing for so long is lost, and opened anew"
    )
    bitrate_kbps: Count | None = Field(
        default=None, description="upper limit of the video's bit rate; null for constant quality alone"
    )
    keyframe_seconds: Seconds = Field(
        default=2.0, description="at least one picture in this time can be joined at"
    )
    reconnect: ReconnectConfig = Field(default_factory=ReconnectConfig)


class WebConfig(BaseModel):
    """A page that shows the pictures and changes the run (``web:8080``)."""

    model_config = CLOSED

    width: Annotated[int, Field(ge=64, le=8192)] = Field(
        default=1280, description="most pixels in a row of the pictures on the page"
    )
    quality: Annotated[int, Field(ge=1, le=100)] = Field(
        default=80, description="of the pictures on the page, JPEG: 100 is best"
    )
    recordings: Text = Field(default=".", description="folder for what is recorded from the page")
    token: bool = Field(
        default=True,
        description="viewers need the token of the printed address; false: anybody on this machine may come",
    )
    names: Texts = Field(
        default=(), description="names the page may be asked for by, beside addresses and the machine's own"
    )


class LiveQueueConfig(BaseModel):
    """The bounded queues of a live run."""

    model_config = CLOSED

    policy: Literal["drop_oldest", "drop_newest", "wait"] = Field(
        default="drop_oldest", description="what a full capture queue does"
    )
    capture: Annotated[int, Field(ge=1, le=3)] = Field(
        default=2, description="most frames waiting for generate, 1 to 3"
    )
    output: Count = Field(
        default=8, description="most frames waiting for each output, when there are several"
    )


class LiveLimitsConfig(BaseModel):
    """When to end."""

    model_config = CLOSED

    seconds: Seconds | None = Field(default=None, description="end after this time")
    frames: Count | None = Field(default=None, description="end after this many frames of the source")
    decode_failures_in_a_row: Count = Field(
        default=250, description="give up after this many broken frames in a row"
    )


Address = Annotated[Text, AfterValidator(from_environment)]
"""An input or output. What stands in it as ``${NAME}`` comes from the environment: keys need not be typed."""


class LiveConfig(BaseModel):
    """Everything that ``streamfx live`` can be told."""

    model_config = CLOSED

    input: Address = Field(
        description="what to read: rtsp:// rtmp:// http(s):// udp://, camera:0, test:bars, a file in its pace"
    )
    outputs: Annotated[tuple[Address, ...], Strict(False), Field(min_length=1)] = Field(
        description="what to write: rtmp:// udp:// …, hls:FOLDER, a file, virtual:, window:, web:PORT, null:"
    )
    effects: Texts = Field(
        default=(), description="effects in the order they are applied, each NAME or NAME:KEY=VALUE,KEY=VALUE"
    )
    factor: Factor = Field(
        default="auto",
        description="how many times smaller the network's picture is; auto: the smallest that keeps up",
    )
    backend: Backend = Field(default="auto", description="what runs the network")
    device: DeviceName = Field(default="auto", description=DEVICE)
    build: Build = Field(
        default="background",
        description="background: frames go on with something slower while TensorRT builds a plan",
    )
    codec: Text | None = Field(default=None, description="video codec of the outputs; null picks what fits")
    preset: Text | None = Field(default=None, description="speed against size, as the codec names it")
    quality: Quality | None = Field(
        default=None, description="constant quality, as the codec counts it (lower is better)"
    )
    threads: Count | None = Field(default=None, description="processor threads to use; null for all")
    overwrite: bool = Field(default=False, description="replace an output file when it exists")
    wait: bool = Field(
        default=True,
        description="a source or server that is away at the start is waited for; false: the run is refused",
    )
    verify: bool = Field(
        default=True, description="read finished files again and compare them with the account"
    )
    report: Text | None = Field(
        default=None, description="write the account of every frame to this file, as JSON"
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
