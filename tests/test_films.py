"""Films as people have them: what is odd about them comes through, is converted or is named; runs of the command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from streamfx.cli import main
from tests import media

Run = Callable[..., "Ran"]


class Ran:
    """What came of a run of the command: its exit code, what it said, and its report."""

    def __init__(self, ran: subprocess.CompletedProcess[str], report: dict[str, Any] | None) -> None:
        self.code, self.out, self.err, self.report = ran.returncode, ran.stdout, ran.stderr, report

    @property
    def left_out(self) -> list[str]:
        assert self.report is not None, self.err
        return list(self.report["left_out"])


@pytest.fixture
def run(at_home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Transcode in this process, with the tiny effect, in a folder of its own."""

    def run(source: str, target: str, *arguments: str) -> Ran:
        report = Path("report.json")
        report.unlink(missing_ok=True)
        code = main(
            ["transcode", source, target, "--effect", "tiny", "--report", str(report), *arguments]
        )  # fmt: skip
        done = subprocess.CompletedProcess(arguments, code, *capsys.readouterr())
        return Ran(done, json.loads(report.read_text()) if report.exists() else None)

    return run


def complete(ran: Ran) -> Ran:
    """Fail unless the run is complete, with every frame, and said no error; return it."""
    assert ran.code == 0, ran.err + ran.out
    assert "error" not in ran.err
    assert ran.report is not None
    account = ran.report["result"]["account"]
    assert account["encoded"] == account["frames_in"] > 0
    return ran


def tags(path: str) -> dict[str, str]:
    with av.open(path, metadata_errors="surrogateescape") as file:
        return dict(file.metadata)


@pytest.mark.parametrize(
    ("source", "target"), [("in.mkv", "out.mkv"), ("in.mp4", "out.mov"), ("in.avi", "out.mp4")]
)
@pytest.mark.parametrize("odd", [b"caf\xe9", b"\xd6\xd0\xb9\xfa"])  # Latin-1, GBK
def test_tags_that_are_no_utf8_keep_their_bytes(run: Run, source: str, target: str, odd: bytes) -> None:
    clip = media.make_clip(
        source,
        frames=2,
        codec="mpeg4",
        metadata={"title": "TITL"},
        chapters=["TITL"] if "mk" in source else (),
    )
    clip.write_bytes(clip.read_bytes().replace(b"TITL", odd))
    ran = complete(run(source, target))
    assert "tags that are not in UTF-8 keep the bytes they have: title" in ran.err
    assert tags(target)["title"].encode(errors="surrogateescape") == odd
