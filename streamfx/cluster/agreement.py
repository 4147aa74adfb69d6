"""Agreement: whether a machine of a cluster would do the same as the one that asks, and sees its files."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamfx.cluster.pool import Pool
from streamfx.config.transcode import TranscodeConfig
from streamfx.errors import ConfigError, StreamfxError
from streamfx.resume.identity import decisions
from streamfx.resume.journal import changes

SAME_FOLDER = "every machine must reach input and output under the same name, in a shared folder for instance"


def decisions_anywhere(config: TranscodeConfig) -> dict[str, Any]:
    """Return what decides the result, whichever machine of a kind does it: not how many processors it has.

    The number of threads, which decides how an encoder shares out its work, is given in a run on a cluster.

    Raises:
        OSError: the input cannot be read.
        EngineNotFoundError: there is no such effect.
    """
    found = decisions(config)
    found["machine"] = {name: value for name, value in found["machine"].items() if name != "cores"}
    return found


def problem_here(config: TranscodeConfig, decided: Mapping[str, Any], folder: Path) -> str | None:
    """Return why this machine cannot do a part of the work; None where it can.

    Args:
        config: settings of the film.
        decided: answer of `decisions_anywhere` on the machine that asks.
        folder: folder where the work is kept.
    """
    if not Path(config.input).is_file():
        return f"cannot see the input {config.input}; {SAME_FOLDER}"
    if not folder.is_dir():
        return f"cannot see the folder {folder}, where the work is kept; {SAME_FOLDER}"
    try:
        here = decisions_anywhere(config)
        probe = folder / f"probe-{secrets.token_hex(4)}"
        probe.touch(exist_ok=False)
        probe.unlink()
    except StreamfxError as error:
        return f"cannot do it: {error}"
    except OSError as error:
        return f"cannot use {error.filename}: {error.strerror or error}; {SAME_FOLDER}"
    if others := list(changes(decided, here)):
        return (
            f"would decide otherwise: {', '.join(others)}; make that alike, or take the machine out of the "
            "cluster ('ray stop' on it)"
        )
    return None


def look_around(asked: Mapping[str, Any]) -> str | None:
    """Return what `problem_here` says; a task for each machine."""
    config = TranscodeConfig.model_validate(asked["config"])
    return problem_here(config, asked["decisions"], Path(asked["folder"]))


def check_machines(pool: Pool, asked: Mapping[str, Any]) -> int:
    """Check that all machines of a cluster would do the same, and return how many there are.

    Raises:
        ConfigError: one would not, or does not see the files; the message says which, and why.
    """
    ends = pool.on_each(look_around, asked)
    problems = [
        f"{machine.name} {end.returned or _unanswered(str(end.problem))}"
        for machine, end in ends.items()
        if end.problem is not None or end.returned is not None
    ]
    if problems:
        raise ConfigError(f"--cluster: {'. '.join(problems)}")
    return len(ends)


def _unanswered(problem: str) -> str:
    if "No module named 'streamfx" in problem:
        return f"has no streamfx ({problem}); install the same there"
    return f"does not answer: {problem}"
