"""The command ``streamfx batch``: options in, many runs, a line for each and a summary out."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from streamfx.cli.output import say
from streamfx.cli.progress import steps_shown
from streamfx.cli.progress_json import batch_shown
from streamfx.cli.settings import given_settings
from streamfx.cli.transcode import log_to_stderr, termination_as_interrupt, with_effects
from streamfx.jobs.batch import BatchObserver, BatchState, run_batch
from streamfx.jobs.settings import Batch, BatchConfig, load_batch
from streamfx.jobs.summary import Outcome


def batch(options: Namespace) -> int:
    """Run ``streamfx batch`` and return its exit code: 0, 1 or 130; what is refused is raised."""
    asked = _configure(options)
    with (
        termination_as_interrupt(),
        _shown_as(options.progress) as state,
        log_to_stderr(debug=options.debug),
    ):
        summary = run_batch(asked, _show(state))
    say(summary.summary(), sys.stderr if summary.exit_code else sys.stdout)
    return summary.exit_code


def _configure(options: Namespace) -> Batch:
    given, overrides = given_settings(options, BatchConfig)
    given |= {"inputs": tuple(options.inputs) or None}
    asked = load_batch(options.config, [*(options.set or ()), *overrides], given)
    effects = with_effects(asked.config_of("input", "output")).effects
    return replace(asked, settings={**asked.settings, "effects": effects})


@contextmanager
def _shown_as(kind: str | None) -> Iterator[Callable[[BatchState], None]]:
    """Give what shows where the batch stands, as it was asked for; see `streamfx.cli.progress.shown_as`."""
    if kind == "json":
        with batch_shown(sys.stderr) as show:
            yield show
    elif kind == "none":
        yield lambda _state: None
    else:
        with steps_shown(lines=kind == "plain") as move:
            yield lambda state: move(state.done, state.files, describe(state))


def _show(state: Callable[[BatchState], None]) -> BatchObserver:
    def ended(outcome: Outcome) -> None:
        if outcome.state in ("finished", "failed"):
            say(f"streamfx: {outcome.line}", sys.stderr)

    def log(output: str, level: str, text: str) -> None:
        say(f"streamfx: {level}: {output}: {text.removeprefix(f'{output}: ')}", sys.stderr)

    return BatchObserver(ended, state, log)


def describe(state: BatchState) -> str:
    """Return how far a batch is, in words.

    Example:
        >>> describe(BatchState(2, 9, {"out/a.mp4": (40, 100), "out/b.mkv": (7, None)}))
        '2 of 9 files; out/a.mp4: 40 of 100 frames; out/b.mkv: 7 frames'
    """
    parts = [f"{state.done} of {state.files} files"]
    for output, (done, count) in state.running.items():
        parts.append(f"{output}: {done}{'' if count is None else f' of {count}'} frames")
    return "; ".join(parts)
