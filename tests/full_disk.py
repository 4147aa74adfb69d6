"""A disk that is full after the first bytes of a file."""

from __future__ import annotations

import errno

import pytest

from streamfx.encode.files.output_file import OutputFile


def fill(monkeypatch: pytest.MonkeyPatch, name: str = "") -> None:
    """Let files whose name begins so have no room beyond what is written first: the header."""
    write, begun = OutputFile.write, set[str]()

    def full(file: OutputFile, data: bytes) -> int:
        if file.path.name.startswith(name):
            if file.name in begun:
                raise OSError(errno.ENOSPC, "No space left on device")
            begun.add(file.name)
        return write(file, data)

    monkeypatch.setattr(OutputFile, "write", full)
