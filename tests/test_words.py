"""Descriptions of fields, arguments and options stand alone, and what they describe exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("streamfx", "training", "tests", "benchmarks", "docs")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
SECTION = re.compile(r"^ *(Args|Attributes|Returns|Yields):$")
ENTRY = re.compile(r"^(?P<indent> +)(?P<name>[\w*`, ]+): (?P<text>.*)$")
BARE = re.compile(
    "(of|in|for|to|up|from|by|with|at|on|per|into|onto|over|under|above|below|between|among|after|before|since|"
    "until|during|without|within|through|across|as|about|against|beside|towards|off|"
    "what|which|that|those|it|they|this|these|such|where|when|how|whose|who|whom|why|its|their|"
    "is|are|was|were|has|have|does|do|did|and|or|but|called|see) ",
    re.IGNORECASE,
)
"""Words that only go on with something said before, or send elsewhere; 'whether' begins the description of a
boolean."""


def described(module: Path) -> Iterator[tuple[int, str]]:
    """Give (line, description) of everything that a module describes."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            docstring = node.body[0].value  # type: ignore[attr-defined]
            yield from entries(docstring.value.splitlines(), docstring.lineno)
        elif isinstance(node, ast.Call):
            for given in node.keywords:
                text = given.value
                if given.arg in ("description", "help") and isinstance(text, ast.Constant):
                    yield text.lineno, str(text.value)


def entries(lines: list[str], first_line: int) -> Iterator[tuple[int, str]]:
    """Give (line, description) of the entries in a docstring's sections."""
    section, indent = "", 0
    for number, line in enumerate(lines, first_line):
        if found := SECTION.match(line):
            section, indent = found.group(1), len(line) - len(line.lstrip()) + 4
        elif not line.strip():
            section = ""
        elif section in ("Args", "Attributes"):
            entry = ENTRY.match(line)
            if entry and len(entry["indent"]) == indent:
                yield number, entry["text"]
        elif section:
            yield number, line.strip()
            section = ""


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_description_is_a_phrase_that_stands_alone(folder: str) -> None:
    found = [
        f"{module.relative_to(ROOT)}:{line}: {text}"
        for module in MODULES
        if module.is_relative_to(ROOT / folder)
        for line, text in described(module)
        if BARE.match(f"{text} ")
    ]
    assert found == []


def documented(docstring: str, section: str) -> set[str]:
    """Return the names of the entries in a section of a docstring."""
    _, found, rest = docstring.partition(f"\n{section}:\n")
    lines = rest.split("\n\n")[0].splitlines() if found else []
    entries = [entry for line in lines if (entry := re.match(r" {4}([*\w]+(?:, [*\w]+)*): ", line))]
    return {name.strip("* ") for entry in entries for name in entry[1].split(",")}


def known(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the parameters of a function, or attributes and parameters of a class."""
    names = {name.attr for name in ast.walk(node) if isinstance(name, ast.Attribute)}
    for part in ast.walk(node) if isinstance(node, ast.ClassDef) else [node]:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            names |= {
                part.name,
                *(argument.arg for argument in ast.walk(part.args) if isinstance(argument, ast.arg)),
            }
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            names.add(part.target.id)
    return names


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_a_docstring_describes_exists(folder: str) -> None:
    stale = []
    for module in (path for path in MODULES if path.is_relative_to(ROOT / folder)):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node) or ""
                names = documented(docstring, "Args") | documented(docstring, "Attributes")
                if missing := names - known(node):
                    stale.append(f"{module.relative_to(ROOT)}:{node.lineno}: {node.name}: {sorted(missing)}")
    assert stale == []


def test_a_description_in_the_middle_of_a_sentence_is_found() -> None:
    lines = ["Do it.", "", "    Args:", "        seed: of the noise.", "            that is: a number."]
    assert list(entries(lines, 1)) == [(4, "of the noise.")]
