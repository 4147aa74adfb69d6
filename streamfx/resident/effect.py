"""Effect on a device: reduce ▸ translate ▸ fuse for pictures that are there already, as one CUDA graph.

A graph is recorded for each kind of picture, factor and engine, with memory of its own for what goes in and
comes out; pictures are copied there and from there, which takes microseconds. The strength is read from the
device when the graph runs, so changing it records nothing. On the CPU the same steps run one by one.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from streamfx.backends.cuda_graph import recorded
from streamfx.errors import FrameError
from streamfx.frame import Colour, Frame, VideoFormat
from streamfx.generate.colour import code_to_rgb, rgb_to_code
from streamfx.generate.reduce import small_size
from streamfx.generate.surface import Surface
from streamfx.resident.form import Form
from streamfx.resident.lanes import Lane
from streamfx.resident.residence import Residence, held_of
from streamfx.resident.ring import Doubt, Held, Slot, device_memory, memory_error, out_of_memory
from streamfx.resident.steps import fuse_on, reduce_on

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.backends.backend import DeviceEngine

log = logging.getLogger(__name__)

Made = TypeVar("Made")
MOST_RECORDINGS = 8  # of an engine: all factors of one size


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What is to be known of an engine here.

    Attributes:
        name: for messages; says how it runs as well.
        engine: on the device.
        stride: what both sides of the reduced picture are multiples of.
        max_displacement_pixels: bound of the displacement, in pixels of the reduced picture.
    """

    name: str
    engine: DeviceEngine
    stride: int
    max_displacement_pixels: float


class Kind(NamedTuple):
    """What a recording is made for."""

    form: Form
    colour: Colour  # nothing in it unknown
    factor: float
    version: int


class Step:
    """One engine at work on a device. May be called from several threads; frames are done one by one.

    Args:
        network: the engine.
        residence: where frames live.
    """

    def __init__(self, network: Network, residence: Residence) -> None:
        self.network, self._residence = network, residence
        self._recordings: OrderedDict[Kind, Recording] = OrderedDict()
        self._turn, self._recording_turn = threading.Lock(), threading.Lock()
        self._record_lane = Lane(residence.device, "record")
        self._purpose = f"done by {network.name}"

    def __call__(self, frame: Frame, factor: float, strength: float) -> Frame:
        """Return the frame with the effect applied, or soon to be; does not wait for the device.

        Args:
            frame: is brought to the device where it is not there.
            factor: how many times smaller the network's picture is, 1 or more.
            strength: 0..1.
        """
        frame = self._residence.up(frame)
        held, lane = held_of(frame), self._residence.work
        kind = self._kind(Form.of(held.surface), frame.colour, factor)
        recording = self._recordings.get(kind) or self.record(kind)
        place = self._residence.place(self._purpose, kind.form)
        doing = f"engine {self.network.name}, frame {frame.index}:"
        try:
            with self._turn, lane.work(held.ready, *place.slot.uses):
                flag = recording.run(held.lease.slot, place.slot, strength)
                mark = lane.mark()
                forgotten = not self._needed(kind, recording)
        except FrameError as error:
            raise FrameError(f"{doing} {error}") from error
        if forgotten:
            mark.wait()  # nobody else holds its memory, which the next recording would take
        held.lease.used(mark)
        doubt = Doubt(doing, flag)
        return frame.with_held(Held(place, mark, (*held.doubts, doubt)))

    def prepare(self, video: VideoFormat, factor: float) -> None:
        """Record now what the first frame of such a video would record; frames go on meanwhile.

        Raises:
            DeviceMemoryError: see `record`.
        """
        planar = Form(video.size, video.subsampling, video.depth)
        form = planar.semi_planar if self._residence.interleaved else planar
        self._residence.place(self._purpose, form)  # its ring is made now, as long as it is, and let go
        kind = self._kind(form, video.colour, factor)
        if kind not in self._recordings:
            self.record(kind)

    def record(self, kind: Kind) -> Recording:
        """Return the recording for a kind of picture, made if there is none.

        Raises:
            DeviceMemoryError: there is no memory for it, even with smaller rings.
        """
        with self._recording_turn:
            if (found := self._recordings.get(kind)) is not None:
                return found
            self._forget(kind)
            made = with_less(lambda: self._recorded(kind), self._residence.shrink, self._asked(kind))
            with self._turn:
                self._recordings[kind] = made
            return made

    def close(self) -> None:
        """Give the recordings back. May be called twice."""
        with self._recording_turn, self._turn:
            self._residence.work.mark().wait()
            self._recordings.clear()

    def _kind(self, form: Form, colour: Colour, factor: float) -> Kind:
        return Kind(form, colour.assumed(form.size[0]), factor, self.network.engine.version)

    def _recorded(self, kind: Kind) -> Recording:
        return Recording(self.network, kind, self._record_lane)

    def _asked(self, kind: Kind) -> str:
        height, width = kind.form.size
        return f"{self.network.name} at factor {kind.factor:g} for frames of {width}x{height}"

    def _needed(self, kind: Kind, recording: Recording) -> bool:
        """Note that a recording was needed just now; return whether it is still kept. Only in one's turn."""
        kept = self._recordings.get(kind) is recording
        if kept:
            self._recordings.move_to_end(kind)
        return kept

    def _forget(self, kind: Kind) -> None:
        """Drop what is outdated, or was needed longest ago when there are many."""
        with self._turn:
            outdated = [each for each in self._recordings if each.version != kind.version]
            others = [each for each in self._recordings if each.version == kind.version]
            old = outdated + others[: max(0, len(others) - MOST_RECORDINGS + 1)]
            dropped = [self._recordings.pop(each) for each in old]
            mark = self._residence.work.mark()
        if dropped:
            mark.wait()  # they may be at work still; who takes one from here on waits himself


