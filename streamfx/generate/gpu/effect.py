"""Effect: an engine at work on frames that are on a device; see `streamfx.generate.gpu.recording`."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from streamfx.errors import FrameError
from streamfx.generate.device_effects import Measure
from streamfx.generate.gpu.recording import Recording
from streamfx.generate.gpu.steps import GraphKey, Network
from streamfx.gpu.layout import Layout
from streamfx.gpu.pool import DevicePicture, NonFiniteFlag, memory_error, out_of_memory
from streamfx.gpu.streams import Meter, Stream
from streamfx.gpu.transfer import DeviceContext, device_picture_of
from streamfx.media.frame import Colour, Frame, VideoFormat
from streamfx.media.stage import Stage

if TYPE_CHECKING:
    from streamfx.generate.network_input import Noise

log = logging.getLogger(__name__)

Made = TypeVar("Made")
MOST_RECORDINGS = 8  # of an engine: all factors of one size


class Step:
    """One engine at work on a device. May be called from several threads; frames are done one by one.

    Args:
        network: the engine.
        device_context: place where frames live.
    """

    def __init__(self, network: Network, device_context: DeviceContext) -> None:
        self.network, self._device_context = network, device_context
        self._recordings: OrderedDict[GraphKey, Recording] = OrderedDict()
        self._turn, self._recording_turn = threading.Lock(), threading.Lock()
        self._record_stream, self._meter = Stream(device_context.device, "record"), Meter()
        self._purpose = f"done by {network.name}"

    def __call__(
        self,
        frame: Frame,
        factor: float,
        strength: float,
        noise: Noise | None = None,
        measure: Measure | None = None,
    ) -> Frame:
        """Return the frame with the effect applied, or soon to be; does not wait for the device.

        Args:
            frame: frame to process; brought to the device where it is not there.
            factor: reduction of the picture that the network sees, 1 or more.
            strength: 0..1.
            noise: noise for engines that take some.
            measure: callback, told how long the device took, when a later frame comes and it is known.
        """
        frame = self._device_context.up(frame)
        picture, stream = device_picture_of(frame), self._device_context.work
        memory = frame.memory if self.network.memory_tolerance else None
        before = () if memory is None else memory.recall(self)  # enqueued, so frames are done in their order
        kind = self._kind(Layout.of(picture.surface), frame.colour, factor)
        recording = self._recordings.get(kind) or self.record(kind)
        place = self._device_context.place(self._purpose, kind.form)
        doing = f"engine {self.network.name}, frame {frame.index}:"
        try:
            with self._turn, stream.work(picture.ready, *place.slot.uses):
                begun = stream.record_time()
                known = _known(before, recording)
                flag = recording.run(picture.lease.slot, place.slot, strength, noise, known)
                if memory is not None:
                    memory.keep(self, _Done(recording, recording.pictures_done))
                ended, event = stream.record_time(), stream.record_event()
                if measure is not None:
                    self._meter.took(begun, ended, partial(measure, Stage.ON_DEVICE))
                forgotten = not self._needed(kind, recording)
        except FrameError as error:
            raise FrameError(f"{doing} {error}") from error
        if forgotten:
            event.wait()  # nobody else holds its memory, which the next recording would take
        picture.lease.used(event)
        non_finite = NonFiniteFlag(doing, flag)
        return frame.with_device_pixels(DevicePicture(place, event, (*picture.non_finite_flags, non_finite)))

    def prepare(self, video: VideoFormat, factor: float) -> None:
        """Record now what the first frame of such a video would record; frames go on meanwhile.

        Raises:
            DeviceMemoryError: see `record`.
        """
        planar = Layout(video.size, video.subsampling, video.depth)
        form = planar.semi_planar if self._device_context.interleaved else planar
        self._device_context.place(self._purpose, form)  # its pool is made now, as long as it is, and let go
        kind = self._kind(form, video.colour, factor)
        if kind not in self._recordings:
            self.record(kind)

    def record(self, kind: GraphKey) -> Recording:
        """Return the recording for a kind of picture, made if there is none.

        Raises:
            DeviceMemoryError: there is no memory for it, even with smaller pools.
        """
        with self._recording_turn:
            if (found := self._recordings.get(kind)) is not None:
                return found
            self._forget(kind)
            made = with_less(lambda: self._recorded(kind), self._device_context.shrink, self._asked(kind))
            with self._turn:
                self._recordings[kind] = made
            return made

    def close(self) -> None:
        """Give the recordings back. May be called twice."""
        with self._recording_turn, self._turn:
            self._device_context.work.record_event().wait()
            self._recordings.clear()

    def _kind(self, form: Layout, colour: Colour, factor: float) -> GraphKey:
        return GraphKey(form, colour.assumed(form.size[0]), factor, self.network.engine.version)

    def _recorded(self, kind: GraphKey) -> Recording:
        return Recording(self.network, kind, self._record_stream)

    def _asked(self, kind: GraphKey) -> str:
        height, width = kind.form.size
        return f"{self.network.name} at factor {kind.factor:g} for frames of {width}x{height}"

    def _needed(self, kind: GraphKey, recording: Recording) -> bool:
        """Note that a recording was needed just now; return whether it is still kept. Only in one's turn."""
        kept = self._recordings.get(kind) is recording
        if kept:
            self._recordings.move_to_end(kind)
        return kept

    def _forget(self, kind: GraphKey) -> None:
        """Drop what is outdated, or was needed longest ago when there are many."""
        with self._turn:
            outdated = [each for each in self._recordings if each.version != kind.version]
            others = [each for each in self._recordings if each.version == kind.version]
            old = outdated + others[: max(0, len(others) - MOST_RECORDINGS + 1)]
            dropped = [self._recordings.pop(each) for each in old]
            event = self._device_context.work.record_event()
        if dropped:
            event.wait()  # they may be at work still; who takes one from here on waits himself


class _Done(NamedTuple):
    """A frame that was enqueued: where, and as which of the pictures there."""

    recording: Recording
    number: int


def _known(before: tuple[object, ...], recording: Recording) -> int:
    """Return how many of the frames before are the pictures that a recording did last."""
    wanted = (_Done(recording, recording.pictures_done - at) for at in range(len(before)))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, wanted, strict=True)))


def with_less(make: Callable[[], Made], shrink: Callable[[], int], asked: str) -> Made:
    """Return what ``make`` makes; where memory does not suffice, after shrinking the pools.

    Raises:
        DeviceMemoryError: it does not suffice even then.
    """
    try:
        return make()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        freed = shrink()
        log.warning("no device memory for %s; queues gave %d bytes back", asked, freed)
    try:
        return make()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise memory_error(
            asked, f"queues had given {freed:,} bytes back and it was not enough", error
        ) from error
