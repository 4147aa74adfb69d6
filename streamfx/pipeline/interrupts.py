"""Interrupts: Ctrl-C as a call at a time of our choosing, not as an exception at any line."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP


@contextmanager
def interrupts_call(act: Callable[[], None]) -> Iterator[None]:
    """Within, call ``act`` where a signal's handler would raise KeyboardInterrupt.

    A KeyboardInterrupt comes between any two lines, also between the start of one thread and that of the
    next, or inside the clause that handles the one before; nothing can then be ended properly. Handlers that
    do not raise it, and signals that Python does not handle, stay as they are. Only the main thread has
    handlers; in another one nothing changes.
    """
    before: dict[int, Callable[[int, FrameType | None], object]] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            before[number](number, frame)
        except KeyboardInterrupt:
            act()

    try:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    before[number] = handler
                    signal.signal(number, handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
