"""The page on methods names tests, files and engines that exist, and leaves out none of the losses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/design/methods.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_test_that_the_page_names_exists(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_page_names_many_tests_and_every_shipped_engine() -> None:
    assert len(NAMED) > 50
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert {folder.name for folder in (ROOT / "engines").iterdir() if folder.is_dir()} <= named


def test_every_row_fills_all_columns_of_its_table() -> None:
    columns = 0
    for line in PAGE.splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        columns = columns or len(cells)
        assert len(cells) == columns, line
        assert all(cells), line


def test_every_loss_is_on_the_page() -> None:
    tree = ast.parse((ROOT / "training/losses.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    terms = {node.name for node in functions if (ast.get_docstring(node) or "").find("scalar") > 0}
    assert {"content", "style", "weight_bias"} <= terms
    assert terms <= set(re.findall(r"`(\w+)`", PAGE))
