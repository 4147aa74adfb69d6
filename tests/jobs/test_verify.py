"""Two films compared: what is the same passes, and each kind of difference is found and told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

import streamfx
from streamfx.cli import main
from streamfx.errors import ConfigError, SourceOpenError
from streamfx.jobs.differences import compare_pictures
from streamfx.jobs.reading import Pictures, Sound, read_film
from streamfx.jobs.track_differences import compare_sound, compare_tags
from tests import media


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make_clip(
        tmp_path_factory.mktemp("films") / "in.mkv",
        frames=30,
        times=[number * 40 + number % 5 for number in range(30)],
        subtitles=["one", "two"],
        chapters=["A", "B"],
        metadata={"title": "A film"},
        audio_language="deu",
        audio=2,
    )


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_a_transcode_differs_in_nothing(film: Path, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"out{ending}"
    streamfx.transcode(film, output)
    verification = streamfx.verify(film, output)
    assert verification.differences == ()
    assert "30 frames and 3 other tracks compared" in verification.summary()


def test_what_a_container_cannot_hold_is_known_from_the_report(film: Path, tmp_path: Path) -> None:
    output, report = tmp_path / "out.ts", tmp_path / "report.json"
    streamfx.transcode(film, output, report=report)
    plain = streamfx.verify(film, output)
    assert {found.about for found in plain.differences} == {"tracks", "tags", "chapters"}
    assert plain.exit_code == 1
    known = streamfx.verify(film, output, report=report)
    assert known.exit_code == 0
    assert "as reported: chapters: 2 in the source, 0 in the output" in known.summary()


def test_the_command_says_what_differs_also_for_programs(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = media.make_clip(tmp_path / "other.mkv", frames=28, audio=1)
    assert main(["verify", str(film), str(other)]) == 1
    said = capsys.readouterr().err
    assert "frames: 30 in the source, 28 in the output" in said
    assert "stream 2 (audio, aac, deu): missing in the output" in said
    assert "give it with --report" in said
    assert main(["verify", str(film), str(film), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"]["frames"] == 30


def test_what_cannot_be_compared_is_refused(film: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceOpenError, match="no such file"):
        streamfx.verify(film, tmp_path / "none.mp4")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("[]", "give the file that --report wrote"),
        ('{"result": {}}', "source: Field required"),
    ],
)
def test_what_is_no_report_is_refused(film: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ConfigError, match=said):
        streamfx.verify(film, film, report=tmp_path / "report.json")


def pictures(count: int = 50, **changed: list[float]) -> Pictures:
    made = Pictures(
        seconds=[number / 25 for number in range(count)],
        brightness=[0.5] * count,
        contrast=[0.2] * count,
        change=[5.0] * count,
    )
    for name, values in changed.items():
        setattr(made, name, values)
    return made


def test_a_lost_frame_is_found_where_it_was() -> None:
    output = pictures(49, seconds=[number / 25 for number in range(50) if number != 20])
    (found,) = compare_pictures(pictures(), output)
    assert found.text == "frames: 50 in the source, 49 in the output; none in the output at 0.800 s"


def test_frames_shown_at_other_times_are_found() -> None:
    seconds = [number / 25 + (0.004 if number == 30 else 0) for number in range(50)]
    (found,) = compare_pictures(pictures(), pictures(seconds=seconds))
    assert found.text == "1 frames are shown at other times, at most +4.0 ms off, at 1.200 s"


def test_a_clock_that_starts_elsewhere_is_no_difference() -> None:
    assert list(compare_pictures(pictures(), pictures(seconds=[n / 25 + 1.4 for n in range(50)]))) == []


def test_black_and_frozen_stretches_count_only_where_the_source_has_none() -> None:
    dark = pictures(brightness=[0.0] * 50, contrast=[0.0] * 50, change=[0.0] * 50)
    assert list(compare_pictures(dark, dark)) == []
    assert [found.about for found in compare_pictures(pictures(), dark)] == ["black", "frozen"]


def sound(samples: np.ndarray, tmp_path: Path, name: str) -> Sound:
    """Return a sound as it is read from a file."""
    path = tmp_path / name
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        out.mux(picture.encode(av.VideoFrame(64, 48, "yuv420p")))
        frame = av.AudioFrame.from_ndarray(samples.astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(picture.encode(None))
        out.mux(stream.encode(None))
    return read_film(str(path)).tracks[0].sound


def test_one_wrong_second_of_copied_sound_is_found(tmp_path: Path) -> None:
    samples = np.sin(np.arange(40000) / 5) * 9000
    broken = samples.copy()
    broken[16000:18000] = 0
    before, after = sound(samples, tmp_path, "a.mkv"), sound(broken, tmp_path, "b.mkv")
    assert list(compare_sound(before, before, 0, same_coding=True)) == []
    told = list(compare_sound(before, after, 0, same_coding=True))
    assert told == ["other samples in 1 of 5 seconds, the first from 2 s on"]
    assert list(compare_sound(before, after, 0, same_coding=False)) == []  # a quarter of a second, converted
    broken[24000:32000] = 0
    quiet = sound(broken, tmp_path, "d.mkv")
    assert list(compare_sound(before, quiet, 0, same_coding=False)) == [
        "sounds different in 8 tenths of a second, the first at 3.1 s"
    ]
    shorter = sound(samples[:30000], tmp_path, "c.mkv")
    assert "ends at 5.000 s in the source, at 3.750 s in the output" in list(
        compare_sound(before, shorter, 0, same_coding=False)
    )


def test_tags_and_chapters_that_are_lost_or_other_are_told(film: Path) -> None:
    source = read_film(str(film))
    other = replace(source, tags={"title": "Another"}, chapters=source.chapters[:1])
    assert [found.text for found in compare_tags(source, other)] == [
        "tag title: 'A film' in the source, 'Another' in the output",
        "chapters: 2 in the source, 1 in the output",
    ]


@pytest.mark.parametrize("ending", [".mp4", ".ts", ".webm"])
def test_titles_and_flags_of_tracks_are_found_where_the_container_has_them_or_are_known(
    tmp_path: Path, ending: str
) -> None:
    film, output, report = tmp_path / "in.mkv", tmp_path / f"out{ending}", tmp_path / "report.json"
    plain = media.make_clip(tmp_path / "plain.mkv", frames=5, audio=1, audio_language="deu")
    with av.open(str(plain)) as source, av.open(str(film), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        streams[1].metadata.update(language="deu", title="Main")
        streams[1].disposition = Disposition.default | Disposition.comment
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    streamfx.transcode(film, output, report=report)
    assert streamfx.verify(film, output, report=report).exit_code == 0


def test_times_that_a_container_does_not_have_are_known_from_the_report(tmp_path: Path) -> None:
    times = [0, 40, 80, 300, 340, 380]
    film = media.make_clip(tmp_path / "in.mkv", frames=6, times=times, audio=0)
    output, report = tmp_path / "out.y4m", tmp_path / "report.json"
    streamfx.transcode(film, output, report=report)
    assert streamfx.verify(film, output).exit_code == 1
    assert streamfx.verify(film, output, report=report).exit_code == 0


@pytest.mark.parametrize("ending", [".png", ".mp4"])
def test_a_photograph_differs_in_no_colour_from_what_is_made_of_it(tmp_path: Path, ending: str) -> None:
    photo, output = tmp_path / "in.jpg", tmp_path / f"out{ending}"
    planes = av.VideoFrame.from_ndarray(np.full((96, 64), 90, np.uint8), "yuvj420p")
    with av.open(str(photo), "w", format="image2", options={"update": "1"}) as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        out.mux(stream.encode(planes))
        out.mux(stream.encode(None))
    streamfx.transcode(photo, output)
    assert [found for found in streamfx.verify(photo, output).differences if found.about == "colour"] == []
