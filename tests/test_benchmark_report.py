"""Published figures come from recorded results and from nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import report

RESULT = {
    "benchmark": "pipeline",
    "time": "2026-01-02T03:04:05+00:00",
    "commit": "abc",
    "device": {"usable_cores": 2, "name": "Some CPU", "extensions": ["AVX2"], "gpu": None},
    "versions": {"python": "3.11"},
    "config": {"rounds": 3},
    "rows": [
        {"program": "ours", "fps": 101.26, "cpu_ms_per_frame": 19.5, "share_of_bound": 0.987,
         "stages_ms": {"a": 1}},
        {"program": "theirs", "fps": 1.6, "cpu_ms_per_frame": 1234.5, "share_of_bound": None},
    ],
}  # fmt: skip


def test_a_table_shows_every_plain_value_with_its_unit() -> None:
    assert report.table(RESULT["rows"]) == [  # type: ignore[arg-type]
        "| program | fps | cpu per frame, ms | share of bound |",
        "| --- | ---: | ---: | ---: |",
        "| ours | 101 | 19.5 | 99% |",
        "| theirs | 1.6 | 1234 | – |",
    ]


def test_the_readme_gets_its_figures_between_the_marks_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- figures:begin (how) -->\nold\n<!-- figures:end -->\nafter\n")
    (tmp_path / "pipeline.json").write_text(json.dumps(RESULT))
    (tmp_path / "fuse.json").write_text(json.dumps(RESULT | {"benchmark": "fuse"}))
    monkeypatch.setattr(report, "README", readme)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    for _ in range(2):
        report.main()
        text = readme.read_text()
        assert text.startswith("before\n<!-- figures:begin (how) -->\n\n| program |")
        assert text.endswith("\n\n<!-- figures:end -->\nafter\n")
        assert "old" not in text
        assert text.count("| ours | 101 |") == 1
        assert "Measured on 2 cores of Some CPU (AVX2), 2026-01-02, commit abc." in text
    whole = (tmp_path / "report.md").read_text()
    assert whole.index("## Pipeline") < whole.index("## Fuse")


def test_without_marks_the_readme_is_left_alone() -> None:
    with pytest.raises(ValueError, match="the README has no lines '<!-- figures:begin"):
        report.put_between_marks("nothing here", [])


def test_without_results_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    with pytest.raises(SystemExit, match="no results in"):
        report.main()
    assert list(tmp_path.iterdir()) == []


def test_the_readme_of_the_project_has_the_marks() -> None:
    assert report.put_between_marks(report.README.read_text(encoding="utf-8"), ["x"])


def test_a_file_of_another_kind_among_the_results_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "builds.json").write_text('{"what": "something else"}')
    for name in ("effects", "pipeline"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"benchmark": name}))
    assert [result["benchmark"] for result in report.read_results(tmp_path)] == ["pipeline", "effects"]
