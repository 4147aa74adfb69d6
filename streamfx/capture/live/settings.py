"""How sources that may go away are opened, watched and got back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from streamfx.media.backoff import Backoff


class Gap(StrEnum):
    """What is delivered while a source is away."""

    LAST = "last"  # the last picture again, at the source's rate
    BLACK = "black"  # black pictures, at the source's rate
    PAUSE = "pause"  # nothing; the times of the output stand still


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """Settings of network sources and cameras.

    Attributes:
        open_seconds: give up opening after this time.
        read_seconds: a source that delivers nothing for so long is lost.
        gap: picture delivered meanwhile.
        reconnect: waits and attempts until it is got back.
        options: options for FFmpeg's demuxer and protocol; they win over those chosen here.
        jitter_seconds: pictures that come in bursts wait up to this long for their times.
    """

    open_seconds: float = 10.0
    read_seconds: float = 5.0
    gap: Gap = Gap.LAST
    reconnect: Backoff = field(default_factory=Backoff)
    options: tuple[tuple[str, str], ...] = ()
    jitter_seconds: float = 0.5
