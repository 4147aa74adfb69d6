"""What holds for every test."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from streamfx.hardware.cpu import usable_cores
from tests import compile_once, engines
from tests.asserts import assert_no_thread_is_left

# Tests run beside one another: more threads for a network would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests start hundreds of processes, and each would compile the package for itself. Numba keeps what it
# compiled in the same folders, whatever this says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if "PYTEST_XDIST_WORKER" in os.environ:
    compile_once.install()

# A time limit per example would make tests fail on a busy machine; no test here asserts times.
hypothesis.settings.register_profile("streamfx", deadline=None)
hypothesis.settings.load_profile("streamfx")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait, for the clock, a connection or another process."""
    return usable_cores() + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looking for garbage among modules and tests, which stay; nor look there later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _no_thread_outlives_a_test() -> Iterator[None]:
    yield
    assert_no_thread_is_left()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of compiled engines, one for all tests that do not ask what is in it.

    The tiny engines have the same weights whenever they are made, so each is compiled once, also for workers
    beside one another.
    """
    base = tmp_path_factory.getbasetemp()
    return str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "compiled")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, compiled: str) -> dict[str, str]:
    """What a process sees of the command: a tiny engine called "tiny", the tests' cache, the checkout."""
    folder = tmp_path_factory.mktemp("command")
    engines.make_engine(folder / "engines")
    return os.environ | {
        "STREAMFX_ENGINES": str(folder / "engines"),
        "STREAMFX_CACHE": compiled,
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }


@pytest.fixture
def at_home(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the test runs in, one of its own; engine and cache are those of ``environment``."""
    for name in ("STREAMFX_ENGINES", "STREAMFX_CACHE"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.chdir(tmp_path)
    return tmp_path
