"""The commands `streamfx bench` and `streamfx bench live` as they are run: tables, JSON, what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from streamfx.bench.compare import compare
from streamfx.bench.result import ActualSettings, Failed, read_result
from streamfx.cli import main
from streamfx.cli.bench_page import comparison, page
from streamfx.cli.parser import parse
from tests.bench.figures import case, result, row

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
SMALL = ("--size", "160x96", "--fps", "50", "--effect", "tiny", "--threads", "1")


TINY = ("--effect", "tiny", "--size", "96x64", "--factor", "2", "--precision", "f32", "--threads", "1")


def test_rows_are_shown_kept_drawn_and_compared_and_one_that_fails_comes_last(
    at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["bench", *TINY, "--frames", "4", "--rounds", "2", "--seconds", "2", "--json", "now.json"]
    assert main([*small, "--level", "model", "--backend", "tensorrt,openvino"]) == 1
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    (line,) = [line for line in lines if line.startswith("model  ")]
    assert line.split()[:6] == ["model", "tiny", "96x64", "2", "openvino", "f32"]
    assert lines[-2] == "not measured:"
    assert lines[-1].startswith(
        "  model tiny 96x64 factor 2 tensorrt f32: backend tensorrt cannot run here: "
    )
    assert "round 2 of 2" in shown.err
    kept = read_result(at_home / "now.json")
    assert [failed.case.backend for failed in kept.failed] == ["tensorrt"]
    (measured,) = kept.rows
    assert measured.frames >= 4
    assert len(measured.turns_fps) == 2
    assert measured.peak_memory_mib
    assert kept.config.sizes == ((64, 96),)
    assert kept.versions.keys() >= {"streamfx", "python", "openvino", "torch"}

    options = ["--level", "resident", "--backend", "openvino", "--compare", "now.json", "--plot", "now.png"]
    assert main([*small, *options]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "no row is in both",
        "only then: model tiny 96x64 factor 2 openvino f32",
        "only now: resident tiny 96x64 factor 2 openvino f32",
    ]
    assert (at_home / "now.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in at_home.iterdir()) == ["now.json", "now.png"]


def test_the_page_tells_what_was_measured_on_what_and_what_is_not_known() -> None:
    few = row(12.34).model_copy(update={"p99_ms": None, "taken_by_others": 0.5})
    metered = row(2500.0, level="resident").model_copy(
        update={"power_watts": {"GPU": 310.2, "processor": 55.0}, "device_memory_mib": 900.2}
    )
    failed = Failed(case=case(factor=9), reason="no such factor")
    shown = list(
        page(result(few, metered, failed=(failed,), device={"gpus": ({"name": "H100"},), "driver": "580"}))
    )
    assert shown[:3] == [
        "device: 2 cores of A processor (AVX2)",
        "GPU: H100, driver 580",
        "clocks: processor 2400 to 3600 MHz; system: Linux-6",
    ]
    cells = {
        line.split()[0]: line.split()[4:] for line in shown if line.startswith(("model  ", "resident  "))
    }
    # runs with, fps, ± %, p50, p95 and p99 ms, MiB, GPU MiB, W, frames
    assert cells == {
        "model": ["openvino", "f32", "12.3", "8", "81.0", "97.2", "–", "210", "–", "–", "120"],
        "resident": [
            "openvino", "f32", "2500", "0", "0.400", "0.480", "0.800", "210", "900", "310", "+", "55", "120"
        ],
    }  # fmt: skip
    assert "W: mean power of the whole device: GPU + processor" in shown
    assert "– at p95 or p99: fewer than 20 or 100 frames; more --seconds give more frames" in shown
    assert any("warning: other programs took up to 50% of the processors" in line for line in shown)
    assert shown[-1] == "  model wave 1280x720 factor 9: no such factor"


def test_columns_that_nothing_is_known_for_are_left_out() -> None:
    shown = "\n".join(page(result(row())))
    assert "GPU MiB" not in shown
    assert " W " not in shown
    assert "warning" not in shown
    assert list(page(result().model_copy(update={"stopped": True})))[-1].startswith("stopped before the end")


def test_a_comparison_names_chance_changes_and_rows_on_one_side() -> None:
    ran = ActualSettings(backend="openvino", precision="bf16", threads=2)
    then = result(row(50.0), row(10.0, level="pipeline"), row(20.0, level="resident"), row(factor=8.0))
    now = result(row(51.0), row(20.0, level="pipeline"), row(30.0, level="resident", ran=ran))
    shown = list(comparison(compare(then, now), then, "then.json"))
    assert shown[0] == "compared with then.json of 2026-11-22T10:00:00+00:00, streamfx 0.1.0:"
    cells = {line.split()[0]: line.split()[4:] for line in shown[2:5]}
    assert cells["model"] == ["may", "be", "chance", "50.0", "51.0", "1.02", "40.0", "39.2"]
    assert cells["pipeline"] == ["10.0", "20.0", "2.00", "200", "100"]
    assert cells["resident"] == ["precision", "f32", "▸", "bf16", "20.0", "30.0", "1.50", "100", "66.7"]
    assert shown[-1] == "only then: model wave 1280x720 factor 8"
    assert "no row is in both" in list(comparison(compare(result(), now), then, "then.json"))


def test_without_a_word_what_is_measured_is_run_and_lists_are_taken_apart() -> None:
    options = parse(
        ["--debug", "bench", "--effect", "a:strength=0.5,factor=2,b", "--effect", "c", "--size", "4K,8x6"]
    )
    assert options.measured == "run"
    assert options.effect == ["a:strength=0.5,factor=2", "b", "c"]
    assert options.size == [(2160, 3840), (6, 8)]
    assert options.debug
    assert parse(["bench", "run", "--factor", "1,1.5"]).factor == [1.0, 1.5]
    assert parse(["bench", "live"]).measured == "live"


@pytest.mark.parametrize("arguments", [["bench", "--help"], ["bench", "run", "--help"]])
def test_help_shows_the_options_at_once_and_names_the_other_measurement(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
    out = capsys.readouterr().out
    assert out.startswith("usage: streamfx bench [-h]")
    for part in ("--effect", "levels:", "resident", "--compare", "'streamfx bench live --help'"):
        assert part in out


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
        (["--size", "12x"], "argument --size: must be WIDTHxHEIGHT or one of 360p"),
        (["--size", "0x9"], "found '0x9'"),
        (["--factor", "0.5"], "argument --factor: must be one of 1, 1.5, 2, 3, 4, 6, 8, found '0.5'"),
        (["--factor", "two"], "must be a number, found 'two'"),
        (["--frames", "0"], "argument --frames: must be a whole number above 0, found '0'"),
        (["--rounds", "x"], "argument --rounds: must be a whole number above 0, found 'x'"),
        (["--effect", "tny"], "did you mean 'tiny'?"),
        (["--level", "modl"], "there is no level 'modl'; there are: model, resident, pipeline"),
        (["--backend", "cuda"], "there is no backend 'cuda'"),
        (["--device", "gpu"], "device must be auto, cpu, cuda, or cuda:N for the Nth GPU, counted from 0; "),
        pytest.param(
            ["--device", "cuda"], "device cuda cannot be used: NVIDIA's driver knows of no GPU", marks=no_gpu
        ),
        (["--encoder", "x265"], "argument --encoder: invalid choice: 'x265'"),
        (["--clip", "in.mp4", "--size", "720p"], "--clip has a size of its own; leave --size away"),
        (["--clip", "in.mp4"], "in.mp4: no such file"),
        (["--json", "nowhere/now.json"], "cannot write the report: there is no folder"),
        (["--plot", "nowhere/now.png"], "cannot write the report: there is no folder"),
        (["--plot", "now.svg"], "--plot writes a PNG picture: call it now.png"),
        (["--compare", "then.json"], "then.json: cannot read the figures: No such file"),
        (["--sizes", "720p"], "not an option or argument of 'bench'; did you mean '--size'?"),
        (["liv"], "did you mean 'live'?"),
        (["live", "--size", "12x"], "size must be a whole number, found ''"),
        (["live", "--fps", "no"], "fps must be a rate such as 25"),
        (["live", "--seconds", "soon"], "limits.seconds: must be a number, found 'soon'"),
        (["live", "--every", "0"], "argument --every: must be a number of seconds above 0, found '0'"),
        (["live", "--every", "often"], "must be a number of seconds above 0, found 'often'"),
        (["live", "--factr", "2"], "not an option or argument of 'bench live'; did you mean '--factor'?"),
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
    effect = ["--effect", "tiny"] if "--effect" not in arguments and arguments != ["liv"] else []
    assert main(["bench", *arguments, *effect]) == 2
    shown = capsys.readouterr()
    assert part in shown.err
    assert len(shown.err.splitlines()) == 1
    assert shown.out == ""
