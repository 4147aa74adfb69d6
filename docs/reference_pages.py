"""Pages of the site that are generated when it is built, so that they cannot differ from the code.

Commands come from their argument parsers, settings from their models, public names from the package itself.
MkDocs calls `on_files`, `on_page_markdown` and `on_post_build`; the tests call what writes a page.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import inspect
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

import streamfx
from streamfx.cli import main, parser
from streamfx.config.arguments import settings_of
from streamfx.config.live import LiveConfig
from streamfx.config.serve import ServeConfig
from streamfx.config.transcode import TranscodeConfig

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
TAKE_SETTINGS: dict[str, type[BaseModel]] = {
    "live": LiveConfig,
    "serve": ServeConfig,
    "transcode": TranscodeConfig,
}
EVERY_PUBLIC_NAME, EVERY_SHEET = "<!-- every public name -->", "<!-- every sheet -->"
_ELSEWHERE = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\"'\s>]+"
    r"|<link\b[^>]*\brel=[\"']?(?:stylesheet|preconnect|preload|icon)\b[^>]*\bhref=[\"']?(?:https?:)?//[^\"'\s>]+"
    r"|@import\s+(?:url\()?[\"']?(?:https?:)?//|url\([\"']?(?:https?:)?//[^)]+"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the sheets that lie in the folders of engines."""
    from mkdocs.structure.files import File

    pages = {
        "reference/commands.md": commands_page(),
        "reference/configuration.md": configuration_page(),
        "reference/training.md": training_page(),
        "reference/changes.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "reference/figures.md": (ROOT / "benchmarks/results/report.md").read_text(encoding="utf-8"),
    }
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    pictures = {f"pictures/sheets/{name}.jpg": path for name, path in sheets().items()}
    pictures["pictures/bench.png"] = ROOT / "benchmarks/results/bench.png"
    for name, path in pictures.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Put every public name, and every sheet, where a page asks for them."""
    return markdown.replace(EVERY_PUBLIC_NAME, public_names()).replace(EVERY_SHEET, every_sheet())


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that would fetch anything from elsewhere.

    Raises:
        PluginError: a page or a style sheet does; says which, and what.
    """
    from mkdocs.exceptions import PluginError

    site = Path(config.site_dir)
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        if found := fetched_from_elsewhere(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path.relative_to(site)} would fetch from elsewhere: {found[0]}")


def fetched_from_elsewhere(text: str) -> list[str]:
    """Return what a page or style sheet makes a browser fetch from another machine; links do not count.

    Example:
        >>> fetched_from_elsewhere('<a href="https://a.b/c">c</a> <img src="//a.b/c.png">')
        ['<img src="//a.b/c.png']
    """
    return _ELSEWHERE.findall(text)


def sheets() -> dict[str, Path]:
    """Return the sheet of every effect that has one, by its name; classifiers have another kind."""
    found = {path.parent.name: path for path in sorted((ROOT / "engines").glob("*/sheet.jpg"))}
    return {
        name: path
        for name, path in found.items()
        if "- scores" not in path.with_name("engine.yaml").read_text(encoding="utf-8")
    }


def every_sheet() -> str:
    """Return the part of a page that shows every sheet, each a link to the whole of it."""
    parts = []
    for name in sheets():
        address = f"pictures/sheets/{name}.jpg"
        parts.append(f"[![What {name} makes of pictures]({address}){{ loading=lazy }}]({address})\n`{name}`")
    return "\n\n".join(parts)


