"""What torch runs for a setting and a shape can be exchanged while somebody still uses the former."""

from __future__ import annotations

import gc
import weakref

import numpy as np
from torch import Tensor

from streamfx.backends.backend import Precision
from streamfx.backends.golden import Golden
from streamfx.backends.setting import Setting
from streamfx.backends.torch_engine import TorchEngine

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
