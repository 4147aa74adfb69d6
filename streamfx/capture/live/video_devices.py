"""Cameras that Linux knows of, without opening them."""

from __future__ import annotations

from pathlib import Path

_CLASS = Path("/sys/class/video4linux")


def cameras(root: Path = _CLASS) -> dict[str, str]:
    """Return the name of each video device by its path, such as /dev/video0; empty where there is none."""
    found = {}
    for folder in sorted(root.glob("video*"), key=lambda path: (len(path.name), path.name)):
        try:
            found[f"/dev/{folder.name}"] = (folder / "name").read_text(errors="replace").strip()
        except OSError:
            continue  # unplugged since it was listed
    return found