# --- commands ---


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the argument parser of every command, by name ("bench live"), in the order of the help."""
    return dict(_commands(parser._build(None), ""))


def _commands(one: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in one._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                whole = f"{name} {word}".strip()
                if fill := inner.get_default("fill"):
                    fill(inner)  # options are added to a command only when it is wanted
                yield whole, inner
                yield from _commands(inner, whole)


def commands_page() -> str:
    """Return the page that lists every command with its arguments and options."""
    parts = [
        "# Commands",
        "This page is generated from the program itself. `streamfx COMMAND --help` says the same at a "
        "terminal. `streamfx --version` tells the version and those of the libraries, and `--debug`, before "
        "or after any command, shows tracebacks and detailed logs. "
        "[Exit codes](../reliability.md#exit-codes) are the same for all "
        "commands that change video.",
    ]
    for name, command in commands().items():
        parts += [f"## streamfx {name}", *_command(command)]
    return "\n\n".join(parts) + "\n"


def _command(command: argparse.ArgumentParser) -> Iterator[str]:
    usage = re.sub(r"\s+", " ", command.format_usage().removeprefix("usage: ")).strip()
    if command.description:
        yield html.escape(command.description.strip(), quote=False)
    yield f"```sh\n{usage}\n```"
    for group in command._action_groups:
        rows = [
            _option(action)
            for action in group._group_actions
            if action.help is not argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction)
        ]
        rows = [row for row in rows if not row.startswith(("| `-h`", "| `--debug`"))]
        if rows:
            title = str(group.title or "")
            heading = {"positional arguments": "Argument", "options": "Option"}.get(title, title.capitalize())
            yield "\n".join([f"| {heading} | What it does |", "| --- | --- |", *rows])


def _option(action: argparse.Action) -> str:
    names = ", ".join(f"`{_spelled(action, name)}`" for name in action.option_strings)
    if not names:
        names = f"`{action.metavar or action.dest}`"
    text = (action.help or "") % {"default": action.default, "prog": "streamfx"}
    if action.choices:
        text = f"{text}; one of {', '.join(f'`{choice}`' for choice in action.choices)}"
    return f"| {names} | {_cell(text)} |"


def _spelled(action: argparse.Action, name: str) -> str:
    if action.nargs == 0:
        return name
    value = action.metavar or action.dest.upper()
    return f"{name} {' '.join(value) if isinstance(value, tuple) else value}"


# --- settings ---


def configured_commands() -> list[str]:
    """Return the names of the commands that take a configuration file, in the order of `schema --for`."""
    action = next(action for action in commands()["schema"]._actions if "--for" in action.option_strings)
    return [str(choice) for choice in action.choices or ()]


def schema_of(command: str) -> dict[str, Any]:
    """Return the JSON schema of a command's configuration, as `streamfx schema` prints it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(["schema", "--for", command])
    schema: dict[str, Any] = json.loads(printed.getvalue())
    return schema


def configuration_page() -> str:
    """Return the page that lists every setting of every command that has a configuration."""
    parts = [
        "# Configuration",
        "This page is generated from the models that check a configuration. Settings come from "
        "`--config FILE` (YAML), then `--set KEY=VALUE`, then the options of the command line; the later "
        "wins. A dotted key reaches into a section: `--set limits.frames=100`. Unknown, repeated and "
        "mistyped keys are errors that tell file, line and column. `streamfx schema` prints the JSON schema "
        "with which an editor completes and checks a file, and every report stores the settings in full.",
    ]
    for command in configured_commands():
        schema = schema_of(command)
        parts += [f"## streamfx {command}", *_sections(schema, command)]
        ready = ROOT / "configs" / f"{command}.yaml"
        if ready.exists():
            text = ready.read_text(encoding="utf-8")
            parts.append(_folded(f"configs/{command}.yaml, with every setting and its default", text))
    return "\n\n".join(parts) + "\n"


def training_page() -> str:
    """Return the page that lists every command of the training with its settings."""
    from training.__main__ import COMMANDS

    parts = [
        "# Settings of the training commands",
        "This page is generated from the models that check the settings. Each command is called as "
        "`python -m training COMMAND --config FILE`; `--set KEY=VALUE` overrides one setting, and a dotted "
        "key reaches into a section. [Training engines](../training.md) says which command is for what.",
    ]
    for name, command in COMMANDS.items():
        parts += [f"## {name}", f"`python -m training {name}`: {command.help}."]
        flags = [f"`--{flag}`" for flag in command.flags]
        parts.append(f"Settings with a flag of their own: {', '.join(flags)}.")
        parts += _sections(command.options.model_json_schema(), name)
    return "\n\n".join(parts) + "\n"


