"""The store of compiled engines: what is kept, and everything that must not be used."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from streamfx.backends.store import CompiledStore, Stored, StoreKey, default_folder

KEY = StoreKey(
    engine="tiny",
    engine_digest="ab" * 32,
    backend="openvino",
    backend_version="2026.4.1",
    torch_version="2.13.0",
    device="some processor",
    device_features=("AVX2", "FMA"),
    precision="auto",
    flags=("one", "two"),
)
BUILD = Stored({"model.blob": bytes(range(256)) * 40, "empty": b""}, {"precision": "bf16", "f32_ms": 2.5})


@pytest.fixture
def store(tmp_path: Path) -> CompiledStore:
    return CompiledStore(tmp_path / "compiled")


def test_what_was_stored_is_loaded_again_whole(store: CompiledStore) -> None:
    assert store.load(KEY) is None
    path = store.save(KEY, BUILD)
    assert store.load(KEY) == BUILD
    assert [(entry.path, entry.key, entry.notes) for entry in store.entries()] == [(path, KEY, BUILD.notes)]
    assert store.entries()[0].size_bytes > 10240


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, engine_digest="cd" * 32),
        replace(KEY, backend_version="2027.0"),
        replace(KEY, torch_version=None),
        replace(KEY, device="another processor"),
        replace(KEY, device_features=("AVX2",)),
        replace(KEY, precision="f32"),
        replace(KEY, flags=()),
        replace(KEY, sizes="up to 640x360"),
    ],
    ids=lambda key: next(name for name in KEY.__slots__ if getattr(key, name) != getattr(KEY, name)),
)
def test_a_build_for_something_else_is_not_used_and_the_log_says_what_differs(
    store: CompiledStore, other: StoreKey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.save(KEY, BUILD)
    assert store.load(other) is None
    name = next(name for name in KEY.__slots__ if getattr(other, name) != getattr(KEY, name))
    assert f"does not fit: {name} {getattr(KEY, name)} is now {getattr(other, name)}" in caplog.text


def cut_in_header(data: bytes) -> bytes:
    return data[:60]


def cut_in_payload(data: bytes) -> bytes:
    return data[:-100]


def cut_at_start(data: bytes) -> bytes:
    return data[:10]


def emptied(data: bytes) -> bytes:
    return b""


def longer(data: bytes) -> bytes:
    return data + b"more"


def one_bit_changed_in_payload(data: bytes) -> bytes:
    return data[:-50] + bytes([data[-50] ^ 1]) + data[-49:]


def key_changed(data: bytes) -> bytes:
    return data.replace(b"some processor", b"same processor")


def header_of_another_shape(data: bytes) -> bytes:
    return data.replace(b'"engine_digest"', b'"engine-digest"')


def something_else(data: bytes) -> bytes:
    return b"\x80\x04 not ours \n\n\n"


@pytest.mark.parametrize(
    "damage",
    [
        cut_in_header,
        cut_in_payload,
        cut_at_start,
        emptied,
        longer,
        one_bit_changed_in_payload,
        key_changed,
        header_of_another_shape,
        something_else,
    ],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_file_is_not_used_and_the_log_says_so(
    store: CompiledStore, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(damage)
    path = store.save(KEY, BUILD)
    assert path is not None
    path.write_bytes(damage(path.read_bytes()))
    assert store.load(KEY) is None
    assert f"the compiled engine {path} cannot be used, building it again: " in caplog.text
    assert len(store.entries()) == 1  # it is listed all the same, so that it can be removed
    store.save(KEY, BUILD)
    assert store.load(KEY) == BUILD


def test_clearing_removes_everything_and_says_what(store: CompiledStore) -> None:
    store.save(KEY, BUILD)
    store.save(replace(KEY, precision="f32"), BUILD)
    (store.folder / ".left-over.compiled").write_bytes(b"a write that was broken off")
    assert [entry.key and entry.key.precision for entry in store.clear()] == ["auto", "f32"]
    assert list(store.folder.iterdir()) == []
    assert store.clear() == ()


def test_the_oldest_builds_for_one_size_make_room_and_nothing_else(store: CompiledStore) -> None:
    others = [
        KEY,
        replace(KEY, engine="tiny-other", sizes="3x8x8"),
        replace(KEY, backend="other", sizes="3x8x8"),
    ]
    of_a_size = [replace(KEY, sizes=f"3x8x{width}") for width in (8, 16, 24)]
    for number, key in enumerate([*others, *of_a_size]):
        path = store.save(key, BUILD)
        assert path is not None
        os.utime(path, (number, number))
    store.keep_newest(KEY, 2)
    assert [store.load(key) is not None for key in of_a_size] == [False, True, True]
    assert [store.load(key) for key in others] == [BUILD] * 3


def test_a_store_that_cannot_be_written_to_is_logged_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    store = CompiledStore(tmp_path / "file" / "compiled")
    assert store.save(KEY, BUILD) is None
    assert "it is built again next time: " in caplog.text
    assert store.load(KEY) is None


def test_the_folder_is_the_one_in_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMFX_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("STREAMFX_CACHE")
    assert default_folder().name == "compiled"


WRITER = """
import sys
from pathlib import Path
from streamfx.backends.store import CompiledStore, Stored
from tests.backends.test_store import KEY
store = CompiledStore(Path(sys.argv[1]))
for number in range(40):
    fill = bytes([int(sys.argv[2])]) * 200_000
    assert store.save(KEY, Stored({"model.blob": fill}, {})) is not None
    found = store.load(KEY)
    assert found is not None, "a reader saw a file that is not whole"
    assert len(set(found.payload["model.blob"])) == 1, "a reader saw two writers' bytes in one file"
"""


def test_processes_that_store_the_same_engine_at_once_never_see_half_a_file(store: CompiledStore) -> None:
    root = Path(__file__).parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store.folder), str(fill)], cwd=root)
        for fill in (1, 2)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert store.load(KEY) is not None
    assert len(list(store.folder.iterdir())) == 1
