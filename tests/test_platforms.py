"""Systems that lack what Linux has: what depends on it is refused in words, and all else runs."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import streamfx
from streamfx.cli.transcode import termination_as_interrupt
from streamfx.errors import ConfigError
from streamfx.resume import journal
from tests.media import make_clip


def test_signals_that_the_system_does_not_know_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP")
    usual = signal.getsignal(signal.SIGTERM)
    with termination_as_interrupt():
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is usual


def test_resuming_without_locks_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "fcntl", None)
    clip = make_clip(tmp_path / "in.mkv", frames=3, audio=False)
    with pytest.raises(ConfigError, match=r"has no locks .*; run with --no-resume"):
        streamfx.transcode(clip, tmp_path / "out.mkv", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
    assert streamfx.transcode(clip, tmp_path / "out.mkv").exit_code == 0