def _sections(schema: Mapping[str, Any], command: str) -> Iterator[str]:
    """Yield a table for the settings of a schema, and one with a heading for each of its sections."""
    inner: list[tuple[str, Mapping[str, Any]]] = [("", schema)]
    while inner:
        path, model = inner.pop(0)
        if path:
            yield f"### {path} {{ #{command}-{path.replace('.', '-')} }}"
            if model.get("description"):
                yield _cell(str(model["description"]).partition("\n\n")[0])
        rows = []
        for name, setting in model.get("properties", {}).items():
            section = _section_of(setting, schema)
            if section is not None:
                inner.append((f"{path}.{name}".lstrip("."), section))
            rows.append(_setting(name, setting, schema, f"{path}.{name}".lstrip("."), command, section))
        yield "\n".join(["| Setting | Values | Default | What it is |", "| --- | --- | --- | --- |", *rows])


def _section_of(setting: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for place in (setting, *setting.get("allOf", ()), *setting.get("anyOf", ())):
        if "$ref" in place:
            found: Mapping[str, Any] = schema["$defs"][place["$ref"].rpartition("/")[2]]
            return found if "properties" in found else None
    return None


def _setting(
    name: str,
    setting: Mapping[str, Any],
    schema: Mapping[str, Any],
    path: str,
    command: str,
    section: Mapping[str, Any] | None,
) -> str:
    text = _cell(str(setting.get("description", "")))
    if section is not None:
        where = f"[section](#{command}-{path.replace('.', '-')})"
        return f"| `{name}` | {where} | | {text} |"
    default = (
        f"`{json.dumps(setting['default'], ensure_ascii=False)}`" if "default" in setting else "required"
    )
    if len(default) > 60:
        default = "see the code"
    return f"| `{name}` | {_cell(_values(setting, schema))} | {_cell(default)} | {text} |"


def _values(setting: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return in words what a setting takes."""
    if "$ref" in setting:
        return _values(schema["$defs"][setting["$ref"].rpartition("/")[2]], schema)
    if "enum" in setting or "const" in setting:
        values = setting.get("enum", [setting.get("const")])
        return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in values)
    if "anyOf" in setting:
        return " or ".join(dict.fromkeys(_values(each, schema) for each in setting["anyOf"]))
    kind = setting.get("type", "any value")
    if isinstance(kind, list):
        kind = " or ".join(kind)
    names = {"string": "text", "boolean": "true or false", "integer": "whole number", "array": "list"}
    words = names.get(kind, "names with values" if kind == "object" else kind)
    if kind == "array" and "items" in setting:
        words = f"list of {_values(setting['items'], schema)}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {setting[key]:g}" for key, sign in signs.items() if key in setting]
    return f"{words} {', '.join(limits)}".strip()


# --- public names ---


def public_names() -> str:
    """Return the part of a page that documents every public name of the package."""
    parts = []
    for name in sorted(streamfx.__all__, key=str.lower):
        if name[0] != "_":
            parts.append(f"::: streamfx.{name}")
        if name in TAKE_SETTINGS:
            parts.append(settings_by_name(name))
    return "\n\n".join(parts)


def settings_by_name(name: str) -> str:
    """Return a table of the settings that a public function takes by name."""
    shown = inspect.signature(getattr(streamfx, name)).parameters
    rows = [
        f"| `{argument}` | {_cell(description)} | `{shown[argument].default!r}` |"
        for argument, description, _ in settings_of(TAKE_SETTINGS[name])
        if argument in shown and shown[argument].default is not inspect.Parameter.empty
    ]
    head = [
        f"Settings that `streamfx.{name}` takes by name:",
        "",
        "| setting | | default |",
        "| --- | --- | --- |",
    ]
    return "\n".join([*head, *rows])


def _folded(title: str, text: str) -> str:
    indented = "\n".join(f"    {line}".rstrip() for line in text.splitlines())
    return f'??? example "{title}"\n\n    ```yaml\n{indented}\n    ```'


def _cell(text: str) -> str:
    """Return text for a cell of a table: one line, without what would end the cell or be taken for a tag."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
