"""Films as people have them: what is odd about them comes through, is converted or is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

from streamfx.cli import main
from tests import media

QUICK = ("--effect", "tiny", "--factor", "4", "--backend", "eager")


@dataclass(frozen=True)
class Ran:
    """What came of a run of the command: its exit code, what it said, and its report."""

    code: int
    out: str
    err: str
    report: dict[str, Any]

    @property
    def left_out(self) -> list[str]:
        return list(self.report["left_out"])


Run = Callable[..., Ran]


@pytest.fixture
def run(at_home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Transcode in this process, with the tiny effect, in a folder of its own."""

    def run(source: str, target: str, *arguments: str) -> Ran:
        report = Path("report.json")
        report.unlink(missing_ok=True)
        code = main(["transcode", source, target, *QUICK, "--report", str(report), *arguments])
        return Ran(code, *capsys.readouterr(), json.loads(report.read_text()) if report.exists() else {})

    return run


def complete(ran: Ran) -> Ran:
    """Fail unless the run is complete, with every frame, and said no error; return it."""
    assert ran.code == 0, ran.err + ran.out
    assert "error" not in ran.err
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


def with_unknown_stream(clip: Path) -> Path:
    """Give the sound of a transport stream a kind that nobody knows, and nothing to know it by."""
    data = bytearray(clip.read_bytes())
    for at in range(0, len(data), 188):
        identity = int.from_bytes(data[at + 1 : at + 3]) & 0x1FFF
        if identity == 0x101:  # FFmpeg's number of the second stream
            data[at : at + 188] = data[at : at + 20].replace(b"\0\0\1\xc0", b"\0\0\1\xbd") + b"U" * 168
        elif identity == 0x1000:  # the table of streams
            table = data[at + 5 :][: 3 + (int.from_bytes(data[at + 6 : at + 8]) & 0xFFF)]
            entry = 12 + (int.from_bytes(table[10:12]) & 0xFFF)
            entry += 5 + (int.from_bytes(table[entry + 3 : entry + 5]) & 0xFFF)
            table[entry] = 0xA7
            table[-4:] = _crc(bytes(table[:-4])).to_bytes(4)
            data[at + 5 : at + 5 + len(table)] = table
    clip.write_bytes(data)
    return clip


def _crc(data: bytes) -> int:
    """Return the checksum of tables in a transport stream (ISO/IEC 13818-1, annex A)."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


@pytest.mark.parametrize("target", ["out.mkv", "out.mp4", "out.ts", "out.gif"])
def test_a_stream_of_an_unknown_kind_is_named(run: Run, target: str) -> None:
    with_unknown_stream(media.make_clip("in.ts", frames=3, rate=10))
    ran = complete(run("in.ts", target))
    assert len(ran.left_out) == 1
    assert ran.left_out[0].startswith("stream 1 (")
    assert ran.left_out[0] in ran.err
    assert "complete but for what is left out" in ran.out


def test_strict_refuses_what_would_be_left_out(run: Run) -> None:
    media.make_clip("in.mkv", frames=3)
    ran = run("in.mkv", "out.gif", "--strict")
    assert ran.code == 2
    assert "--strict refuses: stream 1 (audio, aac) is left out: .gif holds pictures only" in ran.err
    assert not Path("out.gif").exists()
    complete(run("in.mkv", "out.mp4", "--strict"))


def test_a_part_is_complete_where_a_cut_off_film_holds_it_and_not_where_it_reaches_past_its_end(
    run: Run,
) -> None:
    whole = media.make_clip("whole.mkv", frames=250, options={"g": "25"}).read_bytes()
    Path("in.mkv").write_bytes(whole[: len(whole) * 6 // 10])
    held = complete(run("in.mkv", "out.mkv", "--start", "2", "--end", "0:00:03"))
    assert held.report["differences"] == []
    ran = run("in.mkv", "more.mkv", "--start", "4", "--end", "9")
    assert ran.code == 1
    assert "promises 5.00 s, but ends after" in ran.err


def test_a_part_is_accounted_for_and_named_in_the_report(run: Run) -> None:
    media.make_clip("in.mp4", frames=30)
    ran = complete(run("in.mp4", "out.mp4", "--start", "0.2", "--duration", "0.4"))
    assert ran.report["result"]["account"]["frames_in"] == 10
    assert "a part of the film is taken: 0.200 s to 0.600 s" in ran.report["notes"]
    assert (ran.report["config"]["start"], ran.report["config"]["duration"]) == (0.2, 0.4)
    with av.open("out.mp4") as file:
        assert [frame.time for frame in file.decode(video=0)] == pytest.approx(
            [number / 25 for number in range(10)]
        )
