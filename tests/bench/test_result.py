"""Results in files: written, read again, and refused when they are something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamfx.bench.result import SCHEMA_VERSION, ActualSettings, Failed, read_result
from streamfx.errors import ConfigError, SinkError
from tests.bench.figures import case, result, row


def test_a_result_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    whole = result(row(), row(level="pipeline"), failed=(Failed(case=case(factor=9), reason="no"),))
    whole.write(tmp_path / "now.json")
    again = read_result(tmp_path / "now.json")
    assert again.rows == whole.rows
    assert again.model_dump(mode="json") == whole.model_dump(mode="json")
    assert json.loads((tmp_path / "now.json").read_text())["schema_version"] == SCHEMA_VERSION == 1


def test_a_result_names_the_encoders_that_its_pipelines_had() -> None:
    ran = ActualSettings(backend="inductor", precision="f16", threads=2, encoder="h264_nvenc")
    there, here = row(level="pipeline", ran=ran), row(level="pipeline")
    assert result(there, here, row()).encoders == ("h264_nvenc", "x264")
    assert result(row()).encoders == ("x264",)
    assert result(here, config={"encoder": "null:"}).encoders == ("null:",)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({}, "inductor f16"),
        ({"device": "cuda", "frames": "cuda"}, "inductor f16 on cuda"),
        ({"device": "cuda"}, "inductor f16 on cuda, frames on cpu"),
        (
            {"device": "cuda", "frames": "cuda", "encoder": "h264_nvenc"},
            "inductor f16 on cuda, h264_nvenc",
        ),
    ],
)
def test_a_row_says_what_ran_and_where_if_not_on_the_processor(where: dict[str, str], words: str) -> None:
    assert (
        str(ActualSettings.model_validate({"backend": "inductor", "precision": "f16", "threads": 2} | where))
        == words
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON, so there are no figures in it"),
        ("[]", "it has no schema_version, 1 is needed"),
        (
            '{"rate_fps": 30}',
            "was not written by 'streamfx bench --json' of this version: it has no schema_version",
        ),
        ('{"schema_version": 7}', "it has schema_version 7, 1 is needed"),
        ('{"schema_version": 1}', "was changed since it was written: measured_at: Field required"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_result(tmp_path / "old.json")


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there\.json: cannot read the figures: No such file"):
        read_result(tmp_path / "there.json")
    with pytest.raises(SinkError, match=r"now\.json: cannot write the figures: No such file"):
        result().write(tmp_path / "nowhere" / "now.json")


def test_the_busiest_row_tells_how_busy_others_kept_the_machine() -> None:
    rows = [row().model_copy(update={"taken_by_others": share}) for share in (0.1, 0.4, None)]
    assert result(*rows).taken_by_others == 0.4
    assert result().taken_by_others == 0
