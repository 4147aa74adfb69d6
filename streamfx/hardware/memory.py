"""Memory that the system allows this process, and what to say when it is not enough."""

from __future__ import annotations

import contextlib

NOT_ENOUGH = "there is not enough memory; fewer threads (--threads 1) need less"
_PLENTY_BYTES = 4 << 30  # of address space, which is more than the memory that is used


def memory_hint() -> str:
    """Return a remark for messages where the address space of the process is limited; empty where it is not.

    Libraries that get no memory give all kinds of reasons.
    """
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY and limit < _PLENTY_BYTES:
            return f" (memory is limited to {limit >> 20} MB, which may be too little: see ulimit -v)"
    return ""
