"""The commands that only show something: effects, the configuration schema."""

from __future__ import annotations

import json
import textwrap
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.errors import EngineCorruptError, EngineNotFoundError, printable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from streamfx.engine.library import FoundEngine

_WIDTH_COLUMNS = 100


def effects(options: Namespace) -> int:
    """Print the effects there are, or one of them, with what a user may set; classifiers apart, as text."""
    from streamfx.engine.library import engine_folders, list_effects, list_engines

    found = list_effects()
    others = [engine for engine in list_engines() if engine not in found]
    if options.name is not None:
        chosen = [engine for engine in (*found, *others) if engine.name == options.name]
        if not chosen:
            names = ", ".join(effect.name for effect in found) or "none"
            raise EngineNotFoundError(f"there is no effect '{options.name}'; there are: {names}")
        found, others = tuple(chosen), []
    if options.json:
        print(json.dumps([_effect_facts(effect) for effect in found], indent=2, ensure_ascii=False))
    elif not found:
        print("no effects found; searched " + ", ".join(map(str, engine_folders())))
    else:
        print("\n\n".join(_effect_text(effect) for effect in found))
    if others and not options.json:
        print("\nNot effects: what decides on routes, on 'auto' and where an effect acts\n")
        print("\n\n".join(_effect_text(engine) for engine in others))
    return 0


def schema(options: Namespace) -> int:
    """Print the JSON schema of configuration files, of the command that ``--for`` names."""
    from streamfx.config.live import LiveConfig
    from streamfx.config.loading import schema as config_schema
    from streamfx.config.serve import ServeConfig
    from streamfx.config.transcode import TranscodeConfig
    from streamfx.jobs.settings import BatchConfig

    models: dict[str, type[BaseModel]] = {
        "transcode": TranscodeConfig,
        "batch": BatchConfig,
        "live": LiveConfig,
        "serve": ServeConfig,
    }
    print(json.dumps(config_schema(models[options.configured]), indent=2, ensure_ascii=False))
    return 0


def _effect_facts(effect: FoundEngine) -> dict[str, object]:
    spec = effect.spec.model_dump(mode="json", exclude={"name", "files"}) if effect.spec else {}
    description, folder = _description(effect.folder), str(effect.folder)
    return {
        "name": effect.name,
        "description": description,
        "folder": folder,
        "problem": effect.problem,
        **spec,
    }


def _effect_text(effect: FoundEngine) -> str:
    from streamfx.engine.spec import OutputKind

    spec = effect.spec
    if spec is None:
        return f"{effect.name}\n  cannot be used: {effect.problem}"
    lines = [f"{effect.name} {spec.version}"]
    lines += [f"  in place of the one in {printable(str(other))}" for other in effect.shadowed]
    lines += textwrap.wrap(
        _description(effect.folder), _WIDTH_COLUMNS, initial_indent="  ", subsequent_indent="  "
    )
    if spec.kind is OutputKind.MATTE:
        return "\n".join([*lines, f"  tells people from the background; licence {spec.licence}"])
    if spec.kind is OutputKind.SCORES:
        return "\n".join([*lines, f"  tells apart {', '.join(spec.classes)}; licence {spec.licence}"])
    lines.append(f"  from {spec.source_domain} to {spec.target_domain}; licence {spec.licence}")
    for name, control in spec.controls.items():
        lines.append(f"  {name}: {control.low:g} to {control.high:g}, default {control.default:g}")
    return "\n".join(lines)


def _description(folder: Path) -> str:
    """Return the first paragraph of the engine's card; empty where there is none."""
    from streamfx.engine.folder import read_card

    try:
        card = read_card(folder)
    except EngineCorruptError:
        return ""
    paragraphs = (part.strip() for part in card.split("\n\n"))
    return next((" ".join(part.split()) for part in paragraphs if part and not part.startswith("#")), "")
