"""Addresses: what is one, and that no secret of it is shown."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfx.capture.opening import open_source
from streamfx.capture.pattern import PatternSource
from streamfx.cli import main
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config
from streamfx.encode.opening import check_output, open_sink
from streamfx.errors import ConfigError
from streamfx.media.addresses import check_address, scheme_of, without_credentials
from streamfx.media.backoff import Backoff
from streamfx.media.ffmpeg_protocols import protocols


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://host/1", "rtsp://host/1"),
        ("rtsp://me:p/w@d?x@host:554/1", "rtsp://***@host:554/1"),
        ("rtmps://host/app/key?auth=1&b", "rtmps://host/app/***?auth=***&***"),
        ("cannot open 'srt://host:9?passphrase=abc'.", "cannot open 'srt://host:9?passphrase=***'."),
        ("fault:loss:rtsp://me:pw@host/1", "fault:loss:rtsp://***@host/1"),
        ("clip.mp4", "clip.mp4"),
        ("rtspx://me:pw@host/1: no such file", "rtspx://***@host/***: no such file"),
        ("rtsp:/me:pw@host/1", "rtsp:/***"),
        ("rtsp//me:pw@host/1", "rtsp//***"),
        ("see me:pw@host/1, please", "see ***@host/1, please"),
        ("me:p@ss:w@rd@host", "***@host"),
        ("rtmpx://live.example/app/key?a=b", "rtmpx://live.example/***?***"),
        ("'rtmp:/live.example/app/key'", "'rtmp:/***'"),
        ("rtmp//live.example/app/key.", "rtmp//***."),
        ("rtmp:live.example/app/key", "rtmp:***"),
        (
            "--set source.option.passphrase=a,b: unknown key",
            "--set source.option.passphrase=***: unknown key",
        ),
        ("--set source.options.headers=A: Bearer b c", "--set source.options.headers=***"),
        ("hls:/var/www/live", "hls:/var/www/live"),
        ("http: addresses can be read", "http: addresses can be read"),
        ("restore:auto and wave:strength=0.5", "restore:auto and wave:strength=0.5"),
        ("at 10:20 me@host", "at 10:20 me@host"),
    ],
)
def test_secrets_are_hidden_wherever_an_address_stands(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=12))
def test_a_password_is_never_shown(password: str) -> None:
    secret = f"Q{password}Q"
    assert secret not in without_credentials(f"see rtsp://user:{secret}@host/path?token={secret}, please")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rtspx://me:pw@host/1", r"^there are no rtspx:// addresses; write rtsp:// instead$"),
        ("ftp://me:pw@host/1", r"^there are no ftp:// addresses; there are rtsp://, "),
        ("rtsp:/me:pw@host/1", r"^rtsp:/ begins no address; write rtsp:// instead$"),
        ("rtmpp//host/app/pw", r"^rtmpp// begins no address; write rtmp:// instead$"),
        ("udp:5000", r"^udp: begins no address; write udp:// instead$"),
        ("me:pw@host/1", r"^\*\*\*@host/1: an address needs its protocol in front"),
    ],
)
def test_what_was_meant_to_be_an_address_is_refused_and_not_taken_for_a_file(text: str, message: str) -> None:
    video = PatternSource("test:bars?size=64x48").format
    for refused in (
        partial(check_address, text),
        partial(open_source, text),
        partial(open_sink, text, format=video),
        partial(open_source, f"fault:loss:{text}"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            refused()
        assert "pw" not in str(caught.value)


def test_other_inputs_and_outputs_are_no_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtsp:").mkdir()
    for text in ("a.mp4", "hls:/var/www", "camera:/dev/video0", "test:bars", "rtsp:", "C:/clips/a.mp4", "-"):
        check_address(text)


def test_a_protocol_that_ffmpeg_lacks_is_named_with_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "streamfx.media.ffmpeg_protocols._problem", lambda scheme: "not here" if scheme == "srt" else None
    )
    with pytest.raises(
        ConfigError, match=r"^srt:// addresses cannot be used here: not here; there are rtsp://, .*https://"
    ):
        open_source("srt://host:9?passphrase=pw")
    with pytest.raises(ConfigError, match=r"there are rtsp://, rtsps://, rtmp://, rtmps://, udp://$"):
        check_output("srt://host:9?passphrase=pw")


def test_help_and_messages_name_no_protocol_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    missing = [name for name, problem in protocols().items() if problem is not None]
    with pytest.raises(SystemExit):
        main(["live", "--help"])
    messages = [capsys.readouterr().out]
    with pytest.raises(ConfigError) as caught:
        open_source("")
    messages.append(str(caught.value))
    with pytest.raises(ConfigError) as caught:
        open_sink("http://host/", format=PatternSource("test:bars?size=64x48").format)
    messages.append(str(caught.value))
    assert not [name for name in missing for text in messages if name in text]


def test_a_secret_is_not_shown_by_what_is_wrong_with_a_setting(tmp_path: Path) -> None:
    scene = tmp_path / "scene.yaml"
    scene.write_text("input: a\noutputs: [b]\nsource: {options: {passphrase: [pw]}}\n")
    for path, overrides in (
        (None, ["source.option.passphrase=pw"]),
        (None, ["stream_key=pw"]),
        (None, ["input=rtmp:/host/app/pw", "limits.frames=0"]),
        (scene, []),
    ):
        with pytest.raises(ConfigError) as caught:
            load_config(path, overrides, {"outputs": ("b",)}, model=LiveConfig)
        assert "pw" not in str(caught.value)


def test_only_network_schemes_are_addresses() -> None:
    assert scheme_of("HTTP://host/x") == "http"
    assert [scheme_of(text) for text in ("test:bars", "a.mp4", "ftp://host/a", "file:///a")] == [None] * 4


@given(st.integers(0, 100))
def test_waits_grow_up_to_the_longest_and_jitter_stays_within_its_share(attempt: int) -> None:
    backoff = Backoff(first_seconds=0.5, longest_seconds=8, jitter=0.25)
    assert 0 <= backoff.delay_seconds(attempt) <= 8 * 1.25
    usual = Backoff(first_seconds=0.5, longest_seconds=8, jitter=0)
    assert usual.delay_seconds(attempt) <= usual.delay_seconds(attempt + 1) <= 8
    assert Backoff(attempts=3).exhausted(attempt) == (attempt >= 3)
    assert not Backoff(attempts=None).exhausted(attempt)
