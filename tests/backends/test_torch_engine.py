"""What torch runs for a setting and a shape can be exchanged while somebody still uses the former."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import Tensor

from streamfx.backends import torch_engine
from streamfx.backends.backend import Precision
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.torch_engine import TorchEngine
from streamfx.engine.golden import Golden

MATRIX = np.eye(3, 4, dtype=np.float32)
PICTURE = np.zeros((3, 4, 4), np.float32)
SHAPE = (1, *PICTURE.shape)


class Filling:
    """Heads of one value; as weights on a device would, it lives as long as somebody holds it."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, seen: Tensor, heads: Tensor) -> None:
        heads.fill_(self.value)


def test_what_was_exchanged_lives_until_the_engine_is_closed_as_recordings_may_still_read_its_weights() -> (
    None
):
    engine = TorchEngine(
        Golden(PICTURE, MATRIX, MATRIX, 1.0, PICTURE), "toy", Precision.F32, "cpu", lambda *_: Filling(1)
    )
    assert engine(PICTURE, MATRIX, MATRIX, 1.0).max() == 1
    setting = Setting.of(MATRIX, MATRIX, 1.0)
    former = weakref.ref(engine._ready[setting, SHAPE].translate)
    assert engine.exchange(setting, SHAPE, Filling(2))
    assert engine(PICTURE, MATRIX, MATRIX, 1.0).max() == 2
    assert engine.version == 1
    gc.collect()
    assert former() is not None
    engine.close()
    gc.collect()
    assert former() is None


class Recordings:
    """Stands in for what records a graph: keeps count, and has the heads that the translation gives."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def __call__(self, translate: Filling, *others: object) -> object:
        self.values.append(translate.value)
        return lambda reduced: np.full_like(reduced, translate.value)


def test_nothing_is_recorded_for_frames_of_the_host_where_none_come_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Recordings()
    monkeypatch.setattr(torch_engine, "_Recorded", made)
    golden = Golden(PICTURE, MATRIX, MATRIX, 1.0, PICTURE)
    engine = TorchEngine(golden, "toy", Precision.F32, "cpu", lambda *_: Filling(1))
    engine.device = torch.device("cuda", 0)  # its tensors are in main memory all the same
    seen, heads = torch.zeros(SHAPE), torch.zeros(SHAPE)
    setting = Setting.of(MATRIX, MATRIX, 1.0)
    engine.run(seen, MATRIX, MATRIX, 1.0, heads)
    assert heads.max() == 1
    assert engine.exchange(setting, SHAPE, Filling(2))
    engine.run(seen, MATRIX, MATRIX, 1.0, heads)
    assert heads.max() == 2
    assert made.values == []
    for _ in range(2):
        engine.warm_up(SHAPE[1:], MATRIX, MATRIX, 1.0)
        assert engine(PICTURE, MATRIX, MATRIX, 1.0).max() == 2
    assert made.values == [2]
    assert engine.exchange(setting, SHAPE, Filling(3))
    assert made.values == [2, 3]  # at once, as frames of the host have come
    assert engine(PICTURE, MATRIX, MATRIX, 1.0).max() == 3
    engine.close()
    with pytest.raises(RuntimeError, match="this compiled engine is closed"):
        engine(PICTURE, MATRIX, MATRIX, 1.0)
