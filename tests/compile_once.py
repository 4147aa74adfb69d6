"""Kernels of Numba, compiled once for all processes that run tests beside one another.

In a fresh checkout each of them would compile the same kernels at the same time, for half a minute of
processor time. Whoever comes second waits instead, and finds in Numba's cache what the first has put there.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher

_THREADS = threading.RLock()  # one kernel that is compiled has others compiled
_held: set[str] = set()  # files whose kernels this process may compile


def install() -> None:
    """Have the kernels of a file compiled by one process at a time, in this process from now on."""
    compile_here: Callable[[Any, Any], Any] = Dispatcher.compile

    def compile_once(kernel: Any, signature: Any) -> Any:
        if isinstance(kernel._cache, NullCache):
            return compile_here(kernel, signature)
        with _alone(kernel.py_func.__code__.co_filename):
            return compile_here(kernel, signature)

    Dispatcher.compile = compile_once  # type: ignore[method-assign, assignment]


@contextmanager
def _alone(file: str) -> Iterator[None]:
    with _THREADS:
        if file in _held:
            yield
            return
        with Path(file).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go when it is closed
            _held.add(file)
            try:
                yield
            finally:
                _held.discard(file)
