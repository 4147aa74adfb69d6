"""Engine folders from strangers: nothing in them hangs, fills the memory, or reaches the terminal."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

from streamfx.cli import main
from streamfx.engine import folder_files
from streamfx.engine.families.limits import check_network, shapes_of
from streamfx.engine.families.warp_mask import WarpMask
from streamfx.engine.folder import read_card, read_engine, read_spec
from streamfx.engine.library import list_engines, load_engine
from streamfx.errors import EngineCorruptError, printable
from tests.engines import OPTIONS, make_engine

FILES = ("engine.yaml", "weights.safetensors", "golden.npz", "card.md")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_engine(tmp_path / "engines")


def describe(folder: Path, change: Callable[[dict[str, Any]], object], **content: bytes) -> None:
    """Change what the folder says of itself, and the content of files, whose hashes stay right."""
    values = yaml.safe_load((folder / "engine.yaml").read_text())
    for name, data in content.items():
        file = name.replace("_", ".")
        (folder / file).write_bytes(data)
        values["files"][file] = hashlib.sha256(data).hexdigest()
    change(values)
    (folder / "engine.yaml").write_text(yaml.safe_dump(values))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["endless", "pipe", "folder"])
def test_what_is_no_ordinary_file_is_not_read(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    path.unlink()
    if kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(EngineCorruptError, match=rf"{name}.*: it is not an ordinary file"):
        read_engine(folder)
    if name == "card.md":
        with pytest.raises(EngineCorruptError, match="it is not an ordinary file"):
            read_card(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_too_large_is_not_read(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.truncate(folder_files.MOST_BYTES[name] + 1)
    with pytest.raises(EngineCorruptError, match=rf"{name}.*: it has \d+ bytes, more than the \d+ "):
        read_engine(folder)


def test_a_file_that_grows_while_it_is_read_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_files, "_check", lambda status, most: None)
    (folder / "card.md").unlink()
    (folder / "card.md").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="it grows while it is read"):
        folder_files.read_file(folder / "card.md")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [1]\nb: *a\n", r"aliases \(\*name\) are not allowed"),
        ("[" * 50 + "]" * 50, "nested deeper than 8"),
        ("a: [" + "1," * 3000 + "]", "more than 2000 values"),
        (f"name: {'x' * 3000}", "a value of 3000 letters"),
        ('licence: "MIT\\e[31m"', r"'MIT\\x1b\[31m' holds characters that cannot be printed"),
        ('"\\e]0;owned\\a": 1', "holds characters that cannot be printed"),
        ('licence: "\\u202Etxt"', r"'\\u202etxt' holds characters that cannot be printed"),
        ("a: [1", "line 1, column 6: "),
        ("\x1b", "special characters are not allowed"),
        ("options: {blocks: " + "9" * 5000 + "}", "5000 letters"),
    ],
)
def test_a_description_that_is_none_is_refused_in_words_that_can_be_printed(
    folder: Path, text: str, message: str
) -> None:
    (folder / "engine.yaml").write_text(text)
    with pytest.raises(EngineCorruptError, match=message) as caught:
        read_spec(folder)
    assert str(caught.value).isprintable()


def test_a_list_of_files_without_end_is_not_followed(folder: Path) -> None:
    describe(folder, lambda values: values["files"].update({f"f{n}": "0" * 64 for n in range(20)}))
    with pytest.raises(EngineCorruptError, match="lists 23 files, more than 16"):
        read_engine(folder)


def bomb(shape: tuple[int, ...], size_bytes: int) -> bytes:
    """Return a golden frame whose heads are said to have a shape, and have so many bytes once unpacked."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("planes.npy", "w") as member,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(size_bytes >> 20):
            member.write(bytes(1 << 20))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bomb((1, 3, 8000, 8000), 70 << 20), "unpacked it has more than 67108864 bytes"),
        (
            bomb((1, 3, 1 << 20, 1 << 20), 0),
            r"planes\.npy is not as large as its shape \(1, 3, 1048576, 1048576\)",
        ),
    ],
    ids=["unpacked", "stated"],
)
def test_a_golden_frame_that_would_fill_the_memory_is_refused(
    folder: Path, data: bytes, message: str
) -> None:
    assert len(data) < 100_000
    describe(folder, lambda values: None, golden_npz=data)
    with pytest.raises(EngineCorruptError, match=message):
        read_engine(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 10_000_000}, r"option blocks is 1e\+07; with these weights it can be 64 at most"),
        ({"width": 1_000_000}, r"option width is 1e\+06; with these weights it can be 64 at most"),
        ({"width": 60}, "the weights are not those of a network with options"),
        ({"blocks": 3}, "the weights are not those of a network with options"),
        ({"width": -8}, "do not fit: "),
        ({"norm": "x" * 100}, "option norm has 100 letters"),
        ({"depth": 4}, "do not fit: .*unexpected keyword argument 'depth'"),
    ],
)
def test_a_network_that_is_larger_than_its_weights_is_never_made(
    folder: Path, options: dict[str, object], message: str
) -> None:
    describe(folder, lambda values: values["options"].update(options))
    engine = read_engine(folder)
    with pytest.raises(EngineCorruptError, match=message):
        engine.network()


