"""Tracks as they are wanted: chosen, copied, converted or left out; else refused before the first frame."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import streamfx
from streamfx.config.loading import load_config
from streamfx.encode.tracks.formats import SOUND_CODECS, coding_name
from streamfx.errors import ConfigError
from streamfx.jobs.settings import load_batch
from streamfx.media.languages import language_code
from streamfx.resume.identity import asked_for
from tests import many_tracks, media
from tests.many_tracks import chapters_of, make_film, of_kind, read
from tests.test_films import Ran, Run, complete, run

__all__ = ["run"]  # the fixture


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with three sounds, two subtitles, a font and two chapters."""
    return make_film(tmp_path_factory.mktemp("tracks") / "in.mkv")


def refused(ran: Ran, target: str) -> str:
    """Fail unless the run was refused before anything was written; return why."""
    assert ran.code == 2, ran.err + ran.out
    assert not Path(target).exists()
    return ran.err


# -- which --


@pytest.mark.parametrize(
    ("asked", "languages"),
    [
        ("jpn,1", ["jpn", "eng"]),
        ("ja", ["jpn"]),
        ("ger", ["deu"]),
        ("DE,eng,1", ["deu", "eng"]),
        ("fra?,eng", ["eng"]),
        ("fra?", []),
    ],
)
def test_sounds_are_chosen_by_number_or_language_in_the_order_given_and_copied_to_the_sample(
    run: Run, film: Path, asked: str, languages: list[str]
) -> None:
    complete(run(str(film), "out.mkv", "--audio-tracks", asked))
    before = {each.language: each for each in of_kind(film, "audio")}
    after = of_kind("out.mkv", "audio")
    assert [each.language for each in after] == languages
    for each in after:
        assert each.codec == before[each.language].codec
        assert np.array_equal(each.samples, before[each.language].samples)
    assert len(of_kind("out.mkv", "subtitle")) == 2


def test_the_first_sound_that_is_chosen_is_the_one_that_players_play(run: Run, film: Path) -> None:
    complete(run(str(film), "first.mkv", "--audio-tracks", "deu,eng"))
    assert [each.default for each in of_kind("first.mkv", "audio")] == [True, False]
    complete(run("first.mkv", "second.mkv", "--audio-tracks", "eng,deu"))
    assert [each.default for each in of_kind("second.mkv", "audio")] == [True, False]


def test_subtitles_are_chosen_likewise(run: Run, film: Path) -> None:
    ran = complete(run(str(film), "out.mkv", "--subtitle-tracks", "deu,1"))
    subtitles = of_kind("out.mkv", "subtitle")
    assert [(each.language, each.codec) for each in subtitles] == [("deu", "ssa"), ("eng", "srt")]
    assert [text for _, text in subtitles[1].texts] == list(many_tracks.TEXTS)
    assert ran.report["left_out"] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--audio-tracks", "fra"),
            "in.mkv: has no sound track fra, which --audio-tracks asks for; there are: 1 (eng, aac), "
            "2 (jpn, ac3), 3 (deu, flac); fra? asks for it only where there is one",
        ),
        (("--audio-tracks", "jpm"), "did you mean 'jpn'?"),
        (("--audio-tracks", "eng,4"), "has no sound track 4"),
        (("--subtitle-tracks", "3"), "there are: 1 (eng, srt), 2 (deu, ssa)"),
    ],
)
def test_a_track_that_is_not_there_is_refused_with_those_that_are(
    run: Run, film: Path, arguments: tuple[str, ...], says: str
) -> None:
    assert says in refused(run(str(film), "out.mkv", *arguments), "out.mkv")


def test_a_source_without_sound_is_told_so(run: Run) -> None:
    said = refused(run("test:bars?size=64x48&frames=2", "out.mkv", "--audio-tracks", "eng"), "out.mkv")
    assert "has no sound track, and --audio-tracks asks for eng" in said
    complete(run("test:bars?size=64x48&frames=2", "out.mkv", "--audio", "aac", "--subtitles", "none"))


@pytest.mark.parametrize(
    ("one", "other"), [("de", "ger"), ("fr", "fre"), ("zh", "chi"), ("en-GB", "eng"), ("PT", "por")]
)
def test_languages_are_known_by_all_their_codes(one: str, other: str) -> None:
    assert language_code(one) == language_code(other)


# -- left out on purpose --


