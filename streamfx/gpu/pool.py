"""Pool: memory for a fixed number of pictures, lent out and given back, not allocated while frames flow.

Whoever needs a place for a picture takes a slot and waits while all are lent. A slot comes back when the last
one who holds it lets go: a frame that a queue drops, or an encoder that has returned its packet. Then its
memory may still be in use by work that a GPU has not come to; so each use leaves an event, and the next
taker's stream waits for those, and not this thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamfx.errors import DeviceMemoryError, FrameError
from streamfx.gpu.layout import Layout, arrays_of, copy_surface, sampled_planes
from streamfx.gpu.streams import PASSED, Event, Stream
from streamfx.media.frame import Planes, Subsampling
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

LEAST_SLOTS = 2  # one is filled while the other is read
MOST_SLOTS = 64  # NVENC remembers that many places
_WAIT_SECONDS = 60.0  # for a slot; whoever holds all of them that long never lets go

Allocate = Callable[[int], Any]
"""Returns so many bytes of memory, a tensor of uint8; raises what torch raises where there is none."""


@dataclass(slots=True)
class Slot:
    """Memory for one picture, and what still uses it.

    Attributes:
        memory: all of it, uint8.
        surface: the picture in it.
        uses: events of earlier users, which a new writer must wait for.
    """

    memory: Tensor
    surface: Surface
    uses: list[Event] = field(default_factory=list)

    @classmethod
    def new(cls, form: Layout, allocate: Allocate) -> Slot:
        """Return one with memory of its own."""
        memory = allocate(form.size_bytes)
        return cls(memory, form.surface(memory))


class Lease:
    """A slot somebody holds; given back when nobody does."""

    __slots__ = ("_pool", "slot")

    def __init__(self, pool: Pool, slot: Slot) -> None:
        self._pool, self.slot = pool, slot

    def used(self, event: Event) -> None:
        """Say that work up to the event uses the slot: nobody else may before."""
        self.slot.uses.append(event)

    def __del__(self) -> None:
        self._pool.give_back(self.slot)


@dataclass(frozen=True, slots=True, eq=False)
class NonFiniteFlag:
    """Whether an engine gave something that is not finite for a frame.

    Attributes:
        engine: engine, how it runs and which frame it is, for the message.
        flag: (1,) int32 in main memory, not 0 if so; written by the time that the frame is ready, so that
            looking at it never waits.
    """

    engine: str
    flag: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class DevicePicture:
    """A picture in the memory of a device, as a frame carries it; alive as long as somebody has it.

    Attributes:
        lease: lease of the slot that the pixels lie in, read-only once a frame has them.
        ready: event after which the pixels are there.
        non_finite_flags: flags of the engines that made them: whether a value was not finite.
    """

    lease: Lease
    ready: Event = PASSED
    non_finite_flags: tuple[NonFiniteFlag, ...] = ()

    @property
    def surface(self) -> Surface:
        """The pixels."""
        return self.lease.slot.surface

    @property
    def memory(self) -> Tensor:
        """The same as one run of bytes."""
        return self.lease.slot.memory

    @property
    def size(self) -> tuple[int, int]:
        return self.surface.size

    @property
    def subsampling(self) -> Subsampling:
        return self.surface.subsampling

    @property
    def depth(self) -> int:
        return self.surface.depth

    def fetch(self) -> Planes:
        """Return the pixels as planes in main memory: a copy without haste, see `DeviceContext.down`.

        Raises:
            FrameError: see `wait`.
        """
        self.wait()
        form = Layout.of(self.surface).planar
        device = self.surface.device
        with Stream(device, "fetch").work():
            there = Slot.new(form, device_memory(device))
            copy_surface(self.surface, there.surface)
            y, u, v = arrays_of(form.surface(there.memory.cpu()))
        return y, u, v

    def sampled(self, rows: int, columns: int) -> Planes:
        """Return so many samples of each plane, evenly spread, in main memory: no more than those is copied.

        Raises:
            FrameError: see `wait`.
        """
        self.wait()
        with Stream(self.surface.device, "fetch").work():
            y, u, v = sampled_planes(self.surface, rows, columns)
        return y, u, v

    def wait(self) -> None:
        """Wait until the pixels are there.

        Raises:
            FrameError: an engine gave something that is not finite for them.
        """
        self.ready.wait()
        for flagged in self.non_finite_flags:
            if int(flagged.flag.item()):
                raise FrameError(
                    f"{flagged.engine} the network gave values that are not finite; its weights or its "
                    "precision do not fit: verify the engine, or run it in float32"
                )


class Pool:
    """Slots for pictures of one form.

    Args:
        form: form of the pictures.
        budget_bytes: budget for all slots; `LEAST_SLOTS` there are in any case.
        allocate: function that gives the memory.
        least: slots without which those who take turns with them would wait for one another for ever.
        what: purpose, for messages.

    Attributes:
        form: form of the pictures.
        slots: number of slots. Fewer than the budget allows, where the device had no more
            memory.

    Raises:
        DeviceMemoryError: there is not even memory for ``least`` slots.
    """

    def __init__(
        self,
        form: Layout,
        budget_bytes: int,
        allocate: Allocate,
        *,
        least: int = LEAST_SLOTS,
        what: str = "frames",
    ) -> None:
        self.form, self._what, self._least = form, what, least
        self._free: deque[Slot] = deque()
        self._changed = threading.Condition()
        wanted = slots_within(budget_bytes, form.size_bytes, least)
        self.slots = 0
        for _ in range(wanted):
            try:
                self._free.append(Slot.new(form, allocate))
            except BaseException as error:
                if not out_of_memory(error):
                    raise
                if self.slots < least:
                    raise memory_error(
                        f"{least} {what} of {form.size[1]}x{form.size[0]} ({form.size_bytes:,} bytes each)",
                        f"there was room for {self.slots}",
                        error,
                    ) from error
                log.warning("device memory holds %d %s instead of %d", self.slots, what, wanted)
                break
            self.slots += 1

    @property
    def free(self) -> int:
        """Slots that nobody holds now."""
        return len(self._free)

    def take(self, wait_seconds: float = _WAIT_SECONDS) -> Lease:
        """Return a slot, as soon as there is one; write to it once the events of `Slot.uses` are passed.

        Raises:
            DeviceMemoryError: none came back in time.
        """
        deadline = time.monotonic() + wait_seconds
        with self._changed:
            while not self._free:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and not self._free:
                    raise DeviceMemoryError(
                        f"no place for another of the {self._what}: all {self.slots} were held for "
                        f"{wait_seconds:g} s; whoever takes them (the output?) has stopped, or holds more"
                    )
            return Lease(self, self._free.popleft())

    def shrink(self) -> int:
        """Give memory of free slots back, down to the fewest that do; return how many bytes that is."""
        freed = 0
        with self._changed:
            while self._free and self.slots > self._least:
                for event in self._free.pop().uses:
                    event.wait()
                self.slots -= 1
                freed += self.form.size_bytes
        return freed

    def give_back(self, slot: Slot) -> None:
        """Take a slot back; called when its lease dies, in whatever thread that is."""
        slot.uses[:] = [event for event in slot.uses if not event.passed]
        with self._changed:
            self._free.append(slot)
            self._changed.notify()


def slots_within(budget_bytes: int, slot_bytes: int, least: int = 1, most: int = MOST_SLOTS) -> int:
    """Return how many pictures a queue or pool of so many bytes holds."""
    return max(least, min(most, budget_bytes // max(1, slot_bytes)))


def device_memory(device: Any, *, pinned: bool = False) -> Allocate:
    """Return what allocates memory on a device, or in main memory where the device reaches it by itself."""
    import torch

    def allocate(size_bytes: int) -> Tensor:
        # Not zeroed: that would be work in the default stream, which no stream waits for.
        if pinned and device.type == "cuda":
            return torch.empty(size_bytes, dtype=torch.uint8, pin_memory=True)
        return torch.empty(size_bytes, dtype=torch.uint8, device="cpu" if pinned else device)

    return allocate


def out_of_memory(error: BaseException) -> bool:
    """Return whether the error says that a device has no memory left."""
    if isinstance(error, MemoryError):
        return True
    import torch

    # Pinning and library workspaces fail with errors of their own kind.
    known = isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    return known or isinstance(error, torch.OutOfMemoryError)


def memory_error(asked: str, found: str, error: BaseException) -> DeviceMemoryError:
    """Return the error that says what was asked, what was found, and what to do."""
    first = (str(error).splitlines() or [""])[0]
    return DeviceMemoryError(
        f"not enough device memory: asked for {asked}; {found} ({first}); "
        "close what else uses the GPU, take a larger --factor, or run with --device cpu"
    )
