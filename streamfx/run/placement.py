"""Run device: where the frames of a run live, why, and what of the way they go there without a copy."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.backends.registry import backend_named
from streamfx.capture.opening import open_source
from streamfx.capture.shots import MOST_AHEAD
from streamfx.capture.source import Source
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.encoding import Encoding
from streamfx.errors import BackendUnavailableError, SourceOpenError
from streamfx.hardware.cuda import Device, cuda_missing
from streamfx.hardware.nvidia import gpus
from streamfx.media.frame import VideoFormat

if TYPE_CHECKING:
    from streamfx.capture.files.preparation import Preparation
    from streamfx.encode.pixels import Packing
    from streamfx.generate.gpu.placement import DevicePlacement
    from streamfx.gpu.transfer import DeviceContext

log = logging.getLogger(__name__)

MOST_IN_FLIGHT = 4  # frames generated at a time on a GPU: up, at work, down, and one more in hand
_ENCODER_HOLDS = 20  # most that NVENC keeps back without lookahead, as FFmpeg sets it up
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_selected: str | None = None  # GPU of this process


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the frames of a run live.

    Attributes:
        device: device on which networks run.
        device_context: streams and pools that frames share there; None: they live in main memory.
        stays: whether the output takes them there.
        insisted: whether it was asked for, and not found to be best.
    """

    device: Device = Device.AUTO
    device_context: DeviceContext | None = None
    stays: bool = False
    insisted: bool = False

    def processing_device(self, video: VideoFormat) -> DevicePlacement | None:
        """Return what keeps frames on the device between effects; None for main memory."""
        if self.device_context is None:
            return None
        from streamfx.generate.gpu.placement import DevicePlacement

        return DevicePlacement(self.device_context, video, self.stays, self.insisted)


MAIN_MEMORY = Placement()


def find_placement(asked: str, backend: str, workers: int, queued: int = 0) -> Placement:
    """Return where the frames of a run live: on the device asked for, or with ``auto`` on a GPU if it can.

    Args:
        asked: auto, cpu, cuda or cuda:N.
        backend: backend that was asked for, or auto.
        workers: frames generated at a time.
        queued: most frames in a queue, where that was set.

    Raises:
        BackendUnavailableError: a GPU was asked for and cannot be used; says what was looked for.
    """
    if asked == "cpu":
        return Placement(Device.CPU)
    reason = select_gpu(asked) or cuda_missing() or _torch_refuses()
    named = backend_named(backend)
    if asked == "auto" and named is not None and Device.CPU in named.chosen_on:
        reason = reason or f"backend {backend} was asked for, which is for the CPU"
    if reason is not None and asked == "auto":
        log.info("device auto: frames stay in main memory: %s", reason)
        return Placement()
    if reason is not None:
        raise _refused(asked, reason)
    import torch

    from streamfx.gpu.transfer import DeviceContext, MemoryBudget

    # A queue holds workers + 2 unless it is set, the workers one each; encoder and cuts look ahead.
    least = max(workers + 2, queued) + workers + 1 + _ENCODER_HOLDS + MOST_AHEAD
    budget = MemoryBudget(least=least, workers=workers)
    device_context = DeviceContext(torch.device("cuda", 0), budget)
    return Placement(Device.CUDA, device_context, insisted=asked != "auto")


def settle_device(asked: str) -> str:
    """Return the device asked for as processes started from here on know it; a GPU is the only one they see.

    Args:
        asked: auto, cpu, cuda or cuda:N.

    Raises:
        BackendUnavailableError: a GPU was asked for and is not there.
    """
    device, _, _ = asked.partition(":")
    if device == "cuda" and (reason := select_gpu(asked) or cuda_missing()):
        raise _refused(asked, reason)
    return device


def _refused(asked: str, reason: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"device {asked} cannot be used: {reason}; leave --device out or take --device cpu to run on the "
        "processor ('streamfx devices' lists what there is)"
    )


def select_gpu(asked: str) -> str | None:
    """Make the GPU asked for the only one of this process; return why that cannot be, None where it can.

    One GPU for a process: FFmpeg works in a stream of ours on the first one only (PyAV 18.1).

    Args:
        asked: ``cuda:N`` for the Nth of those that this process may use; anything else selects nothing.
    """
    global _selected
    _, _, number = asked.partition(":")
    if not number or number == _selected:
        return None
    torch = sys.modules.get("torch")
    if _selected is not None or (torch is not None and torch.cuda.is_initialized()):
        return f"another GPU is in use in this process already; start it with {_VISIBLE}={number}"
    before = os.environ.get(_VISIBLE)
    visible = [each for each in (before or "").split(",") if each]
    if visible and int(number) >= len(visible):
        return f"there is no GPU {number} among those of {_VISIBLE}={before}"
    os.environ[_VISIBLE] = visible[int(number)] if visible else number
    if not gpus():
        os.environ.pop(_VISIBLE)
        os.environ.update({} if before is None else {_VISIBLE: before})
        return f"NVIDIA's driver knows of no GPU {number} here"
    _selected = number
    return None


