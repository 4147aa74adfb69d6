"""Damaged films end in a balanced account or a clear refusal: a quick sample of ``benchmarks/fuzz.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.damages import DAMAGES, damaged


def test_a_sample_of_damaged_films_comes_to_a_balanced_account_or_a_refusal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "--count", "16", "--seconds", "200", "--no-record"]
    clips = "avi-mpeg4,flv-flv1,gif,mkv-h264,mp4-h264,mpg-mpeg2,ts-h264,webm-vp8"
    ran = subprocess.run(
        [*command, "--clips", clips, "--keep", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("\n") == 9


def test_the_same_seed_and_number_damage_alike_and_every_kind_damages() -> None:
    data = bytes(range(256)) * 40
    assert damaged(data, 1, 5) == damaged(data, 1, 5)
    found = {damaged(data, 1, number)[0] for number in range(200)}
    assert found == set(DAMAGES)
    assert sum(damaged(data, 1, number)[1] != data for number in range(50)) > 40
