"""What tests of pages share: engines, and a place of their own that is left as it was found."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import engines
from tests.servers import wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the engines ``tiny`` and ``other``."""
    folder = tmp_path_factory.mktemp("pages")
    engines.make_engine(folder, "tiny")
    engines.make_engine(folder, "other", seed=11)
    return folder


@pytest.fixture
def place_of_its_own(
    folder: Path, compiled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Engines and cache of the folder, an empty folder to work in, and no thread left behind."""
    monkeypatch.setenv("STREAMFX_CACHE", compiled)
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder))
    monkeypatch.chdir(tmp_path)
    before = set(threading.enumerate())
    yield
    wait_until(lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith("streamfx")])
