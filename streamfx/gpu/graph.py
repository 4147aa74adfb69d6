"""CUDA graph: work that is enqueued once, recorded, and from then on given to the GPU in one go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

WARM_CALLS = 3  # before recording: libraries choose algorithms and allocate in the first ones


def recorded(work: Callable[[], object], stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
    """Return what does the work again: same kernels, same memory, whatever that holds by then.

    Args:
        work: function that enqueues something on torch's current stream and neither waits nor copies from or
            to the host. It is called a few times, and whatever it uses must live as long as the graph.
        stream: stream to record in, not the default one. Waits for what torch's current stream has been
            given.

    Raises:
        RuntimeError: the work cannot be recorded, or there is no memory for it.
    """
    import torch

    stream.wait_stream(torch.cuda.current_stream(stream.device))
    with torch.cuda.stream(stream):
        for _ in range(WARM_CALLS):
            work()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the GPU meanwhile: they are no part of the recording and must not spoil it.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    return graph
