"""CUDA: whether torch can use an NVIDIA GPU here, and a compiler. Found out without importing torch."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from enum import StrEnum
from pathlib import Path

from streamfx.errors import BackendUnavailableError
from streamfx.hardware.nvidia import gpus


class Device(StrEnum):
    """Where a network is to run. ``AUTO`` is what the backend is for: eager the CPU, the others a GPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def torch_missing() -> str | None:
    """Return None where torch is installed, else what to install, as the end of a sentence."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed; pip install torch"
    return None


def cuda_missing() -> str | None:
    """Return None where torch can use an NVIDIA GPU, else the reason why not, as the end of a sentence."""
    if reason := torch_missing():
        return reason
    if not gpus():
        return "NVIDIA's driver knows of no GPU here"
    spec = importlib.util.find_spec("torch")
    folders = (spec.submodule_search_locations if spec else None) or ()
    if not any(next(Path(folder, "lib").glob("*torch_cuda.*"), None) for folder in folders):
        return (
            "the torch that is installed was built without CUDA; install its CUDA build, of the same version"
        )
    return None


def compiler_missing(variable: str, names: tuple[str, ...]) -> str | None:
    """Return None where kernels can be compiled, else what is missing, as the end of a sentence.

    Args:
        variable: variable of the environment, which may name the compiler: CC or CXX.
        names: names of compilers, any of which will do where the variable is not set.
    """
    wanted = (os.environ[variable],) if os.environ.get(variable) else names
    if not any(map(shutil.which, wanted)):
        return f"no compiler is found ({' or '.join(wanted)}); on Debian and Ubuntu: apt install g++"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        return f"{header} is missing; on Debian and Ubuntu: apt install python3-dev"
    return None


def require_cuda(backend: str) -> None:
    """Return if torch can use an NVIDIA GPU.

    Raises:
        BackendUnavailableError: it cannot; says why.
    """
    if reason := cuda_missing():
        raise BackendUnavailableError(f"backend {backend} cannot run on a GPU here: {reason}")