def test_weights_that_are_large_in_name_only_allow_no_large_network() -> None:
    weights = safetensors.torch.save({"a": torch.zeros(5000)})
    with pytest.raises(ValueError, match="option blocks is 4097; with these weights it can be 4096 at most"):
        check_network(WarpMask, {**OPTIONS, "blocks": 4097}, weights)
    with pytest.raises(ValueError, match="the weights are not those of a network"):
        check_network(WarpMask, {**OPTIONS, "width": 4096, "blocks": 2}, weights)


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"\xff" * 100,
        (1 << 40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (20).to_bytes(8, "little") + b'{"a": {"shape": [1]}',
        (6).to_bytes(8, "little") + b'{"a":1',
        (4000).to_bytes(8, "little") + b"[" * 4000,
    ],
)
def test_what_are_no_weights_is_refused(weights: bytes) -> None:
    with pytest.raises(ValueError, match="no safetensors file"):
        shapes_of(weights)


def test_the_card_is_shown_without_what_a_terminal_would_obey(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder.parent))
    describe(folder, lambda values: None, card_md=b"# tiny\n\nRed \x1b[31m and \xe2\x80\xae gone\n")
    assert main(["effects", "tiny"]) == 0
    assert r"Red \x1b[31m and \u202e gone" in capsys.readouterr().out
    (folder / "card.md").unlink()
    os.mkfifo(folder / "card.md")
    assert main(["effects", "tiny"]) == 0
    assert "from photo to noise" in capsys.readouterr().out


def test_a_folder_whose_name_cannot_be_printed_is_listed_and_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.rename(folder.parent / "evil\x1b[31m")
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder.parent))
    (found,) = (engine for engine in list_engines() if "evil" in engine.name)
    assert found.spec is None
    assert found.name == r"evil\x1b[31m"
    assert "its name holds characters that cannot be printed" in str(found.problem)
    assert main(["effects"]) == 0
    assert main(["effects", "none\x1b[31m"]) == 2
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err


def test_a_name_that_hides_another_engine_is_said(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = make_engine(tmp_path / "others", seed=3)
    (tmp_path / "same").symlink_to(folder.parent)
    paths = (folder.parent, tmp_path / "same", other.parent)
    monkeypatch.setenv("STREAMFX_ENGINES", os.pathsep.join(map(str, paths)))
    assert load_engine("tiny").folder == folder
    assert [record.getMessage() for record in caplog.records] == [
        f"engine tiny is the one in {folder}; the one in {other} is not used"
    ]
    (found,) = (engine for engine in list_engines() if engine.name == "tiny")
    assert found.shadowed == (other,)
    assert main(["effects", "tiny"]) == 0
    assert f"  in place of the one in {other}\n" in capsys.readouterr().out


def test_text_that_can_be_printed_stays_as_it_is() -> None:
    assert printable("two lines,\n… ü and 100 %") == "two lines,\n… ü and 100 %"
    assert printable("a\tb\x07\udcff") == "a\tb\\x07\\udcff"
