"""Photographs: a folder of them is so many pictures, each upright, with its own size, name, kind and tags."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

import streamfx
from streamfx.capture.files.preparation import Preparation
from streamfx.capture.opening import open_source
from streamfx.cli import main
from streamfx.media.photo_metadata import (
    is_animated,
    made_upright,
    orientation,
    read_exif,
    read_icc,
    with_tags,
)
from tests.engines import make_engine
from tests.test_films import Run, complete, run

__all__ = ["run"]  # the fixture
PROFILE = bytes(range(256)) * 300  # longer than one segment of a JPEG holds


def photo(path: Path | str, size: tuple[int, int], exif: bytes = b"", icc: bytes = b"") -> Path:
    """Write a photograph: dark above, bright below."""
    path = Path(path)
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    name, pix_fmt = {".png": ("png", "rgb24"), ".bmp": ("bmp", "bgr24")}.get(
        path.suffix.lower(), ("mjpeg", "yuvj420p")
    )
    rgb = np.full((*size, 3), 60, np.uint8)
    rgb[size[0] // 2 :] = 200
    encoder: Any = av.CodecContext.create(name, "w")
    encoder.height, encoder.width, encoder.pix_fmt = *size, pix_fmt
    encoder.time_base, encoder.color_range = Fraction(1, 25), 2
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pix_fmt, dst_color_range=2)
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    path.write_bytes(with_tags(data, exif, icc) if jpeg or name == "png" else data)
    return path


def exif(number: int) -> bytes:
    entries = struct.pack("<HHIHH", 0x010F, 3, 1, 7, 0) + struct.pack("<HHIHH", 0x0112, 3, 1, number, 0)
    return b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)


def size_of(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as file:
        picture = next(file.decode(video=0))
        return picture.height, picture.width


def test_a_folder_of_photographs_gives_a_folder_of_photographs(run: Run) -> None:
    folder = Path("in")
    folder.mkdir()
    photo(folder / "IMG_0001.JPG", (48, 64), exif(6), PROFILE)
    photo(folder / "beach.jpeg", (64, 48))
    photo(folder / "cat.png", (80, 80), exif(1), PROFILE)
    photo(folder / "old.bmp", (32, 40))
    photo(folder / "old.png", (36, 44))
    ran = complete(run("in", "out/"))
    sizes = {path.name: size_of(path) for path in Path("out").iterdir()}
    assert sizes == {
        "IMG_0001.JPG": (64, 48),
        "beach.jpeg": (64, 48),
        "cat.png": (80, 80),
        "old.bmp.png": (32, 40),
        "old.png": (36, 44),
    }
    assert "pictures of the kind .bmp are written as PNG" in ran.err
    for name, tags in (("IMG_0001.JPG", made_upright(exif(6))), ("cat.png", exif(1)), ("beach.jpeg", b"")):
        data = (Path("out") / name).read_bytes()
        assert read_exif(data) == tags
        assert read_icc(data) == (PROFILE if tags else b"")


def test_a_pattern_of_names_is_so_many_photographs(run: Run) -> None:
    for name, size in (("a.jpg", (48, 64)), ("b.png", (64, 48)), ("c.jpg", (40, 40))):
        photo(name, size)
    complete(run("*.jpg", "out/"))
    assert {path.name: size_of(path) for path in Path("out").iterdir()} == {
        "a.jpg": (48, 64),
        "c.jpg": (40, 40),
    }


def test_photographs_are_not_replaced_unasked(run: Run) -> None:
    Path("in").mkdir()
    Path("out").mkdir()
    for name in ("a.jpg", "b.jpg"):
        photo(Path("in") / name, (48, 64))
    photo("out/b.jpg", (8, 8))
    ran = run("in", "out/")
    assert ran.code == 2
    assert "b.jpg: exists already" in ran.err
    assert [path.name for path in Path("out").iterdir()] == ["b.jpg"]
    complete(run("in", "out/", "--overwrite"))


def test_a_broken_photograph_is_named_and_the_others_are_done(run: Run) -> None:
    Path("in").mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo(Path("in") / name, (48, 64))
    Path("in/b.jpg").write_bytes(b"broken")
    ran = run("in", "out/")
    assert ran.code == 1
    assert "b.jpg: not a picture that can be read" in ran.err
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("number", "brightest"), [(1, "bottom"), (3, "top"), (6, "left"), (8, "right"), (4, "top")]
)
@pytest.mark.parametrize("target", ["out.jpg", "out.png", "out.mp4"])
def test_a_photograph_stands_upright_whatever_the_output(
    run: Run, number: int, brightest: str, target: str
) -> None:
    photo("in.jpg", (48, 64), exif(number))
    complete(run("in.jpg", target, "--set", "effects=[tiny:strength=0]"))
    with av.open(target) as file:
        grey = next(file.decode(video=0)).to_ndarray(format="gray").astype(int)
    halves = {
        "top": grey[: len(grey) // 2],
        "bottom": grey[len(grey) // 2 :],
        "left": grey[:, : grey.shape[1] // 2],
        "right": grey[:, grey.shape[1] // 2 :],
    }
    assert max(halves, key=lambda side: halves[side].mean()) == brightest
    assert orientation(read_exif(Path(target).read_bytes())) in (None, 1)


def test_one_frame_of_a_film_fits_into_one_picture(run: Run) -> None:
    complete(run("test:bars?size=64x48&frames=20", "one.png", "--set", "limits.frames=1"))
    assert size_of(Path("one.png")) == (48, 64)


def test_names_with_percent_signs_are_names_where_they_are_files(run: Run) -> None:
    photo("50%done.png", (48, 64))
    source = open_source("50%done.png", preparation=Preparation())
    assert source.format.frame_count == 1
    source.close()
    complete(run("test:bars?size=64x48&frames=2", "100%done.mp4"))
    complete(run("100%done.mp4", "100%d.mkv"))
    assert Path("100%d.mkv").exists()


def test_an_animation_is_no_photograph() -> None:
    still = b"RIFF\0\0\0\0WEBPVP8X" + struct.pack("<I", 10) + b"\x10" + bytes(9)
    assert not is_animated(still)
    assert is_animated(still.replace(b"\x10", b"\x12") + b"ANIM" + struct.pack("<I", 6) + bytes(6))
    assert not is_animated(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 0) + b"IDAT" + bytes(4))
    assert not is_animated(b"")


def test_pictures_of_a_folder_become_a_film_that_says_it_scales_them(run: Run) -> None:
    Path("in").mkdir()
    photo("in/a.jpg", (48, 64))
    photo("in/b.jpg", (64, 48))
    ran = complete(run("in", "out.mp4"))
    assert "pictures unlike the first (64x48) are converted to be like it" in ran.err
    assert main(["transcode", "none/*.jpg", "out/", "--effect", "tiny"]) == 2


@pytest.mark.parametrize(("pattern", "alone"), [("{letter}.png", True), ("{number}.png", False)])
def test_a_photograph_does_not_hang_on_the_one_before_it_but_a_frame_of_a_sequence_does(
    tmp_path: Path, pattern: str, alone: bool
) -> None:
    engine = make_engine(tmp_path, format=3, memory_tolerance=0.1)
    random, folder = np.random.default_rng(1), tmp_path / "in"
    folder.mkdir()
    scene = random.integers(40, 200, (8, 12, 3)).repeat(8, 0).repeat(8, 1)
    for number, letter in enumerate("ab"):
        noisy = np.clip(scene + random.normal(0, 3, scene.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / pattern.format(letter=letter, number=number)), noisy)
    names = sorted(path.name for path in folder.iterdir())
    options: dict[str, Any] = {"effects": [str(engine)], "factor": 2, "backend": "eager", "device": "cpu"}
    given = folder if alone else folder / "%d.png"
    streamfx.transcode(given, f"{tmp_path / 'out'}/" if alone else tmp_path / "out" / "%d.png", **options)
    streamfx.transcode(folder / names[1], tmp_path / "single.png", **options)
    second, single = cv2.imread(str(tmp_path / "out" / names[1])), cv2.imread(str(tmp_path / "single.png"))
    assert second is not None
    assert single is not None
    assert np.array_equal(second, single) == alone
