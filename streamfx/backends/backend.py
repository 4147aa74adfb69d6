"""Backend: what runs an engine's network; the protocols, and the choice among the backends there are.

Legend of shapes: N channels that the network sees, h x w what it sees, multiples of the engine's stride;
C x H x W the heads, of the size that the golden frame shows for its own input.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from streamfx.engine.golden import Array, Golden
from streamfx.errors import ConfigError
from streamfx.hardware.cuda import Device

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from streamfx.backends.store import CompiledStore

log = logging.getLogger(__name__)


class Precision(StrEnum):
    """What the network computes in. ``AUTO`` is whatever is fastest here and passes the golden check."""

    AUTO = "auto"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    INT8 = "int8"


class Build(StrEnum):
    """What happens while an engine is built: frames wait for it, or go on with something slower."""

    WAIT = "wait"
    BACKGROUND = "background"


class CompilableEngine(Protocol):
    """What a backend needs to know of an engine."""

    @property
    def name(self) -> str:
        """Name for messages."""

    @property
    def digest(self) -> str:
        """Hash of everything the engine consists of, hexadecimal."""

    @property
    def stride(self) -> int:
        """What height and width of the reduced picture are multiples of."""

    def input_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """Return the shape (N, h, w) of what the network sees of a (height, width) picture."""

    @property
    def golden(self) -> Golden:
        """The golden frame."""

    @property
    def folder(self) -> Path:
        """Where it lies, for a process of its own that builds it."""

    def file(self, name: str) -> bytes | None:
        """Return a file of its folder, verified; None where there is none of that name."""

    def network(self) -> nn.Module:
        """Return the network in evaluation mode; imports torch."""


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """How an engine is to be compiled.

    Attributes:
        precision: number format of the computation.
        threads: processor threads for one call; None for all cores this process may use.
        requests: calls that can run at the same time, each with ``threads`` threads; further ones wait.
        store: place where compiled engines are kept between runs; None keeps nothing.
        device: device to run on; what a backend cannot run on is an error.
        build: whether to wait for what takes long to build.
    """

    precision: Precision = Precision.AUTO
    threads: int | None = None
    requests: int = 1
    store: CompiledStore | None = None
    device: Device = Device.AUTO
    build: Build = Build.BACKGROUND

    def __post_init__(self) -> None:
        if self.requests < 1 or (self.threads is not None and self.threads < 1):
            raise ConfigError(
                f"threads and requests must be at least 1, found {self.threads} and {self.requests}"
            )


class CompiledEngine(Protocol):
    """An engine made ready by one backend. May be called from several threads at once."""

    @property
    def backend(self) -> str:
        """Name of the backend."""

    @property
    def precision(self) -> Precision:
        """What it computes in; never ``AUTO``."""

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        """Return the heads (C, H, W), float32, in memory that belongs to the caller.

        Args:
            reduced: (N, h, w) float32, C-contiguous: Y, U, V in code values, then noise.
            to_rgb: (3, 4) float32, affine map from code values to RGB in 0..1.
            from_rgb: (3, 4) float32, affine map from RGB in 0..1 to code values.
            factor: ratio of the full size to the reduced one, 1 or more.
        """

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        """Do now what the first such call with an input of this shape would do besides computing."""

    def close(self) -> None:
        """Give everything back; calls are an error from here on. May be called twice."""


@runtime_checkable
class DeviceEngine(Protocol):
    """What a compiled engine offers besides where pictures may stay on its device.

    Attributes:
        device: place where its tensors are.
        dtype: data type of its tensors.
        version: counts the times that what `run` does was exchanged for something faster. A recording of
            `run` (CUDA graph) goes on giving the right heads; a new one, made when this changes, is faster.
    """

    device: torch.device
    dtype: torch.dtype
    version: int

    def heads_shape(self, seen: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape (B, C, H, W) of the heads of what is seen, (B, N, h, w)."""

    def run(self, seen: Tensor, to_rgb: Array, from_rgb: Array, factor: float, heads: Tensor) -> None:
        """Enqueue the heads of what is seen, on torch's current stream, and return at once.

        Nothing is copied to or from the host. Once `CompiledEngine.warm_up` was called for the shape, it may
        be recorded in a CUDA graph. Calls on several streams at a time are not safe for one shape
        and setting.

        Args:
            seen: (B, N, h, w), contiguous: what the network sees, see `CompiledEngine`.
            to_rgb: (3, 4) float32, of the host; like ``from_rgb`` and ``factor`` part of the weights.
            from_rgb: (3, 4) float32, of the host.
            factor: ratio of the full size to the reduced one, 1 or more.
            heads: (B, C, H, W), contiguous: is written to.
        """


class Backend(Protocol):
    """One way to run networks. All that others need to know of it stands here.

    Attributes:
        name: name as the user gives it.
        chosen_on: devices on which ``auto`` may choose it.
        library: distribution on whose version its speed depends.
        keeps_compiled: whether what it compiles is kept from one run to the next.
        compiles_each_size: whether each size of the picture is compiled anew, which takes long.
    """

    @property
    def name(self) -> str: ...

    @property
    def chosen_on(self) -> frozenset[Device]: ...

    @property
    def library(self) -> str: ...

    @property
    def keeps_compiled(self) -> bool: ...

    @property
    def compiles_each_size(self) -> bool: ...

    def availability(self) -> str | None:
        """Return None where this backend can run, else the reason why not, as the end of a sentence."""

    def held_back(self) -> str | None:
        """Return None where ``auto`` may take it, else why not although it may run, as a sentence's end."""

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> CompiledEngine:
        """Return the engine, compiled and checked against its golden frame.

        Raises:
            BackendUnavailableError: this backend cannot run here, or not in the precision asked for.
            EngineMismatchError: what was compiled does not give the engine's golden heads.
        """
