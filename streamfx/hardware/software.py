"""Versions: of streamfx, Python and the libraries that do the work, as installed; none is imported for it."""

from __future__ import annotations

import contextlib
import platform
from importlib.metadata import PackageNotFoundError, version

from streamfx.version import __version__

_LIBRARIES = ("av", "numpy", "numba", "openvino", "torch", "triton", "torch-tensorrt", "tensorrt")


def versions() -> dict[str, str]:
    """Return the versions by name; of the libraries those that are installed."""
    found = {"streamfx": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[library] = version(library)
    return found
