"""Routes that several engines fit: asked at a terminal, refused with the choices in a script."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from streamfx.cli import main
from streamfx.cli.ask import resolved
from streamfx.errors import ConfigError
from tests import engines

CHOICES = "route:to=clay: several effects fit: from photo: pinch (to clay), roll (to clay). Say which: "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    engines.make_engine(folder, "pinch", source_domain="photo", target_domain="clay")
    engines.make_engine(folder, "roll", source_domain="photo", target_domain="clay")
    engines.make_engine(folder, "bake", source_domain="painting", target_domain="clay")
    return folder


@pytest.fixture(autouse=True)
def _engines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder))


class Terminal(io.StringIO):
    """Text that is typed, or shown, at a terminal."""

    def isatty(self) -> bool:
        return True


def asked(text: str, typed: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return the effect that was settled, and what was shown."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", shown)
    (result,) = resolved([text])
    return result, shown.getvalue()


def test_at_a_terminal_the_choices_are_shown_and_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    effect, shown = asked("route:to=clay,strength=0.5", "2\n", monkeypatch)
    assert effect == "route:to=clay,among=bake+roll,strength=0.5"
    assert shown == (
        "route:to=clay: several effects fit a photo:\n"
        "  1  pinch (to clay)\n"
        "  2  roll (to clay)\n"
        "Which, 1 to 2? streamfx: to be asked no more, write --effect "
        "route:to=clay,among=bake+roll,strength=0.5\n"
    )
    assert resolved([effect]) == (effect,)


def test_what_is_no_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    effect, shown = asked("route:from=photo,to=clay", "pinch\n\n0\n3\n-1\n1\n", monkeypatch)
    assert effect == "route:from=photo,to=clay,among=pinch"
    assert shown.count("Which, 1 to 2? ") == 6


def test_no_answer_at_all_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="several effects fit"):
        asked("route:to=clay", "", monkeypatch)


@pytest.mark.parametrize("there", ["stdin", "stderr", None])
def test_where_nobody_can_be_asked_the_choices_are_the_error(
    there: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stdin", "stderr"):
        monkeypatch.setattr(sys, name, Terminal("1\n") if name == there else io.StringIO("1\n"))
    with pytest.raises(ConfigError) as caught:
        resolved(["route:to=clay"])
    assert str(caught.value) == (
        CHOICES + "name the effect itself (--effect pinch), "
        "or one for each kind of picture (route:to=clay,among=bake+pinch)"
    )


@pytest.mark.parametrize(
    "effects", [(), ("pinch", "none such"), ("pinch", "route:from=painting,to=clay"), ("route:among=bake",)]
)
def test_what_is_not_ambiguous_is_left_as_it_is(effects: tuple[str, ...]) -> None:
    assert resolved(effects) == effects


@pytest.mark.parametrize("command", [["transcode", "in.mp4", "out.mp4"], ["live", "test:bars", "null:"]])
def test_a_script_gets_exit_code_2_and_the_choices(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--effect", "route:to=clay"]) == 2
    shown = capsys.readouterr().err
    assert CHOICES in shown
    assert shown.count("\n") == 1
    assert not list(tmp_path.iterdir())
