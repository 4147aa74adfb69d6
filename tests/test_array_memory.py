"""Array memory: a block serves one array and its views at a time, then the next one, and is not kept long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamfx.media.array_memory import ALIGNMENT, PATIENCE, SMALLEST_BYTES, ArrayMemory

SHAPE = (4, SMALLEST_BYTES // 16, 1)


def address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def test_the_memory_of_an_array_that_is_gone_serves_the_next_one_of_its_size() -> None:
    memory = ArrayMemory()
    first = memory.empty(SHAPE)
    assert first.shape == SHAPE
    assert first.dtype == np.float32
    assert first.flags.c_contiguous
    assert first.flags.writeable
    place = address(first)
    assert place % ALIGNMENT == 0
    del first
    assert memory.free_bytes >= SMALLEST_BYTES
    assert address(memory.empty((SHAPE[1], SHAPE[0]), np.int32)) == place


@pytest.mark.parametrize(
    "view",
    [
        lambda array: array[1:],
        lambda array: array.reshape(-1)[5:9],
        lambda array: array[None].transpose(0, 2, 1, 3),
        lambda array: array.view(np.uint8)[0],
        lambda array: memoryview(array[2]),
        lambda array: np.asarray(array)[::2],
        lambda array: np.lib.stride_tricks.as_strided(array, (2, 2), (4, 4)),
        lambda array: np.frombuffer(array, np.uint8),
    ],
)
def test_while_a_view_is_used_its_memory_serves_no_other(view: Callable[[NDArray[Any]], Any]) -> None:
    memory = ArrayMemory()
    whole = memory.empty(SHAPE)
    place, kept = address(whole), view(whole)
    del whole
    assert memory.free_bytes == 0
    assert address(memory.empty(SHAPE)) != place
    before = memory.free_bytes
    del kept
    assert memory.free_bytes > before


def test_arrays_of_several_threads_never_share_memory() -> None:
    memory = ArrayMemory()
    failures: list[str] = []

    def work(value: int) -> None:
        for _ in range(100):
            array = memory.empty(SHAPE)
            array[:] = value
            if not (array == value).all():
                failures.append(f"{value} was overwritten")

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_block_that_nobody_needs_any_more_is_given_back() -> None:
    memory = ArrayMemory()
    memory.empty((1, SMALLEST_BYTES))
    before = memory.free_bytes
    for _ in range(PATIENCE + 2):
        memory.empty(SHAPE)
    assert 0 < memory.free_bytes < before
    memory.clear()
    assert memory.free_bytes == 0


def test_small_arrays_are_left_to_the_allocator() -> None:
    memory = ArrayMemory()
    small = memory.empty((SMALLEST_BYTES // 4 - 1,))
    assert small.base is None
    assert memory.empty((0, 5)).shape == (0, 5)
    assert memory.like(small).shape == small.shape
