"""Pools of pictures in device memory: what is lent comes back, sizes are in bytes, memory may not suffice."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from streamfx.errors import DeviceMemoryError
from streamfx.generate.gpu.effect import with_less
from streamfx.gpu.layout import Layout
from streamfx.gpu.pool import DevicePicture, Pool, device_memory, out_of_memory, slots_within
from streamfx.gpu.streams import Event
from streamfx.media.frame import Subsampling

CPU = device_memory(torch.device("cpu"))
FORM = Layout((48, 64), paired=True)


class ScarceMemory:
    """Gives memory like torch does, up to a limit, and then says like torch that there is none."""

    def __init__(self, limit_bytes: int) -> None:
        self.left_bytes = limit_bytes

    def __call__(self, size_bytes: int) -> Any:
        if size_bytes > self.left_bytes:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nmore")
        self.left_bytes -= size_bytes
        return CPU(size_bytes)


def test_a_pool_holds_as_many_pictures_as_its_bytes_allow_but_never_too_few() -> None:
    assert Pool(FORM, 5 * FORM.size_bytes + 7, CPU).slots == 5
    assert Pool(FORM, 0, CPU, least=3).slots == 3
    assert slots_within(10**12, 1) == 64


def test_rows_are_aligned_and_chroma_lies_right_behind_luma() -> None:
    # NVENC is told of luma only, and looks for chroma there.
    form = Layout((36, 130), depth=10, paired=True, high=True)
    luma, chroma, *_ = form.surface(CPU(form.size_bytes)).planes
    assert luma.stride(1) == chroma.stride(1) == 256
    assert chroma.data_ptr() - luma.data_ptr() == 36 * 512
    assert form.size_bytes == (36 + 18) * 512


@pytest.mark.parametrize("subsampling", Subsampling)
def test_planes_of_every_form_fit_their_memory(subsampling: Subsampling) -> None:
    for paired in (False, True):
        form = Layout((37, 71), subsampling, 10, paired, paired)
        surface = form.surface(CPU(form.size_bytes))
        assert Layout.of(surface) == form
        for number, plane in enumerate(surface.planes):
            plane.view(torch.int16).fill_(number + 1)
        assert [int(plane.view(torch.int16).min()) for plane in surface.planes] == [1, 2, 3][: 3 - paired]


def test_a_slot_comes_back_when_the_last_who_holds_it_lets_go() -> None:
    pool = Pool(FORM, 0, CPU, least=2)
    lease = pool.take()
    held, again = DevicePicture(lease), DevicePicture(lease)
    del lease, held
    assert pool.free == 1
    del again
    assert pool.free == 2


def test_who_takes_a_slot_waits_until_one_is_let_go() -> None:
    pool = Pool(FORM, 0, CPU, least=2)
    first, second = pool.take(), pool.take()
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(pool.take().slot))
    thread.start()
    assert got == []
    slot = second.slot
    del second
    thread.join(30)
    assert got == [slot]
    assert first.slot is not slot


def test_who_waits_too_long_for_a_slot_is_told_that_all_are_held() -> None:
    pool = Pool(FORM, 0, CPU, least=2, what="frames to encode")
    leases = [pool.take(), pool.take()]
    with pytest.raises(
        DeviceMemoryError, match=r"another of the frames to encode: all 2 were held for 0\.01 s"
    ):
        pool.take(0.01)
    assert len(leases) == 2


def test_a_slot_remembers_work_that_is_not_done_and_forgets_what_is() -> None:
    class CudaEvent:
        done = False

        def query(self) -> bool:
            return self.done

    event = CudaEvent()
    pool = Pool(FORM, 0, CPU, least=2)
    pending = Event(event)  # type: ignore[arg-type]
    lease = pool.take()
    slot = lease.slot
    lease.used(pending)
    del lease
    assert slot.uses == [pending]
    others = [pool.take(), pool.take()]
    event.done = True
    del others
    assert slot.uses == []


def test_where_memory_is_scarce_a_pool_has_fewer_slots(caplog: pytest.LogCaptureFixture) -> None:
    pool = Pool(FORM, 8 * FORM.size_bytes, ScarceMemory(3 * FORM.size_bytes), least=2, what="frames done")
    assert pool.slots == pool.free == 3
    assert "device memory holds 3 frames done instead of 8" in caplog.text


def test_without_memory_for_the_fewest_slots_the_error_says_what_was_asked_and_found() -> None:
    with pytest.raises(DeviceMemoryError) as caught:
        Pool(FORM, 0, ScarceMemory(3 * FORM.size_bytes), least=6, what="frames done")
    text = str(caught.value)
    assert "asked for 6 frames done of 64x48 (18,432 bytes each)" in text
    assert "there was room for 3 (CUDA out of memory. Tried to allocate 20.00 MiB.)" in text
    assert "larger --factor, or run with --device cpu" in text


def test_shrinking_gives_free_slots_back_but_not_the_fewest() -> None:
    pool = Pool(FORM, 6 * FORM.size_bytes, CPU, least=2)
    held = pool.take()
    assert pool.shrink() == 4 * FORM.size_bytes
    assert (pool.slots, pool.free) == (2, 1)
    del held
    assert pool.free == 2


def test_an_engine_that_finds_no_memory_gets_that_of_the_queues_and_then_gives_up() -> None:
    memory = ScarceMemory(100)

    def shrink() -> int:
        memory.left_bytes += 50
        return 50

    assert with_less(lambda: memory(120), shrink, "engine 'wave' at factor 2").numel() == 120
    with pytest.raises(
        DeviceMemoryError, match="asked for engine 'wave' at factor 2; queues had given 50 bytes"
    ):
        with_less(lambda: memory(200), shrink, "engine 'wave' at factor 2")


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(size_bytes: int) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        Pool(FORM, 0, broken)
    assert out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert not out_of_memory(ValueError("out of cheese"))
