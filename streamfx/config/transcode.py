"""Configuration of ``streamfx transcode``: what `streamfx.transcode` takes and every report of it stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from streamfx.config.option import Option
from streamfx.config.run import EncodedRunArguments, EncodedRunConfig
from streamfx.config.sizes import BitrateSetting, SizeLimitSetting
from streamfx.config.tracks import (
    AttachmentsSetting,
    AudioBitrateSetting,
    AudioSetting,
    AudioTracksSetting,
    ChaptersSetting,
    SubtitlesSetting,
    SubtitleTracksSetting,
)
from streamfx.config.values import (
    CLOSED,
    Build,
    Count,
    CropBox,
    Deinterlace,
    Duration,
    End,
    FileName,
    Flip,
    Moment,
    Output,
    PictureSize,
    PipedContainer,
    Rate,
    Rotation,
    Seconds,
    Speed,
    Text,
)
from streamfx.encode.encoding import Encoding
from streamfx.media.addresses import without_credentials
from streamfx.media.geometry import Geometry, Layout, geometry_of
from streamfx.media.part import Part, part_of
from streamfx.media.rates import rate_of
from streamfx.media.track_choice import TrackChoice


class LimitsConfig(BaseModel):
    """When to give up."""

    model_config = CLOSED

    frames: Count | None = Field(
        default=None, description="number of frames of the source to stop after; no limit by default"
    )
    decode_failures_in_a_row: Count = Field(
        default=50, description="number of broken frames in a row to give up at"
    )
    decode_failures: Count | None = Field(
        default=1000, description="number of broken frames altogether to give up at; null: no limit"
    )
    read_seconds: Seconds | None = Field(
        default=60.0,
        description="longest time without anything from the source, in seconds, before the run gives up",
    )


class QueueConfig(BaseModel):
    """The bounded queues between the stages."""

    model_config = CLOSED

    policy: Literal["auto", "wait", "drop_oldest", "drop_newest"] = Field(
        default="auto",
        description="policy of a full capture queue: wait, drop_oldest, drop_newest; auto: drop_oldest for "
        "a live source, else wait",
    )
    capture: Count | None = Field(
        default=None,
        description="most frames that wait for generate; what suits source and workers by default",
    )
    encode: Count | None = Field(
        default=None, description="most frames begun and not yet encoded; what suits the workers by default"
    )


class TranscodeConfig(EncodedRunConfig):
    """Everything that ``streamfx transcode`` can be told."""

    input: FileName = Field(
        description="source: a video file, '-' for standard input, pictures (a folder, frames/%05d.png), "
        "test:bars"
    )
    container: Annotated[PipedContainer | None, Option("encoding", "NAME")] = Field(
        default=None,
        description="container of what goes to standard output: mkv (by default), nut, y4m, ts, webm, mp4 or "
        "mov; the ending of a file picks its own",
    )
    output: Output = Field(
        description="output: a video file (its ending picks the container), '-' for standard output, "
        "pictures, or null:"
    )
    start: Annotated[Moment | None, Option("part", "TIME")] = Field(
        default=None,
        description="first moment wanted, in seconds or as H:MM:SS.mmm; the beginning by default",
    )
    end: Annotated[End, Option("part", "TIME")] = Field(
        default=None,
        description="moment to end before, in seconds or as H:MM:SS.mmm; the end of the film by default",
    )
    duration: Annotated[Duration, Option("part", "TIME")] = Field(
        default=None, description="length wanted, instead of an end, in seconds or as H:MM:SS.mmm"
    )
    crop: Annotated[CropBox | None, Option("picture", "PART")] = Field(
        default=None,
        description="part of the picture to keep: 640x480 (from its middle), 640x480+LEFT+TOP, a shape, "
        "16:9, or auto (without the black bars)",
    )
    rotate: Annotated[Rotation, Option("picture", "DEGREES")] = Field(
        default=0, description="turn of the picture, clockwise: 90, 180 or 270 degrees"
    )
    flip: Annotated[Flip | None, Option("picture", "HOW")] = Field(
        default=None, description="mirroring: horizontal (left and right change places) or vertical"
    )
    size: Annotated[PictureSize | None, Option("picture", "SIZE")] = Field(
        default=None,
        description="size to scale the picture to, before effects: 1280x720, 1280x, x720, or 720p (its "
        "shorter side)",
    )
    fps: Annotated[Rate | None, Option("picture", "N")] = Field(
        default=None,
        description="frames a second, 25 or 30000/1001 for instance, for which pictures are dropped or "
        "repeated; that of the video by default",
    )
    compare: Annotated[Layout | None, Option("look", "HOW")] = Field(
        default=None,
        description="comparison of before and after in one film: split (half and half), side (beside each "
        "other) or stack (above each other)",
    )
    speed: Annotated[Speed, Option("speed", "N")] = Field(
        default=1.0, description="speed to reach, in times of real time, for the factor auto"
    )
    build: Build = Field(
        default="wait",
        description="conduct while TensorRT builds a plan: wait, or background (something slower runs)",
    )
    deinterlace: Annotated[Deinterlace, Option("encoding", "HOW")] = Field(
        default="auto",
        description="deinterlacing: auto (of pictures flagged as interlaced), off, bwdif or yadif (of all)",
    )
    pixel_format: Annotated[Text | None, Option("encoding", "NAME")] = Field(
        default=None,
        description="pixel format to convert to, as FFmpeg names it (yuv420p); that of the video by default",
    )
    bitrate: BitrateSetting = None
    size_limit: SizeLimitSetting = None
    audio: AudioSetting = "auto"
    audio_tracks: AudioTracksSetting = ()
    audio_bitrate: AudioBitrateSetting = None
    subtitles: SubtitlesSetting = "auto"
    subtitle_tracks: SubtitleTracksSetting = ()
    attachments: AttachmentsSetting = "keep"
    chapters: ChaptersSetting = "keep"
    workers: Count | None = Field(
        default=None, description="number of frames generated at a time; what is fastest by default"
    )
    strict: Annotated[bool, Option("encoding", switch_off=True)] = Field(
        default=False, description="refusal of an output that would lack something of the source"
    )
    resume: Annotated[bool, Option("run", switch_off=True)] = Field(
        default=False,
        description="work in segments that survive a crash, after those that an earlier run finished",
    )
    segment_seconds: Seconds = Field(
        default=10.0,
        description="least length of a segment, in seconds, for resume; key frames and cuts end one",
    )
    cluster: Annotated[Text | None, Option("run", "ADDRESS")] = Field(
        default=None,
        description="cluster of machines that do the segments of the film, or the files of a batch: auto "
        "(that of this machine, or one of this machine alone) or HOST:PORT of its head; needs the extra "
        "cluster",
    )
    cluster_gpus: Annotated[float, Field(ge=0, le=16, allow_inf_nan=False)] = Field(
        default=1.0, description="number of GPUs that a task of the cluster takes where frames are on GPUs"
    )
    cluster_retries: Annotated[int, Field(ge=0, le=100)] = Field(
        default=3, description="most times that a task of the cluster is done again whose worker was lost"
    )
    queue: QueueConfig = Field(default_factory=QueueConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)

    @property
    def encoding(self) -> Encoding:
        """How the output is encoded."""
        return replace(
            super().encoding,
            pixel_format=self.pixel_format,
            bits_per_second=self.bitrate,
            tracks=self.tracks,
        )

    @property
    def tracks(self) -> TrackChoice:
        """What is wanted of the tracks beside the pictures."""
        return TrackChoice(
            audio=self.audio,
            audio_tracks=self.audio_tracks,
            audio_bits_per_second=self.audio_bitrate,
            subtitles=self.subtitles,
            subtitle_tracks=self.subtitle_tracks,
            attachments=self.attachments == "keep",
            chapters=self.chapters == "keep",
        )

    @property
    def part(self) -> Part | None:
        """The part of the film that is wanted; None: all of it."""
        return part_of(self.start, self.end, self.duration)

    @property
    def geometry(self) -> Geometry | None:
        """What is done to the picture before effects; None: nothing."""
        crop = None if self.crop == "auto" else self.crop  # `streamfx.run.black_bars` finds it out
        return geometry_of(self.size, crop, self.rotate, self.flip)

    @property
    def rate_fps(self) -> Fraction | None:
        """The steady rate that is wanted; None: that of the video."""
        return None if self.fps is None else rate_of(self.fps)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What to write, as in the configuration of a live run."""
        return (self.output,)

    def without_credentials(self) -> TranscodeConfig:
        """Return the configuration as it may be stored and shown."""
        shown = {"input": without_credentials(self.input), "output": without_credentials(self.output)}
        return self.model_copy(update=shown)


class TranscodeArguments(EncodedRunArguments, total=False):
    """Settings of `TranscodeConfig`, as Python arguments."""

    start: float | str | None
    end: float | str | None
    duration: float | str | None
    crop: str | None
    rotate: int
    flip: str | None
    size: str | None
    fps: float | str | None
    compare: str | None
    speed: float
    deinterlace: str
    container: str | None
    pixel_format: str | None
    bitrate: int | str | None
    size_limit: int | str | None
    audio: str
    audio_tracks: str | Sequence[str | int]
    audio_bitrate: int | str | None
    subtitles: str
    subtitle_tracks: str | Sequence[str | int]
    attachments: str
    chapters: str
    workers: int | None
    strict: bool
    verify: bool
    resume: bool
    segment_seconds: float
    cluster: str | None
