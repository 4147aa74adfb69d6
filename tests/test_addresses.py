"""Addresses: what is one, and that no secret of it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfx.addresses import scheme_of, without_credentials
from streamfx.backoff import Backoff


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://host/1", "rtsp://host/1"),
        ("rtsp://me:p/w@d?x@host:554/1", "rtsp://***@host:554/1"),
        ("rtmps://host/app/key?auth=1&b", "rtmps://host/app/***?auth=***&***"),
        ("cannot open 'srt://host:9?passphrase=abc'.", "cannot open 'srt://host:9?passphrase=***'."),
        ("fault:loss:rtsp://me:pw@host/1", "fault:loss:rtsp://***@host/1"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_secrets_are_hidden_wherever_an_address_stands(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=12))
def test_a_password_is_never_shown(password: str) -> None:
    secret = f"Q{password}Q"
    assert secret not in without_credentials(f"see rtsp://user:{secret}@host/path?token={secret}, please")


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
