"""Results as JSON with all that is needed to judge a figure later: versions, device, commit, config."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamfx.hardware.cpu import cpu

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "streamfx",
    "av",
    "numba",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "openvino",
    "torch",
    "triton",
)


def record(
    name: str, rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any], folder: Path = RESULTS
) -> Path:
    """Write one benchmark's rows to ``<name>.json`` and return the path; the last run counts.

    Args:
        name: name of the benchmark, as its file is called.
        rows: measurements, units in the keys.
        config: settings of the measurement: sizes, threads, rounds, options.
        folder: folder to write to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    result = {
        "benchmark": name,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "device": {**asdict(cpu()), "gpu": gpu_name()},
        "versions": versions(),
        "config": dict(config),
        "rows": [dict(row) for row in rows],
    }
    path.write_text(json.dumps(result, indent=1, default=str) + "\n", encoding="utf-8")
    return path


def commit() -> str | None:
    """Return the commit that is measured, with ``+`` if files differ from it; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "../streamfx", ".")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed of those that matter."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def gpu_name() -> str | None:
    """Return the name of the first CUDA device, None without one."""
    try:
        import torch
    except ImportError:
        return None
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
