"""Transfer: what the frames of a run share on a device, streams and pools; and the way there and back."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streamfx.errors import FrameError
from streamfx.gpu.layout import Layout, arrays_of, copy_surface, fill
from streamfx.gpu.pool import Allocate, DevicePicture, Lease, Pool, device_memory
from streamfx.gpu.streams import Event, Stream
from streamfx.media.frame import Frame

if TYPE_CHECKING:
    import torch

    from streamfx.media.surface import Surface

POOL_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """How much of a device the frames of a run may take.

    Attributes:
        pool_bytes: memory for each pool; a pool holds ``least`` pictures in any case.
        least: pictures that can be held at a time: by those who generate, by queues, by encoders. A pool
            with fewer could wait for ever.
        workers: frames generated at a time: as many are on their way up or down.
    """

    pool_bytes: int = POOL_BYTES
    least: int = 8
    workers: int = 2


class DeviceContext:
    """Streams and pools on one device. Its methods may be called from several threads.

    Args:
        device: place where the frames live. On the CPU the same is done without streams, to compare.
        budget: share of the device that frames may take.
        allocate: function that gives memory on the device; None: torch does.

    Attributes:
        device: place where the frames live.
        work: the stream of reduce, network and fuse.
        interleaved: whether frames begin as NV12 or P010, as decoders of GPUs give them.
    """

    def __init__(
        self, device: torch.device, budget: MemoryBudget | None = None, allocate: Allocate | None = None
    ) -> None:
        self.device, self._budget = device, budget or MemoryBudget()
        self.interleaved = False
        self.work = Stream(device, "generate")
        self._uploads, self._downloads = Stream(device, "upload"), Stream(device, "download")
        self._allocate = allocate or device_memory(device)
        self._pinned = device_memory(device, pinned=True)
        self._pools: dict[tuple[str, Layout], Pool] = {}
        self._making = threading.Lock()
        self._upload_turn, self._download_turn = threading.Lock(), threading.Lock()

    def place(self, purpose: str, form: Layout, *, pinned: bool = False) -> Lease:
        """Return a slot for a picture; waits until there is one.

        Args:
            purpose: purpose of the pool. Each has its own, so that nobody waits for what he holds himself.
            form: form of the picture.
            pinned: staging memory, where the device reaches it by itself.

        Raises:
            DeviceMemoryError: there is no memory for the pool, or all slots stay held.
        """
        pool = self._pools.get((purpose, form))
        if pool is None:
            with self._making:
                pool = self._pools.get((purpose, form))
                if pool is None:
                    pool = self._pools[purpose, form] = self._new_pool(purpose, form, pinned=pinned)
        return pool.take()

    def _new_pool(self, purpose: str, form: Layout, *, pinned: bool) -> Pool:
        budget, what = self._budget, f"frames {purpose}"
        if pinned:  # taken for a moment, each by one worker
            return Pool(form, 0, self._pinned, least=budget.workers + 1, what=what)
        return Pool(form, budget.pool_bytes, self._allocate, least=budget.least, what=what)

    def shrink(self) -> int:
        """Give back memory of slots that nobody holds, and what torch keeps for later; return the bytes."""
        import torch

        with self._making:
            freed = sum(pool.shrink() for pool in self._pools.values())
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return freed

    def peak_bytes(self) -> int | None:
        """Return the most memory of the GPU that this process held through torch; None on the CPU.

        What the driver, decoders, encoders and TensorRT take besides, torch does not know.
        """
        import torch

        return torch.cuda.max_memory_reserved(self.device) if self.device.type == "cuda" else None

    def up(self, frame: Frame) -> Frame:
        """Return the frame with its pixels on the device, or soon to be there; does not wait for the copy."""
        return (
            frame
            if frame.device_pixels is not None
            else self._brought(frame, Layout.of_frame(frame), "uploaded")
        )

    def as_decoded(self, frame: Frame) -> Frame:
        """Return a frame of main memory where and as this device's decoder would have given it.

        That is how a clip is measured without its decoder. Does not wait for the copy.
        """
        form = Layout.of_frame(frame)
        return self._brought(frame, form.semi_planar if self.interleaved else form, "decoded")

    def _brought(self, frame: Frame, form: Layout, purpose: str) -> Frame:
        staged = self.place("to upload", form, pinned=True)
        for event in staged.slot.uses:
            event.wait()
        fill(staged.slot.surface, frame.planes)
        place = self.place(purpose, form)
        with self._upload_turn, self._uploads.work(*place.slot.uses):
            place.slot.memory.copy_(staged.slot.memory, non_blocking=True)
            event = self._uploads.record_event()
        staged.used(event)
        return frame.with_device_pixels(DevicePicture(place, event))

    def down(self, frame: Frame) -> Frame:
        """Return the frame with its pixels in main memory; waits for them.

        Raises:
            FrameError: an engine gave something that is not finite for it.
        """
        if frame.device_pixels is None:
            return frame
        picture = device_picture_of(frame)
        planar = self.as_form(picture, Layout.of(picture.surface).planar, "to download")
        staged = self.place("downloaded", Layout.of(planar.surface), pinned=True)
        with self._download_turn, self._downloads.work(planar.ready):
            staged.slot.memory.copy_(planar.memory, non_blocking=True)
            event = self._downloads.record_event()
        planar.lease.used(event)
        DevicePicture(staged, event, picture.non_finite_flags).wait()
        y, u, v = (np.array(plane) for plane in arrays_of(staged.slot.surface))
        return frame.with_planes((y, u, v))

    def as_form(self, picture: DevicePicture, form: Layout, purpose: str) -> DevicePicture:
        """Return the picture in another form; the very same where it is of that form."""
        if Layout.of(picture.surface) == form:
            return picture
        place = self.place(purpose, form)
        with self._download_turn, self._downloads.work(picture.ready, *place.slot.uses):
            copy_surface(picture.surface, place.slot.surface)
            event = self._downloads.record_event()
        picture.lease.used(event)
        return DevicePicture(place, event, picture.non_finite_flags)

    def taken_over(self, surface: Surface, ready: Event) -> DevicePicture:
        """Return a copy of a picture that is not ours, a decoder's; once this returns, that may be let go."""
        place = self.place("decoded", Layout.of(surface))
        with self._upload_turn, self._uploads.work(ready, *place.slot.uses):
            copy_surface(surface, place.slot.surface)
            event = self._uploads.record_event()
        event.wait()
        return DevicePicture(place)


def device_picture_of(frame: Frame) -> DevicePicture:
    """Return what a frame holds on a device.

    Raises:
        FrameError: its pixels are in main memory.
    """
    if not isinstance(frame.device_pixels, DevicePicture):
        raise FrameError(f"frame {frame.index}: its pixels must be on a device, and are in main memory")
    return frame.device_pixels
