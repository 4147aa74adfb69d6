"""Every hint of a refusal names something that exists: doing what it says works, or is understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamfx.cli.parser import parse
from streamfx.encode.codecs import CODECS, find_codec
from streamfx.encode.containers import CONTAINERS, find_container
from streamfx.encode.pixel_format import encoder_formats
from tests import media
from tests.test_films import Run, complete, run

__all__ = ["run"]  # the fixture
PLAIN = "test:bars?size=64x48&frames=2"
CASES = [
    # what is asked, what the refusal says, and what it says to do
    ((PLAIN, "out.mp4", "--codec", "h265x"), "did you mean 'h265'?", (PLAIN, "out.mp4", "--codec", "h265")),
    ((PLAIN, "out.webm", "--codec", "h264"), "h264 goes into: .mp4", (PLAIN, "out.mp4", "--codec", "h264")),
    ((PLAIN, "out.webm", "--codec", "h264"), "but vp9, av1, vp8", (PLAIN, "out.webm", "--codec", "vp8")),
    (
        (PLAIN, "out.mp4", "--preset", "fastr"),
        "did you mean 'faster'?",
        (PLAIN, "out.mp4", "--preset", "faster"),
    ),
    (
        (PLAIN, "out.mkv", "--codec", "ffv1", "--preset", "fast"),
        "has no presets; leave preset=fast out",
        (PLAIN, "out.mkv", "--codec", "ffv1"),
    ),
    (
        (PLAIN, "out.mkv", "--codec", "ffv1", "--quality", "3"),
        "has no quality setting; leave quality=3 out",
        (PLAIN, "out.mkv", "--codec", "ffv1"),
    ),
    (
        (PLAIN, "out.mp4", "--quality", "60"),
        "must be 0 (best) to 51 (smallest)",
        (PLAIN, "out.mp4", "--quality", "51"),
    ),
    (
        (PLAIN, "out.mp4", "--pixel-format", "yuv410p"),
        "it takes: gray",
        (PLAIN, "out.mp4", "--pixel-format", "gray"),
    ),
    ((PLAIN, "out.xyz"), "there are: .mp4 .m4v", (PLAIN, "out.m4v")),
    ((PLAIN, "out"), "and pictures: .png", (PLAIN, "out%d.png")),
    ((PLAIN, "one.png"), "write one%05d.png", (PLAIN, "one%05d.png")),
    (
        (PLAIN, "one.png", "--quality", "3"),
        "PNG has no quality setting",
        (PLAIN, "one%d.jpg", "--quality", "3"),
    ),
    ((PLAIN, "old.mp4"), "allow overwriting (--overwrite)", (PLAIN, "old.mp4", "--overwrite")),
    ((PLAIN, "in.mp4", "--overwrite"), None, None),
    (("in.mp4", "in.mp4", "--overwrite"), "is the source itself", ("in.mp4", "other.mp4")),
    ((PLAIN, "/dev/null"), "null: to keep nothing", (PLAIN, "null:")),
    ((f"{PLAIN}&fsp=3", "out.mp4"), "did you mean 'fps'?", (f"{PLAIN}&fps=3", "out.mp4")),
    (("folder", "out.mp4"), "is a folder without pictures (.png", None),
    (("in.mp4", "out.mp4", "--factor", "5"), "1, 1.5, 2, 3", ("in.mp4", "out.mp4", "--factor", "3")),
    (
        ("in.mp4", "out.mp4", "--deinterlace", "of"),
        "did you mean 'off'?",
        ("in.mp4", "out.mp4", "--deinterlace", "off"),
    ),
    (
        ("in.mp4", "out.mp4", "--start", "0.1", "--end", "0.05"),
        "must come after the start, 0.1 s",
        ("in.mp4", "out.mp4", "--start", "0.1", "--end", "0.2"),
    ),
    (
        ("in.mp4", "out.mp4", "--end", "0.1", "--duration", "0.1"),
        "leave one of them out",
        ("in.mp4", "out.mp4", "--duration", "0.1"),
    ),
    (
        ("in.mp4", "out.mp4", "--start", "0:01:00"),
        "its last picture is at 0.100 s; give an earlier --start",
        ("in.mp4", "out.mp4", "--start", "0:00:00.1"),
    ),
    ((PLAIN, "out.mp4", "--start", "0.1"), "leave --start, --end and --duration out", (PLAIN, "out.mp4")),
    (("in.mp4", "out.mp4", "--device", "gpu"), "must be auto, cpu", ("in.mp4", "out.mp4", "--device", "cpu")),
    (
        ("in.mp4", "out.mp4", "--backend", "tensorrt"),
        "openvino",
        ("in.mp4", "out.mp4", "--backend", "openvino"),
    ),
    (("in.mp4", "out.mp4", "--stric"), "did you mean '--strict'?", ("in.mp4", "out.mp4", "--strict")),
    (
        ("in.mp4", "out.mkv", "--audio", "flacc"),
        "(did you mean 'flac'?)",
        ("in.mp4", "out.mkv", "--audio", "flac"),
    ),
    (
        ("in.mp4", "out.webm", "--audio", "copy"),
        ".mp4, .m4v, .mov, .mkv, .ts, .m2ts",
        ("in.mp4", "out.mkv", "--audio", "copy"),
    ),
    (
        ("in.mp4", "out.webm", "--audio", "copy"),
        "or leave --audio out",
        ("in.mp4", "out.webm"),
    ),
    (
        ("in.mp4", "out.webm", "--audio", "mp3"),
        "of it, this output takes: opus",
        ("in.mp4", "out.webm", "--audio", "opus"),
    ),
    (
        ("in.mp4", "out.gif", "--audio", "aac"),
        "write --audio none, or a video file that holds it: .mkv",
        ("in.mp4", "out.mkv", "--audio", "aac"),
    ),
    (
        ("in.mp4", "out.gif", "--subtitles", "srt"),
        "write --subtitles none",
        ("in.mp4", "out.gif", "--subtitles", "none"),
    ),
    (
        ("in.mp4", "out.mp4", "--audio-tracks", "2"),
        "there are: 1 (und, aac)",
        ("in.mp4", "out.mp4", "--audio-tracks", "1,und"),
    ),
    (
        ("in.mp4", "out.mp4", "--audio-tracks", "1,2"),
        "2? asks for it only where there is one",
        ("in.mp4", "out.mp4", "--audio-tracks", "1,2?"),
    ),
    (
        ("in.mp4", "out.mp4", "--subtitle-tracks", "eng"),
        "has no subtitle track, and --subtitle-tracks asks for eng",
        ("in.mp4", "out.mp4", "--subtitle-tracks", "eng?"),
    ),
    (
        ("in.mp4", "out.mp4", "--audio-tracks", "english"),
        "such as 1 or eng,ja",
        ("in.mp4", "out.mp4", "--audio-tracks", "1"),
    ),
    (
        ("in.mp4", "out.mp4", "--audio", "none", "--audio-tracks", "1"),
        "leave one of them out",
        ("in.mp4", "out.mp4", "--audio", "none"),
    ),
    (
        ("in.mp4", "out.mp4", "--audio", "copy", "--audio-bitrate", "96k"),
        "a codec with loss (aac, ",
        ("in.mp4", "out.mp4", "--audio", "aac", "--audio-bitrate", "96k"),
    ),
    (("in.mp4", "out.gif", "--strict"), "--strict refuses", ("in.mp4", "out.gif", "--no-strict")),
]


@pytest.mark.parametrize(("asked", "hint", "mended"), CASES)
def test_doing_what_a_refusal_says_works(
    run: Run, asked: tuple[str, ...], hint: str | None, mended: tuple[str, ...] | None
) -> None:
    media.make_clip("in.mp4", frames=2, rate=10, size=(48, 64))
    Path("old.mp4").write_bytes(b"old")
    Path("folder").mkdir()
    refused = run(*asked)
    if hint is None:
        complete(refused)
        return
    assert refused.code == 2, refused.err + refused.out
    assert hint in refused.err
    if mended is not None:
        complete(run(*mended))


def test_every_ending_and_codec_that_is_offered_exists() -> None:
    for ending, container in CONTAINERS.items():
        assert find_container(Path(f"out{ending}")) is container
        assert all(find_codec(name).name == name for name in container.codecs)
    usable = [name for name, codec in CODECS.items() if codec.device is None]
    assert all(encoder_formats(CODECS[name]) for name in usable)


def test_every_option_that_a_message_names_is_one() -> None:
    source = Path(__file__).parent.parent / "streamfx"
    named = set()
    for path in source.rglob("*.py"):
        if "cli" in path.parts or "bench" in path.parts:
            continue
        texts = re.findall(r'f?"[^"\n]*"', path.read_text())
        named |= {option for text in texts for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)}
    known = {
        option
        for command in ("transcode", "live", "serve", "batch", "devices", "compile", "preview")
        for option in _options(command)
    }
    of_ray = {"--head", "--address", "--disable-usage-stats"}  # of "ray start"
    assert named - known == of_ray


def _options(command: str) -> list[str]:
    arguments = {"transcode": ["a", "b"], "live": ["a", "b"], "batch": ["a", "--output-dir", "b"]}.get(
        command, []
    )
    parser = parse([command, *arguments]).parser
    return re.findall(r"(?<![\w-])--[a-z][a-z-]+", parser.format_help())
