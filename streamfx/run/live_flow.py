"""What a live run's configuration means for its source and for how frames flow."""

from __future__ import annotations

from streamfx.capture.live.settings import Gap, LiveSettings
from streamfx.config.live import LiveConfig, ReconnectConfig
from streamfx.media.backoff import Backoff
from streamfx.media.frame_queue import Policy
from streamfx.pipeline.flow import Flow


def flow_of(config: LiveConfig) -> Flow:
    """Return the settings of the flow that a live configuration asks for."""
    return Flow(
        policy=Policy(config.queue.policy),
        capture_capacity=config.queue.capture,
        encode_capacity=2,  # one being generated, one being written
        frame_limit=config.limits.frames,
        seconds_limit=config.limits.seconds,
        decode_failures_in_a_row=config.limits.decode_failures_in_a_row,
        decode_failures=None,
        read_limit_seconds=None,  # live sources have their own, and may be away for longer
    )


def live_settings(config: LiveConfig) -> LiveSettings:
    """Return how the source of a live run is opened, watched and got back."""
    given = config.source
    return LiveSettings(
        open_seconds=given.open_seconds,
        read_seconds=given.read_seconds,
        gap=Gap(given.gap),
        jitter_seconds=given.jitter_seconds,
        reconnect=backoff(given.reconnect),
        options=tuple(given.options.items()),
    )


def backoff(given: ReconnectConfig) -> Backoff:
    return Backoff(
        attempts=given.attempts,
        first_seconds=given.first_seconds,
        longest_seconds=given.longest_seconds,
        jitter=given.jitter,
    )
