"""docs/design/frame-route.md names every module that takes or gives the frame, for every frame."""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import streamfx
from streamfx.media.frame import Frame
from tests import media

ROOT = Path(streamfx.__file__).parent
PAGE = ROOT.parent / "docs" / "design" / "frame-route.md"
FRAMES = 8


def traced(run: Callable[[], object]) -> set[str]:
    """Return the modules in which a function took or gave a frame at least once for each frame of a run."""
    seen: Counter[tuple[str, str]] = Counter()
    over = threading.Event()

    def look(at: FrameType, event: str, value: Any) -> None:
        if over.is_set():  # in a thread of a pool, which lives on
            sys.setprofile(None)
            return
        code = at.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(f"{ROOT}/"):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        values = [at.f_locals.get(name) for name in names] if event == "call" else [value]
        # What waits in a queue holds the frame.
        if any(isinstance(each, Frame) or isinstance(getattr(each, "frame", None), Frame) for each in values):
            seen[code.co_filename, code.co_name] += 1

    before = sys.getprofile()
    threading.setprofile(look)
    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
        over.set()
    return {str(Path(file).relative_to(ROOT)) for (file, _), times in seen.items() if times >= FRAMES}


def listed() -> tuple[list[str], list[str]]:
    """Return the modules that the page lists: of transcode, and what live has besides."""
    text = PAGE.read_text(encoding="utf-8").partition("## What they call")[0]
    transcode, _, live = text.partition("## `streamfx live`")
    files, besides = (re.findall(r"^\| `([\w/]+\.py)`", part, re.MULTILINE) for part in (transcode, live))
    return files, besides


@pytest.mark.usefixtures("at_home")
def test_the_page_names_the_modules_of_a_file_run(tmp_path: Path) -> None:
    clip = media.make_clip(tmp_path / "in.mp4", frames=FRAMES)
    found = traced(
        lambda: streamfx.transcode(clip, "out.mp4", effects=["tiny"], factor=2, backend="eager", verify=False)
    )
    assert sorted(found) == sorted(listed()[0])


@pytest.mark.usefixtures("at_home")
def test_the_page_names_the_modules_of_a_live_run(tmp_path: Path) -> None:
    clip = media.make_clip(tmp_path / "in.mp4", frames=FRAMES)
    settings = ["queue.policy=wait", "verify=false", f"limits.frames={FRAMES}"]
    found = traced(
        lambda: streamfx.live(
            f"fault:jump?after=99:{clip}",
            "out.mkv",
            effects=["tiny"],
            factor=2,
            backend="eager",
            settings=settings,
        )
    )
    files, besides = listed()
    assert sorted(found) == sorted({*files, *besides} - {"capture/files/file.py"})
