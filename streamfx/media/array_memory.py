"""Array memory: the memory of large arrays, used again by the arrays of the next frames.

Memory that is new to a process costs about 2 us for each 4 KiB, which the system finds and clears when it is
first written to: a tenth to a quarter of the processor time of a video at factors 1 and 2. Allocators give
blocks of this size back as soon as they are free. Here they are kept for a short while.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections import deque
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Block: TypeAlias = NDArray[np.uint8]

SMALLEST_BYTES = 1 << 16  # below, allocators keep blocks themselves
ALIGNMENT = 64  # bytes: one line of the cache, and the widest vector
PATIENCE = 96  # arrays given out, after which a block that none of them needed is given back: some 10 frames


class ArrayMemory:
    """Memory for arrays; a block belongs to one array at a time, and to its views. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given = 0
        self._free: list[tuple[int, Block]] = []  # arrays given out when it was free again, and the block
        # An array may be let go of anywhere, within these methods too, so that must take no lock.
        self._returned: deque[Block] = deque()

    @property
    def free_bytes(self) -> int:
        """Size of the blocks that no array uses."""
        with self._lock:
            self._collect()
            return sum(block.nbytes for _, block in self._free)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Return a C-contiguous array like that of `numpy.empty`: with any values."""
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        if size < SMALLEST_BYTES:
            return np.empty(shape, kind)
        block = self._take(size + ALIGNMENT)
        # The views of an array hold on to what lent its memory, though not to the array.
        offset = -block.ctypes.data % ALIGNMENT
        lender: Any = (ctypes.c_uint8 * size).from_buffer(block.data, offset)
        weakref.finalize(lender, self._returned.append, block).atexit = False
        array: NDArray[Any] = np.frombuffer(lender, kind).reshape(shape)
        return array

    def like(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a C-contiguous array of the shape and type of another, with any values."""
        return self.empty(array.shape, array.dtype)

    def clear(self) -> None:
        """Give back all blocks that no array uses."""
        with self._lock:
            self._returned.clear()
            self._free.clear()

    def _take(self, size: int) -> Block:
        with self._lock:
            self._given += 1
            self._collect()
            # From the end: the one that came last is likeliest to be in cache.
            fitting = (at for at in reversed(range(len(self._free))) if self._free[at][1].nbytes == size)
            found = next(fitting, None)
            if found is not None:
                return self._free.pop(found)[1]
        return np.empty(size, np.uint8)

    def _collect(self) -> None:
        while self._returned:
            self._free.append((self._given, self._returned.popleft()))
        self._free = [(since, block) for since, block in self._free if self._given - since <= PATIENCE]


arrays = ArrayMemory()
"""The memory of the arrays of this process that live for a few frames."""
