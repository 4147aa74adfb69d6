"""Files on a web server: read like any other, to their end."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from streamfx.capture.opening import open_source
from streamfx.errors import SourceOpenError
from tests.capture.files.test_file import read_with_errors
from tests.media import make_clip
from tests.servers import breaking_off, offering


def open_descriptors() -> int:
    gc.collect()  # what earlier tests have left to it
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.mp4", {"movflags": "faststart"}),
        ("late_index.mp4", {}),
        ("clip.ts", {}),
        ("clip.mkv", {}),
        ("clip.gif", {}),
    ],
)
def test_a_file_on_a_web_server_is_read_whole_and_ends(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    codec, pix_fmt = ("gif", "rgb8") if name.endswith("gif") else ("libx264", "yuv420p")
    make_clip(
        tmp_path / name,
        frames=30,
        codec=codec,
        pix_fmt=pix_fmt,
        audio=codec != "gif",
        container_options=options,
    )
    before = open_descriptors()
    with offering(tmp_path) as address:
        source = open_source(f"{address}/{name}")
        stamps, errors = read_with_errors(source)
        source.close()
    assert not source.live
    assert (stamps, errors) == (list(range(30)), [])
    assert open_descriptors() == before


@pytest.mark.parametrize("name", ["clip.ts", "clip.mkv", "late_index.mp4"])
def test_a_connection_that_breaks_off_is_no_end(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, frames=50, audio=False)
    with breaking_off(clip, 0.6) as address:
        if name == "late_index.mp4":
            with pytest.raises(SourceOpenError, match=r"only \d+ of \d+ bytes came"):
                open_source(address)
            return
        source = open_source(address)
        stamps, errors = read_with_errors(source)
        source.close()
    assert 0 < len(stamps) < 50
    assert any("reading stopped after" in error and "what follows is missing" in error for error in errors)


def test_a_password_for_a_web_server_is_not_shown(tmp_path: Path) -> None:
    with (
        offering(tmp_path) as address,
        pytest.raises(SourceOpenError, match="not a video that can") as caught,
    ):
        open_source(address.replace("://", "://me:secret@") + "/none.mp4")
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"
