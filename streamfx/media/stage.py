"""Stage: the names under which the times and failures of frames are kept, in reports and on every display."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """A part of a frame's way from its source to its output."""

    DECODE = "decode"
    CAPTURE = "capture"  # from when a live frame was there until it is in the queue
    WAITING = "waiting"  # in the queue to be generated
    UPLOAD = "upload"  # from main memory to a GPU
    REDUCE = "reduce"
    TRANSLATE = "translate"
    FUSE = "fuse"
    ON_DEVICE = "on device"  # reduce, translate and fuse in one, where frames stay on a device
    DOWNLOAD = "download"  # from a GPU to main memory
    GENERATE = "generate"
    WAITING_TO_ENCODE = "waiting to encode"
    ENCODE = "encode"
    LATENCY = "latency"  # of a live frame, from when it was there until it is written
    SEND = "send"  # to a browser, whose camera it came from


LATENCY_STAGES = (Stage.CAPTURE, Stage.WAITING, Stage.GENERATE, Stage.WAITING_TO_ENCODE, Stage.ENCODE)
"""The parts of a live frame's latency, in order."""
EFFECT_STAGES = (Stage.REDUCE, Stage.TRANSLATE, Stage.FUSE)
"""The parts of `GENERATE` that an effect measures in main memory, in order."""
