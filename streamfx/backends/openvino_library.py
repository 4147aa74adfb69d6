"""OpenVINO itself, loaded with what it would do unasked kept out."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np


@cache
def openvino() -> Any:
    """Import OpenVINO without what tells its makers of each import.

    It imports its converter, which sends an event over the network through the package openvino_telemetry and
    leaves a file in the home folder (2026.4). Where that package is missing, a stand-in sends nothing.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


@cache
def core() -> Any:
    """Return OpenVINO's entry; one thread at a time may make it."""
    ov = openvino()
    # pybind11 sets up its view of NumPy in the first conversion. When two threads make that at once, each may
    # wait for what the other holds, for ever (OpenVINO 2026.4.1: 5 of 120 starts). So it is made here.
    ov.Tensor(np.zeros(1, np.float32), shared_memory=True)
    return ov.Core()