@pytest.mark.parametrize(
    ("option", "kinds", "named"),
    [
        ("--audio", ["subtitle", "subtitle", "attachment"], "stream 1 (audio, aac, eng)"),
        ("--subtitles", ["audio", "audio", "audio", "attachment"], "stream 5 (subtitle, ssa, deu)"),
        ("--attachments", ["audio", "audio", "audio", "subtitle", "subtitle"], "stream 6 (attachment"),
        ("--chapters", ["audio", "audio", "audio", "subtitle", "subtitle", "attachment"], "chapters"),
    ],
)
def test_what_is_left_out_on_purpose_is_told_in_a_line_and_is_no_loss(
    run: Run, film: Path, option: str, kinds: list[str], named: str
) -> None:
    ran = complete(run(str(film), "out.mkv", option, "none", "--strict"))
    assert [each.kind for each in read("out.mkv")] == kinds
    assert chapters_of("out.mkv") == (0 if option == "--chapters" else 2)
    lines = [line for line in ran.err.splitlines() if "left out, as asked: " in line]
    assert len(lines) == 1
    assert lines[0].startswith("streamfx: note: ")
    assert named in lines[0]
    assert lines[0].removeprefix("streamfx: note: ") in ran.report["notes"]
    assert ran.report["left_out"] == []
    assert "out.mkv: complete\n" in ran.out


def test_without_attachments_there_is_no_cover_either(run: Run) -> None:
    picture = media.make_clip("cover.png", frames=1, codec="png", pix_fmt="rgb24", audio=False).read_bytes()
    with av.open(str(make_film("plain.mkv", frames=5))) as source, av.open("in.mkv", "w") as out:
        targets = [out.add_stream_from_template(each, opaque=True) for each in source.streams]
        out.add_attachment("cover", "image/png", picture)
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = targets[packet.stream_index]
                out.mux(packet)
    complete(run("in.mkv", "kept.mp4", "--subtitles", "none"))
    assert [each.kind for each in read("kept.mp4") if each.kind == "video"] == ["video"]
    complete(run("in.mkv", "out.mp4", "--attachments", "none", "--subtitles", "none", "--strict"))
    assert [each.kind for each in read("out.mp4") if each.kind == "video"] == []


def test_pictures_alone_are_what_was_asked_for_when_all_else_is_left_out(run: Run, film: Path) -> None:
    nothing = [f"--{each}" for each in ("audio", "subtitles", "attachments", "chapters")]
    ran = complete(
        run(str(film), "out.gif", *(word for each in nothing for word in (each, "none")), "--strict")
    )
    assert ran.report["left_out"] == []


def test_sound_that_is_not_wanted_and_lasts_longer_does_not_make_a_film_look_cut_off(run: Run) -> None:
    make_film("in.mkv", frames=25, sound_seconds=4.0)
    ran = complete(run("in.mkv", "out.mkv", "--audio", "none"))
    assert ran.report["differences"] == []


