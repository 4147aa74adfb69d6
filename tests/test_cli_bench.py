"""The command `streamfx bench` as it is run: its tables, its JSON, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamfx.cli import main

SMALL = ("--size", "160x96", "--fps", "50", "--effect", "tiny", "--threads", "1")


def test_figures_are_shown_in_tables_and_kept_as_json(
    at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", "live", *SMALL, "--seconds", "1", "--every", "0.3", "--factor", "2"]
    assert main([*arguments, "--sink", "out.mp4", "--json", "live.json"]) == 0
    out = capsys.readouterr().out
    for part in ("p50 ms", "waiting to encode", "pictures read from the file", "every one the right one"):
        assert part in out
    kept = json.loads((at_home / "live.json").read_text())
    assert len(kept["rows"]) >= 2
    assert kept["rows"][0]["factor"] == 2
    assert kept["at_far_end"]["pictures"] == kept["at_output"]["pictures"] > 0
    assert kept["report"]["result"]["account"]["encoded"] == kept["at_output"]["pictures"]
    assert kept["report"]["config"]["input"] == "test:bars?size=160x96&fps=50&frames=0&live=1"
    assert "memory_mib" in kept["growth_per_minute"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "the following arguments are required: WHAT; 'streamfx bench --help'"),
        (["liv"], "did you mean 'live'?"),
        (["live", "--size", "12x"], "size must be a whole number, found ''"),
        (["live", "--fps", "no"], "fps must be a rate such as 25"),
        (["live", "--seconds", "soon"], "limits.seconds: must be a number, found 'soon'"),
        (["live", "--every", "0"], "argument --every: must be a number of seconds above 0, found '0'"),
        (["live", "--every", "often"], "must be a number of seconds above 0, found 'often'"),
        (["live", "--factr", "2"], "not an option or argument of 'bench live'; did you mean --factor?"),
        (["live", "--factor", "5"], "factor: must be 'auto' or one of"),
        (["live", "--effect", "tny"], "did you mean 'tiny'?"),
        (["live", "--sink", "nowhere/out.mp4"], "there is no folder"),
        (["live", "--json", "nowhere/live.json"], "cannot write the report: there is no folder"),
    ],
)
@pytest.mark.usefixtures("at_home")
def test_what_cannot_be_is_refused(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    effect = ["--effect", "tiny"] if arguments[:1] == ["live"] and "--effect" not in arguments else []
    assert main(["bench", *arguments, *effect]) == 2
    shown = capsys.readouterr()
    assert part in shown.err
    assert len(shown.err.splitlines()) == 1
    assert shown.out == ""
