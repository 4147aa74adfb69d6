"""What decides a result: the input, the settings, the programs. If one differs, the result may differ."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streamfx.config.transcode import TranscodeConfig
from streamfx.generate.request import parse_effect
from streamfx.generate.where import Where
from streamfx.hardware.cpu import cpu, usable_cores
from streamfx.hardware.software import versions

_SAMPLES, _SAMPLE_BYTES = 16, 1 << 16
_DECIDE_NOTHING = {
    "input", "output", "report", "overwrite", "strict", "verify", "resume", "queue",
    "cluster", "cluster_gpus", "cluster_retries",
}  # fmt: skip
_DECIDE_HOW = {"threads", "workers", "backend", "device", "build", "segment_seconds"}


def identity_of_file(path: Path) -> dict[str, Any]:
    """Return what tells a file from others: size, time of the last change, and a digest of samples of it.

    Raises:
        OSError: it cannot be read.
    """
    found, digest = path.stat(), hashlib.sha256()
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(max(found.st_size - _SAMPLE_BYTES, 0) * number // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return {"size_bytes": found.st_size, "changed_ns": found.st_mtime_ns, "samples": digest.hexdigest()[:32]}


def asked_for(config: TranscodeConfig) -> dict[str, Any]:
    """Return what a user decides on: the input, the settings, the engines, and not how they are run.

    Raises:
        OSError: the input, or the picture of a backdrop, cannot be read.
        EngineNotFoundError: there is no such effect.
    """
    return {
        "input": identity_of_file(Path(config.input)),
        "settings": config.model_dump(mode="json", exclude=_DECIDE_NOTHING | _DECIDE_HOW),
        "engines": engine_digests(config.effects),
        "backdrops": {
            request.picture: identity_of_file(Path(request.picture))
            for request in map(parse_effect, config.effects)
            if request.picture is not None
        },
    }


def decisions(config: TranscodeConfig) -> dict[str, Any]:
    """Return everything that is known before a run and decides what comes out, to the last bit.

    Raises:
        OSError: the input cannot be read.
        EngineNotFoundError: there is no such effect.
    """
    return {
        **asked_for(config),
        "how": config.model_dump(mode="json", include=_DECIDE_HOW),
        "versions": versions(),
        "machine": {"processor": cpu().name, "cores": usable_cores()},
    }


def engine_digests(effects: Sequence[str]) -> dict[str, str]:
    """Return digests of the engines that effects name; where pictures decide, of all that could be taken.

    Raises:
        EngineNotFoundError: there is no such effect.
    """
    from streamfx.engine.library import list_engines, load_engine
    from streamfx.generate.people.effects import PEOPLE_EFFECTS
    from streamfx.generate.people.matting import PERSON

    found: dict[str, str] = {}
    for request in map(parse_effect, effects):
        if request.engine in PEOPLE_EFFECTS or request.where not in (None, Where.ALL):
            found[PERSON] = load_engine(PERSON).digest
        if request.engine in PEOPLE_EFFECTS:
            continue
        if request.route or request.auto:
            found |= {engine.name: engine.spec.digest for engine in list_engines() if engine.spec}
        if not request.route:
            found[request.engine] = load_engine(request.engine).digest
    return found


def stamp_of(path: Path) -> dict[str, int] | None:
    """Return size and time of the last change of a file; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return {"size_bytes": found.st_size, "changed_ns": found.st_mtime_ns}
