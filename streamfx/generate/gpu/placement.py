"""Placement: which effects work where frames live, and where frames go when they are finished."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass

from streamfx.backends.backend import CompiledEngine, DeviceEngine, Precision
from streamfx.engine.folder import Engine
from streamfx.engine.spec import EngineSpec
from streamfx.generate.gpu.effect import Step
from streamfx.generate.gpu.mixing import mixed
from streamfx.generate.gpu.steps import Network
from streamfx.gpu.layout import Layout
from streamfx.gpu.transfer import DeviceContext, device_picture_of
from streamfx.media.frame import Frame, VideoFormat

log = logging.getLogger(__name__)

_HALF_DEPTH = 11  # codes of more bits are not told apart in half precision


@dataclass(frozen=True, slots=True)
class DevicePlacement:
    """A device on which the frames of a run stay between effects.

    Attributes:
        device_context: streams and pools there.
        video: format of the frames that come in.
        stays: whether the output takes frames on the device, too.
        insisted: whether the device was asked for, so that what does not work there deserves a warning.
    """

    device_context: DeviceContext
    video: VideoFormat
    stays: bool = False
    insisted: bool = False

    def step(self, engine: Engine, compiled: CompiledEngine) -> Step | None:
        """Return what runs an engine on the device; None, and a line in the log, where that cannot be."""
        if not isinstance(compiled, DeviceEngine) or (reason := self._obstacle(engine.spec, compiled)):
            reason = reason if isinstance(compiled, DeviceEngine) else f"{compiled.backend} is for the CPU"
            level = logging.WARNING if self.insisted else logging.INFO
            log.log(level, "effect %s: frames go through main memory: %s", engine.name, reason)
            return None
        log.info("effect %s: frames stay on %s", engine.name, self.device_context.device)
        name = f"{engine.name!r} ({compiled.backend}, {compiled.precision})"
        spec = engine.spec
        network = Network(
            name,
            compiled,
            engine.stride,
            spec.max_displacement_pixels,
            fine_luma=spec.fine_luma,
            memory_tolerance=spec.memory_tolerance,
            placed=None if spec.fuses else engine,
        )
        return Step(network, self.device_context)

    def mix(self, over: Frame, under: Frame, matte: Frame, *, inverted: bool) -> Frame:
        """Return a frame over another by a matte, on the device; see `mixed`."""
        return mixed(self.device_context, over, under, matte, inverted=inverted)

    def leave(self, frame: Frame) -> Frame:
        """Return the frame, finished, with its pixels where the output wants them; waits for them.

        Raises:
            FrameError: an engine gave something that is not finite for it.
        """
        if not self.stays:
            return self.device_context.down(frame)
        frame = self.device_context.up(frame)
        picture = device_picture_of(frame)
        picture = self.device_context.as_form(picture, Layout.of(picture.surface).semi_planar, "to encode")
        picture.wait()
        return frame.with_device_pixels(picture)

    def _obstacle(self, spec: EngineSpec, compiled: CompiledEngine) -> str | None:
        """Return why an engine cannot work on frames where they are; None where it can."""
        if spec.enlarges:
            return "it makes frames larger, and only those that keep their size can stay"
        if self.device_context.device.type == "cuda" and importlib.util.find_spec("triton") is None:
            return "Triton, which comes with the CUDA build of torch, is not installed"
        if compiled.precision is Precision.F16 and self.video.depth > _HALF_DEPTH:
            return f"{compiled.precision} does not hold codes of {self.video.depth} bits"
        return None