def test_a_film_that_is_cut_off_is_found_out_also_without_its_sound(run: Run) -> None:
    whole = make_film("whole.mkv", frames=250, attachment=False).read_bytes()
    Path("in.mkv").write_bytes(whole[: len(whole) * 6 // 10])
    ran = run("in.mkv", "out.mkv", "--audio", "none")
    assert ran.code == 1
    assert "it may have been cut off" in ran.err


# -- in which form: sound --


@pytest.mark.parametrize("codec", [name for name in SOUND_CODECS if name not in ("mp3", "vorbis")])
def test_all_sound_gets_the_codec_that_is_named_and_what_has_it_already_is_copied(
    run: Run, film: Path, codec: str
) -> None:
    ran = complete(run(str(film), "out.mkv", "--audio", codec, "--strict"))
    before, after = of_kind(film, "audio"), of_kind("out.mkv", "audio")
    assert [coding_name(each.codec) for each in after] == [codec] * 3
    assert [each.language for each in after] == ["eng", "jpn", "deu"]
    for was, now in zip(before, after, strict=True):
        copied = coding_name(was.codec) == codec
        named = any(
            f"audio, {was.codec}, {was.language}) is converted to" in note for note in ran.report["notes"]
        )
        assert named == (not copied)
        assert np.array_equal(was.samples, now.samples) or not copied
    assert streamfx.verify(film, "out.mkv", report="report.json").exit_code == 0


def test_mp3_of_two_channels_goes_into_mp4_and_of_six_is_refused(run: Run, film: Path) -> None:
    complete(run(str(film), "out.mp4", "--audio", "mp3", "--audio-tracks", "deu,eng", "--subtitles", "none"))
    assert [coding_name(each.codec) for each in of_kind("out.mp4", "audio")] == ["mp3", "mp3"]
    said = refused(run(str(film), "six.mkv", "--audio", "mp3"), "six.mkv")
    assert (
        "stream 2 (audio, ac3, jpn) does not go into it as --audio mp3 asks: libmp3lame does not take" in said
    )
    assert re.search(r"of it, this output takes: aac, opus, ac3, .*pcm", said)


def test_channels_at_the_sides_get_the_places_that_players_know(run: Run, film: Path) -> None:
    for target, codec in (("out.mp4", "aac"), ("out.webm", "opus")):
        complete(run(str(film), target, "--audio", codec, "--audio-tracks", "jpn"))
        with av.open(target) as file:
            assert file.streams.audio[0].codec_context.layout.name == "5.1"


def test_a_bit_rate_codes_all_sound_anew(run: Run, film: Path) -> None:
    only = ("--audio-tracks", "eng", "--audio", "aac")
    complete(run(str(film), "low.mkv", *only, "--audio-bitrate", "16k"))
    complete(run(str(film), "high.mkv", *only, "--audio-bitrate", "160000"))
    sizes = []
    for name in ("low.mkv", "high.mkv"):
        with av.open(name) as file:
            sizes.append(sum(packet.size for packet in file.demux(audio=0)))
    assert sizes[1] > 3 * sizes[0]
    assert streamfx.verify(film, "low.mkv", report="report.json").differences == ()


def test_samples_of_more_than_16_bits_stay_so_without_loss(run: Run) -> None:
    make_film("in.mkv", sounds=[("pcm_s24le", "eng", "stereo"), ("pcm_s16le", "deu", "mono")])
    for codec, names in (
        ("flac", ["flac", "flac"]),
        ("pcm", ["pcm_s24le", "pcm_s16le"]),
        ("alac", ["alac"] * 2),
    ):
        complete(run("in.mkv", f"{codec}.mkv", "--audio", codec))
        after = of_kind(f"{codec}.mkv", "audio")
        assert [each.codec for each in after] == names
        for was, now in zip(of_kind("in.mkv", "audio"), after, strict=True):
            shift = 8 * (now.samples.dtype.itemsize - was.samples.dtype.itemsize)
            assert np.array_equal(was.samples.ravel().astype(np.int64) << shift, _packed(now.samples))


def _packed(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return samples.T.ravel() if samples.shape[0] > 1 else samples.ravel()


# -- in which form: what cannot be had --


@pytest.mark.parametrize(
    ("target", "arguments", "says"),
    [
        (
            "out.webm",
            ("--audio", "copy"),
            "out.webm: cannot hold stream 1 (audio, aac, eng) as it is, which --audio copy asks for: webm "
            "does not hold such; .mp4, .m4v, .mov, .mkv, .ts, .m2ts",
        ),
        ("out.webm", ("--audio", "aac", "--audio-tracks", "2"), "of it, this output takes: opus"),
        ("out.ts", ("--audio", "flac", "--audio-tracks", "1"), "MPEG-TS does not carry such"),
        ("out.gif", ("--audio", "copy"), "holds pictures only, and sound is asked for; write --audio none"),
        ("out%d.png", ("--subtitles", "copy"), "holds pictures only, and subtitles is asked for"),
        ("out.mkv", ("--audio", "vorbis"), "this FFmpeg has no encoder for it (libvorbis); there are: aac"),
        ("out.mp4", ("--subtitles", "copy"), "cannot hold stream 4 (subtitle, srt, eng) as it is"),
        ("out.mp4", ("--subtitles", "srt"), "of it, this output takes: mov_text"),
        ("out.mkv", ("--subtitles", "mov_text"), "of it, this output takes: srt, ass, webvtt"),
        ("out.mkv", ("--audio", "acc"), "must be one of auto, copy, none, aac"),
        ("out.mkv", ("--audio-bitrate", "96k"), "needs audio with the name of a codec with loss (aac, opus"),
        ("out.mkv", ("--audio", "none", "--audio-tracks", "1"), "cannot be given together with audio none"),
        ("out.mkv", ("--audio-tracks", "0"), "must be numbers, from 1 on, or languages of tracks"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",), ("--resume",)])
def test_what_was_asked_for_and_cannot_be_had_is_refused(
    run: Run, film: Path, target: str, arguments: tuple[str, ...], says: str, dry: tuple[str, ...]
) -> None:
    if dry == ("--resume",) and target in ("out.gif", "out%d.png"):
        says = "--no-resume"
    assert says in refused(run(str(film), target, *arguments, *dry), target)


# -- in which form: subtitles --

ODD = ("commas, and <i>italics</i>", "two\nlines", "1 < 2 & 3 > 2", "über 日本")


FORMATS = {"srt": "mkv", "ass": "mkv", "webvtt": "webm", "mov_text": "mp4"}
SPANS_MS = [(0, 200), (240, 200), (480, 240), (720, 200)]


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Films of a second with the same text, by its format."""
    folder = tmp_path_factory.mktemp("texts")
    film = make_film(
        folder / "in.mkv", frames=25, sounds=[], subtitles=[("subrip", "eng")], texts=ODD, spans_ms=SPANS_MS,
        attachment=False, chapters=False,
    )  # fmt: skip
    for form, ending in FORMATS.items():
        streamfx.transcode(film, folder / f"{form}.{ending}", subtitles=form)
    return {form: folder / f"{form}.{ending}" for form, ending in FORMATS.items()}


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_each_format_of_text_is_made_into_each_other_one(
    texts: dict[str, Path], tmp_path: Path, source: str, target: str
) -> None:
    output, report = tmp_path / f"out.{FORMATS[target]}", tmp_path / "report.json"
    assert streamfx.transcode(texts[source], output, subtitles=target, report=report).exit_code == 0
    (made,) = of_kind(output, "subtitle")
    assert (coding_name(made.codec), made.language) == (target, "eng")
    assert [re.sub(r"\{[^}]*\}", "", text) for _, text in made.texts] == [
        text.replace("<i>", "").replace("</i>", "") for text in ODD
    ]
    assert [seconds for seconds, _ in made.texts] == pytest.approx(
        [begin_ms / 1000 for begin_ms, _ in SPANS_MS], abs=0.002
    )
    assert "{\\i1}italics" in made.texts[0][1]
    assert streamfx.verify(texts[source], output, report=report).differences == ()


def test_convert_makes_all_text_what_the_container_usually_has(run: Run, film: Path) -> None:
    for target, name in (("out.mkv", "srt"), ("out.mp4", "mov_text"), ("out.webm", "webvtt")):
        ran = complete(run(str(film), target, "--subtitles", "convert", "--audio-tracks", "1"))
        assert [coding_name(each.codec) for each in of_kind(target, "subtitle")] == [name, name]
    assert "fonts, colours and places of its styles are not kept" in ran.err


def test_subtitles_that_are_pictures_are_kept_or_named_and_not_made_into_text(run: Run) -> None:
    make_film("in.mkv", sounds=[], subtitles=[("hdmv_pgs_subtitle", "eng"), ("subrip", "deu")])
    for how in ("auto", "convert", "copy"):
        complete(run("in.mkv", f"{how}.mkv", "--subtitles", how, "--strict"))
        assert [each.codec for each in of_kind(f"{how}.mkv", "subtitle")] == ["pgssub", "srt"]
        assert of_kind(f"{how}.mkv", "subtitle")[0].texts == of_kind("in.mkv", "subtitle")[0].texts
    ran = complete(run("in.mkv", "out.mp4", "--subtitles", "convert", "--attachments", "none"))
    assert [note[:30] for note in ran.left_out] == ["stream 1 (subtitle, pgssub, en"]
    assert [each.codec for each in of_kind("out.mp4", "subtitle")] == ["mov_text"]
    said = refused(run("in.mkv", "no.mkv", "--subtitles", "ass"), "no.mkv")
    assert "stream 1 (subtitle, pgssub, eng) is pictures, and cannot be made into ASS" in said
    complete(run("in.mkv", "yes.mkv", "--subtitles", "ass", "--subtitle-tracks", "deu"))


# -- together with everything else --


def test_a_part_has_the_chosen_tracks_alone_cut_with_it(run: Run, film: Path) -> None:
    part = ("--start", "0.8", "--duration", "0.6")
    complete(run(str(film), "out.mkv", *part, "--audio-tracks", "deu", "--subtitle-tracks", "2", "--strict"))
    sound, text, *_ = read("out.mkv")
    assert (sound.codec, text.codec) == ("flac", "ssa")
    assert 0.5 < sound.samples.shape[1] / 2 / 48_000 < 0.65  # two channels, one after the other
    assert [said for _, said in text.texts] == [many_tracks.TEXTS[1]]
    assert streamfx.verify(film, "out.mkv", report="report.json").exit_code == 0


def test_verify_counts_what_was_wanted_and_nothing_else(run: Run, film: Path) -> None:
    asked = (
        "--audio-tracks",
        "deu,eng",
        "--subtitles",
        "none",
        "--chapters",
        "none",
        "--attachments",
        "none",
    )
    complete(run(str(film), "out.mkv", *asked))
    known = streamfx.verify(film, "out.mkv", report="report.json")
    assert known.differences == ()
    assert "2 other tracks compared" in known.summary()
    plain = streamfx.verify(film, "out.mkv")
    assert {found.about for found in plain.differences} >= {"tracks", "chapters"}
    complete(run(str(film), "whole.mkv"))
    assert streamfx.verify(film, "whole.mkv").exit_code == 0


def test_a_converted_sound_that_is_not_the_same_is_news_whatever_the_report_says(
    run: Run, film: Path
) -> None:
    complete(run(str(film), "out.mkv", "--audio", "opus"))
    make_film("other.mkv", sounds=[("opus", "eng", "mono"), *many_tracks.SOUNDS[1:]], sound_seconds=1.0)
    found = streamfx.verify(film, "other.mkv", report="report.json")
    assert any(each.about == "sound" and not each.known for each in found.differences)


def test_a_dry_run_says_what_would_be_kept_converted_and_left_out(run: Run, film: Path) -> None:
    asked = ("--audio", "aac", "--audio-tracks", "eng,deu", "--chapters", "none", "--dry-run")
    lines = run(str(film), "out.mkv", *asked).out.splitlines()
    assert "kept: stream 1 (audio, aac, eng)" in lines
    assert "converted: stream 3 (audio, flac, deu) is converted to AAC, as asked" in lines
    assert "note: left out, as asked: stream 2 (audio, ac3, jpn), chapters" in lines


def test_a_run_in_segments_has_the_tracks_of_a_plain_one(run: Run, film: Path) -> None:
    asked = ("--audio", "flac", "--audio-tracks", "jpn,eng", "--subtitles", "ass", "--chapters", "none")
    complete(run(str(film), "plain.mkv", *asked))
    ran = complete(run(str(film), "parts.mkv", *asked, "--resume", "--set", "segment_seconds=0.5"))
    assert any(note.startswith("left out, as asked: ") for note in ran.report["notes"])
    for was, now in zip(read("plain.mkv"), read("parts.mkv"), strict=True):
        assert np.array_equal(was.samples, now.samples)
        assert (was.codec, was.language, was.default, was.texts) == (
            now.codec,
            now.language,
            now.default,
            now.texts,
        )
    assert chapters_of("parts.mkv") == 0


def test_another_choice_is_another_result_for_a_run_or_batch_that_goes_on(film: Path) -> None:
    def asked(**settings: object) -> object:
        files: dict[str, object] = {"input": str(film), "output": "out.mkv"}
        return asked_for(load_config(options=files | settings))

    choices = [{}, {"audio": "none"}, {"audio_tracks": "eng"}, {"subtitles": "srt"}, {"chapters": "none"}]
    found = [asked(**choice) for choice in choices]
    assert all(found[i] != found[j] for i in range(len(found)) for j in range(i))
    assert asked(audio_tracks="eng,2") == asked(audio_tracks=["eng", 2])


def test_a_batch_takes_the_same_settings_for_each_film(film: Path, tmp_path: Path) -> None:
    own = {"inputs": (str(film),), "output_dir": str(tmp_path / "out")}
    asked = load_batch(options={**own, "audio": "opus", "audio_tracks": "deu", "audio_bitrate": "64k"})
    choice = asked.config_of(film, "out.mkv").tracks
    assert (choice.audio, choice.audio_tracks, choice.audio_bits_per_second) == ("opus", ("deu",), 64_000)
    with pytest.raises(ConfigError, match="must be one of auto, copy, none, aac"):
        load_batch(options={**own, "audio": "acc"})


def test_python_and_yaml_take_numbers_and_lists(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    streamfx.transcode(film, output, audio="flac", audio_tracks=["deu", 1], subtitles="none", chapters="none")
    assert [(each.codec, each.language) for each in of_kind(output, "audio")] == [
        ("flac", "deu"),
        ("flac", "eng"),
    ]
    written = tmp_path / "settings.yaml"
    files = {"input": "a.mkv", "output": "b.mkv"}
    for text, tracks in (("[no, 2]", ("no", "2")), ("2", ("2",)), ("eng, ja?", ("eng", "ja?")), ("[]", ())):
        written.write_text(f"audio_tracks: {text}\n")
        assert load_config(written, options=files).audio_tracks == tracks