def open_decoded(
    text: str,
    place: Placement,
    *,
    threads: int,
    looked_at: bool = False,
    preparation: Preparation | None = None,
) -> Source:
    """Return a source whose pictures are decoded where frames live, if that works and is fast enough.

    Args:
        text: a source as a user writes it.
        place: place where frames live.
        threads: decoder threads on the processor.
        looked_at: whether the processor must see the pictures, to decide about effects.
        preparation: treatment of the pictures before anything else; None: the usual one.

    Raises:
        ConfigError, SourceOpenError: see `open_source`.
    """
    processor = partial(open_source, text, threads=threads, preparation=preparation)
    if place.device_context is None:
        return processor()
    from streamfx.capture.files.gpu_decode import DevicePictures, decoder_missing, faster

    reason = "it decides about effects by the pictures" if looked_at else None
    if not Path(text).is_file():
        reason = "only video files are decoded on a GPU"
    if place.device_context.device.type == "cuda":
        reason = reason or decoder_missing()
    if reason is not None:
        log.info("%s: decoded by the processor: %s", text, reason)
        return processor()
    device = partial(processor, pictures=DevicePictures(place.device_context))
    try:
        if not faster(device, processor):
            return processor()
        source = device()
    except SourceOpenError as error:
        log.info("%s: decoded by the processor: %s", text, error)
        return processor()
    place.device_context.interleaved = True
    return source


@dataclass(frozen=True, slots=True)
class Encoder:
    """How an output is encoded where frames live.

    Attributes:
        codec: a user's name of it.
        pixel_format: FFmpeg's name of what it takes.
        packing: function that hands frames to it.
        note: note for the report.
    """

    codec: str
    pixel_format: str
    packing: Packing
    note: str

    def encoding(self, asked: Encoding) -> Encoding:
        """Return how the output is encoded, given what was asked for."""
        return replace(asked, codec=self.codec, pixel_format=self.pixel_format)


def encoder_of(
    config: TranscodeConfig, video: VideoFormat, device_context: DeviceContext | None
) -> Encoder | None:
    """Return how a file is encoded where frames live; None where they go back to main memory, for a reason
    that is logged.

    Args:
        config: config of the run.
        video: format of the frames to encode.
        device_context: streams and pools that frames share on the device; None where they are in main memory
            anyhow.
    """
    if device_context is None:
        return None
    from streamfx.encode.available_codecs import encoders
    from streamfx.encode.gpu_encode import DevicePacker, device_format

    codec, pixel_format = _device_codec(config), device_format(video)
    reason = (
        "NVIDIA's encoder was not asked for, or cannot do what was" if codec is None else encoders()[codec]
    )
    if pixel_format is None:
        reason = f"NVIDIA's encoder does not take {video.size[1]}x{video.size[0]} {video.subsampling} frames"
    if codec is None or pixel_format is None or reason is not None:
        log.info("%s: encoded by the processor: %s", config.output, reason)
        return None
    other = codec.removesuffix("_nvenc")
    note = f"{codec} encodes, as frames are on the GPU; --codec {other} takes the processor"
    return Encoder(codec, pixel_format, partial(DevicePacker, device_context), note)


def _device_codec(config: TranscodeConfig) -> str | None:
    """Return the codec of NVIDIA's encoder for the output: the one asked for, or that of what is usual."""
    from streamfx.encode.codecs import CODECS
    from streamfx.encode.containers import CONTAINERS

    if config.codec is not None:
        return config.codec if config.codec.endswith("_nvenc") else None
    container = CONTAINERS.get(Path(config.output).suffix.lower())
    if container is None or any((config.preset, config.pixel_format)) or config.quality is not None:
        return None
    usual = f"{container.codecs[0]}_nvenc"
    return usual if usual in CODECS and usual in container.codecs else None


def _torch_refuses() -> str | None:
    import torch

    return None if torch.cuda.is_available() else "torch cannot use it: the driver is older than its CUDA"
