"""Registry: the backends there are, and the choice among them. A new one is its file and a line here."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import cast

from streamfx.backends.backend import Backend
from streamfx.errors import BackendUnavailableError, ConfigError, did_you_mean
from streamfx.hardware.cuda import Device

log = logging.getLogger(__name__)

_CLASSES: Mapping[str, str] = {
    "tensorrt": "streamfx.backends.tensorrt.TensorRtBackend",
    "inductor": "streamfx.backends.inductor.InductorBackend",
    "openvino": "streamfx.backends.openvino.OpenVinoBackend",
    "eager": "streamfx.backends.eager.EagerBackend",
}
NAMES = tuple(_CLASSES)
"""The backends by name, the fastest first."""


def backend_named(name: str) -> Backend | None:
    """Return the backend of that name, whether or not it can run here; None where there is none."""
    if name not in _CLASSES:
        return None
    module, _, made = _CLASSES[name].rpartition(".")
    return cast(Backend, getattr(import_module(module), made)())


def backends() -> tuple[Backend, ...]:
    """Return every backend there is, the fastest first."""
    return tuple(backend for name in NAMES if (backend := backend_named(name)))


def libraries() -> tuple[str, ...]:
    """Return the distributions that backends run networks with."""
    return tuple(dict.fromkeys(backend.library for backend in backends()))


def choose(
    name: str = "auto", among: Sequence[Backend] | None = None, device: Device = Device.AUTO
) -> Backend:
    """Return the backend of that name, or with ``auto`` the fastest that can run here.

    Args:
        name: name of a backend, or ``auto``.
        among: backends to choose from, the fastest first; None for all there are.
        device: place where ``auto`` is to run the network.

    Raises:
        ConfigError: there is no backend of that name.
        BackendUnavailableError: it cannot run here; says why, and which can.
    """
    known = backends() if among is None else among
    if name == "auto" and device is not Device.AUTO:
        known = [backend for backend in known if device in backend.chosen_on]
    reasons = {backend.name: backend.availability() for backend in known}
    usable = [backend for backend in known if reasons[backend.name] is None]
    choice = ", ".join(backend.name for backend in usable) or "none"
    if name == "auto":
        if not usable:
            listed = "; ".join(f"{backend}: {reason}" for backend, reason in reasons.items())
            raise BackendUnavailableError(f"no backend can run here: {listed}")
        passed_over = {backend.name: reasons[backend.name] or backend.held_back() for backend in known}
        # Where every one that can run is held back, the slowest is still better than none.
        chosen = next((backend for backend in usable if passed_over[backend.name] is None), usable[-1])
        for backend in known[: known.index(chosen)]:
            log.info(
                "backend %s, which goes before, is not used: %s", backend.name, passed_over[backend.name]
            )
        return chosen
    if name not in reasons:
        meant = did_you_mean(name, reasons)
        raise ConfigError(
            f"there is no backend {name!r}; {meant}{meant and ' '}known: auto, {', '.join(reasons)}"
        )
    if reasons[name] is not None:
        raise BackendUnavailableError(
            f"backend {name} cannot run here: {reasons[name]}; can run here: {choice}"
        )
    return next(backend for backend in known if backend.name == name)
