"""A TensorRT that runs without a GPU: its plans name an engine, and torch computes what they give.

It reads and writes memory by the addresses that it is told, as the real one does, and keeps what it was told.
"""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from streamfx.backends.fixed_inputs import Setting
from streamfx.engine.folder import read_engine

if TYPE_CHECKING:
    import torch

__version__ = "11.0.fake"
HALF, INPUT, OUTPUT = "half", "input", "output"


def plan_for(folder: Path, setting: Setting, shape: tuple[int, ...] | None, **changed: object) -> bytes:
    """Return a plan of the fake for an engine; ``changed`` replaces what it says of itself."""
    facts = {
        "folder": str(folder),
        "setting": [setting.to_rgb.hex(), setting.from_rgb.hex(), setting.factor],
        "shape": shape,
        "wrong_by": 0.0,
        "type": HALF,
        "outputs": 1,
        "fails": False,
    }
    return json.dumps(facts | changed).encode()


class Logger:
    WARNING = 1

    def __init__(self, level: int) -> None:
        self.level = level


class TensorIOMode:
    INPUT = INPUT


class DataType:
    HALF = HALF


class Runtime:
    def __init__(self, logger: Logger) -> None: ...

    def deserialize_cuda_engine(self, data: bytes) -> Engine | None:
        try:
            return Engine(json.loads(data))
        except ValueError:
            return None


class Engine:
    """A deserialized plan."""

    opened: ClassVar[list[Engine]] = []

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts, self.contexts = facts, list[Context]()
        self.names = ["seen", *(f"output{number}" for number in range(facts["outputs"]))]
        self.opened.append(self)

    @property
    def num_io_tensors(self) -> int:
        return len(self.names)

    def get_tensor_name(self, number: int) -> str:
        return self.names[number]

    def get_tensor_mode(self, name: str) -> str:
        return INPUT if name == "seen" else OUTPUT

    def get_tensor_dtype(self, name: str) -> str:
        return str(self.facts["type"])

    def create_execution_context(self) -> Context:
        self.contexts.append(Context(self.facts))
        return self.contexts[-1]


@dataclass
class Context:
    """Runs a plan for one shape, and keeps what it was told."""

    facts: dict[str, Any]
    shape: tuple[int, ...] | None = None
    addresses: dict[str, int] = field(default_factory=dict)
    streams: list[int] = field(default_factory=list)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        wanted = self.facts["shape"]
        self.shape = shape
        return name == "seen" and wanted in (None, list(shape))

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.streams.append(stream)
        if self.facts["fails"]:
            return False
        import torch

        assert self.shape is not None
        to_rgb, from_rgb, factor = self.facts["setting"]
        setting = Setting(bytes.fromhex(to_rgb), bytes.fromhex(from_rgb), factor)
        seen = torch.from_numpy(_memory(self.addresses["seen"], self.shape).astype(np.float32))
        heads = _heads(Path(self.facts["folder"]), setting, seen) + self.facts["wrong_by"]
        _memory(self.addresses["output0"], tuple(heads.shape))[:] = heads.numpy().astype(np.float16)
        return True


def _heads(folder: Path, setting: Setting, seen: torch.Tensor) -> torch.Tensor:
    import torch

    constants = [torch.from_numpy(value.copy()) for value in setting.values]
    with torch.inference_mode():
        heads: torch.Tensor = read_engine(folder).network()(seen, *constants)
    return heads


def _memory(address: int, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float16]]:
    words = (ctypes.c_uint16 * int(np.prod(shape))).from_address(address)
    return np.ctypeslib.as_array(words).view(np.float16).reshape(shape)
