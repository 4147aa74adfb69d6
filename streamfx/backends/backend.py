"""Backend: what runs an engine's network; the protocols, and the choice among the backends there are.

Legend of shapes: N channels that the network sees, h x w what it sees, multiples of the engine's stride;
C x H x W the heads, of the size that the golden frame shows for its own input.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from streamfx.backends.golden import Array, Golden
from streamfx.errors import BackendUnavailableError, ConfigError

if TYPE_CHECKING:
    from torch import nn

    from streamfx.backends.store import CompiledStore

log = logging.getLogger(__name__)


class Precision(StrEnum):
    """What the network computes in. ``AUTO`` is whatever is fastest here and passes the golden check."""

    AUTO = "auto"
    F32 = "f32"
    BF16 = "bf16"


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

    def seen_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """Return the shape (N, h, w) of what the network sees of a (height, width) picture."""

    @property
    def golden(self) -> Golden:
        """The golden frame."""

    def network(self) -> nn.Module:
        """Return the network in evaluation mode; imports torch."""


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """How an engine is to be compiled.

    Attributes:
        precision: what to compute in.
        threads: processor threads for one call; None for all cores this process may use.
        lanes: calls that can run at the same time, each with ``threads`` threads; further ones wait.
        store: where compiled engines are kept between runs; None keeps nothing.
    """

    precision: Precision = Precision.AUTO
    threads: int | None = None
    lanes: int = 1
    store: CompiledStore | None = None

    def __post_init__(self) -> None:
        if self.lanes < 1 or (self.threads is not None and self.threads < 1):
            raise ConfigError(f"threads and lanes must be at least 1, found {self.threads} and {self.lanes}")


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
            factor: how many times smaller the picture is than the full one, 1 or more.
        """

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        """Do now what the first such call with an input of this shape would do besides computing."""

    def close(self) -> None:
        """Give everything back; calls are an error from here on. May be called twice."""


class Backend(Protocol):
    """One way to run networks."""

    @property
    def name(self) -> str:
        """Name as the user gives it."""

    def availability(self) -> str | None:
        """Return None where this backend can run, else the reason why not, as the end of a sentence."""

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> CompiledEngine:
        """Return the engine, compiled and checked against its golden frame.

        Raises:
            BackendUnavailableError: this backend cannot run here, or not in the precision asked for.
            EngineMismatchError: what was compiled does not give the engine's golden heads.
        """


@dataclass(frozen=True, slots=True)
class Planned:
    """A backend that is known by name but cannot run yet."""

    name: str
    reason: str

    def availability(self) -> str:
        return self.reason

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> CompiledEngine:  # noqa: ARG002
        raise BackendUnavailableError(f"backend {self.name} cannot run here: {self.reason}")


def backends() -> tuple[Backend, ...]:
    """Return every backend there is, the fastest first."""
    from streamfx.backends.eager import EagerBackend
    from streamfx.backends.openvino import OpenVinoBackend

    return (
        Planned("tensorrt", "it is not built yet; it will need an NVIDIA GPU"),
        Planned("inductor", "it is not built yet; it will need an NVIDIA GPU"),
        OpenVinoBackend(),
        EagerBackend(),
    )


def choose(name: str = "auto", among: Sequence[Backend] | None = None) -> Backend:
    """Return the backend of that name, or with ``auto`` the fastest that can run here.

    Args:
        name: of a backend, or ``auto``.
        among: backends to choose from, the fastest first; None for all there are.

    Raises:
        ConfigError: there is no backend of that name.
        BackendUnavailableError: it cannot run here; says why, and which can.
    """
    known = backends() if among is None else among
    reasons = {backend.name: backend.availability() for backend in known}
    usable = [backend for backend in known if reasons[backend.name] is None]
    choice = ", ".join(backend.name for backend in usable) or "none"
    if name == "auto":
        if not usable:
            listed = "; ".join(f"{backend}: {reason}" for backend, reason in reasons.items())
            raise BackendUnavailableError(f"no backend can run here: {listed}")
        for backend in known[: known.index(usable[0])]:
            log.info("backend %s, which is faster, is not used: %s", backend.name, reasons[backend.name])
        return usable[0]
    if name not in reasons:
        close = difflib.get_close_matches(name, reasons, n=1)
        hint = f" did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"there is no backend {name!r};{hint} known: auto, {', '.join(reasons)}")
    if reasons[name] is not None:
        raise BackendUnavailableError(
            f"backend {name} cannot run here: {reasons[name]}; can run here: {choice}"
        )
    return next(backend for backend in known if backend.name == name)
