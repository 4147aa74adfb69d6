"""How frames flow in a live run."""

from __future__ import annotations

from streamfx.config.live import LiveConfig
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
