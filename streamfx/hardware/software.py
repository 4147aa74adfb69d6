"""Versions: of streamfx, Python and the libraries that do the work, as installed; none is imported for it."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from streamfx.version import __version__

_LIBRARIES = ("av", "numpy", "numba", "torch", "triton", "tensorrt")


def versions(libraries: Iterable[str] = ()) -> dict[str, str]:
    """Return the versions by name; of the libraries those that are installed.

    Args:
        libraries: distributions to name besides those that every run uses.
    """
    found = {"streamfx": __version__, "python": platform.python_version()}
    for library in dict.fromkeys((*_LIBRARIES, *libraries)):
        with contextlib.suppress(PackageNotFoundError):
            found[library] = version(library)
    return found
