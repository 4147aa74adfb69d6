"""Recording a CUDA graph, with stand-ins for torch.cuda: what is called when, and what a replay does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamfx.backends.torch_engine import _Recorded
from streamfx.gpu.graph import WARM_CALLS, recorded
from tests.fake_cuda import FakeCuda, install


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    return install(monkeypatch)


def test_work_is_warmed_up_in_its_stream_before_it_is_recorded_there(cuda: FakeCuda) -> None:
    recorded(lambda: cuda.log.append(f"work in {cuda.current.name}"), cuda.new_stream())
    assert cuda.log == [
        "stream 1 waits for default",  # where what the work reads was written
        *["work in stream 1"] * WARM_CALLS,
        "the host waits for stream 1",
        "records in stream 1, thread_local",  # other threads go on using the GPU
        "work in stream 1",
    ]
    assert cuda.current.name == "default"


def test_a_replay_does_the_work_on_what_its_memory_holds_by_then(cuda: FakeCuda) -> None:
    given, made, calls = torch.ones(3), torch.zeros(3), 0

    def work() -> None:
        nonlocal calls
        calls += 1
        made.copy_(given * 2 + 1)

    graph = recorded(work, cuda.new_stream())
    given.fill_(5)
    graph.replay()
    assert made.tolist() == [11, 11, 11]
    assert calls == WARM_CALLS + 1


def test_work_that_cannot_be_recorded_says_why_and_leaves_the_stream(cuda: FakeCuda) -> None:
    def work() -> None:
        if any(line.startswith("records") for line in cuda.log):
            raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        recorded(work, cuda.new_stream())
    assert cuda.current.name == "default"


@pytest.mark.usefixtures("cuda")
def test_frames_of_the_host_go_through_the_recording_and_their_heads_are_their_own() -> None:
    """`TorchEngine` on a GPU, of which only that it is one is left out."""
    shape = (1, 3, 4, 6)

    def translate(seen: torch.Tensor, heads: torch.Tensor) -> None:
        heads.copy_(seen.flip(3) * 0.5)

    with torch.inference_mode():
        engine = _Recorded(translate, shape, shape, torch.float32, torch.device("cpu"))
    random = np.random.default_rng(0)
    pictures = [random.normal(size=shape[1:]).astype(np.float32) for _ in range(2)]
    given = [engine(picture) for picture in pictures]
    for picture, heads in zip(pictures, given, strict=True):
        assert np.array_equal(heads, picture[:, :, ::-1] * 0.5)