class Recording:
    """What is done to one kind of picture, ready to run.

    Args:
        network: the engine.
        kind: of picture.
        lane: to record in, while frames are done in another one.
    """

    def __init__(self, network: Network, kind: Kind, lane: Lane) -> None:
        self._network, self._kind = network, kind
        self._to_rgb = code_to_rgb(kind.colour, kind.form.depth).astype(np.float32)
        self._from_rgb = rgb_to_code(kind.colour, kind.form.depth).astype(np.float32)
        self._strength_set = 1.0
        self._graph: torch.cuda.CUDAGraph | None = None
        with lane.work():
            self._allocate(lane.device)
            if lane.stream is not None:
                self._record(lane.device, lane.stream)
        lane.mark().wait()

    def run(self, source: Slot, target: Slot, strength: float) -> Tensor:
        """Enqueue one picture on torch's current stream; return the flag of its `Doubt`."""
        import torch

        if strength != self._strength_set:
            self._strength.fill_(strength)
            self._strength_set = strength
        if self._graph is None:
            self._steps(source.surface, target.surface)
        else:
            self._source.memory.copy_(source.memory, non_blocking=True)
            self._graph.replay()
            target.memory.copy_(self._target.memory, non_blocking=True)
        flag = torch.empty(1, dtype=torch.int32, pin_memory=self._graph is not None)
        flag.copy_(self._not_finite, non_blocking=True)
        return flag

    def _steps(self, source: Surface, target: Surface) -> None:
        network, colour = self._network, self._kind.colour
        self._not_finite.zero_()
        reduce_on(source, colour, self._seen)
        network.engine.run(self._seen, self._to_rgb, self._from_rgb, self._kind.factor, self._heads)
        fuse_on(
            source,
            target,
            self._heads,
            self._seen,
            colour=colour,
            strength=self._strength,
            max_displacement_pixels=network.max_displacement_pixels,
            not_finite=self._not_finite,
        )

    def _allocate(self, device: torch.device) -> None:
        import torch

        engine = self._network.engine
        seen = (1, 3, *small_size(self._kind.form.size, self._kind.factor, self._network.stride))
        self._seen = torch.zeros(seen, dtype=engine.dtype, device=device)
        self._heads = torch.zeros(engine.heads_shape(seen), dtype=engine.dtype, device=device)
        self._strength = torch.ones(1, dtype=torch.float32, device=device)
        self._not_finite = torch.zeros(1, dtype=torch.int32, device=device)

    def _record(self, device: torch.device, stream: torch.cuda.Stream) -> None:
        allocate = device_memory(device)
        self._source, self._target = (Slot.new(self._kind.form, allocate) for _ in range(2))
        self._graph = recorded(lambda: self._steps(self._source.surface, self._target.surface), stream)


def with_less(make: Callable[[], Made], shrink: Callable[[], int], asked: str) -> Made:
    """Return what ``make`` makes; where memory does not suffice, after shrinking the rings.

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
