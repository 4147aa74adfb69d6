"""The command ``streamfx transcode``: options in, one run, its summary out."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from streamfx.cli.ask import resolved
from streamfx.cli.output import say, silence
from streamfx.cli.progress import ShowProgress, progress, progress_lines, shown_as
from streamfx.cli.progress_json import end_object, say_object
from streamfx.cli.settings import given_settings
from streamfx.config.loading import load_config
from streamfx.config.transcode import TranscodeConfig
from streamfx.errors import ConfigError, StageFailedError, printable
from streamfx.media.addresses import without_credentials
from streamfx.media.notes import NOTE
from streamfx.media.paths import own_descriptor
from streamfx.run.log_limit import LogLimit

if TYPE_CHECKING:
    from streamfx.config.live import LiveConfig
    from streamfx.config.preview import PreviewConfig
    from streamfx.run.report import Report

Config = TypeVar("Config", "TranscodeConfig", "LiveConfig", "PreviewConfig")


def transcode(options: Namespace) -> int:
    """Run ``streamfx transcode`` and return its exit code: 0, 1 or 130; what is refused is raised."""
    config = _configure(options)
    if options.dry_run:
        return _dry_run(config, debug=options.debug)

    def run(show: ShowProgress) -> Report:
        # Imported here, after the settings were found right: a typing error should not wait for libraries.
        from streamfx.transcoding import run_config

        return run_config(config, show)

    usual = progress_lines if options.progress == "plain" else progress
    piped = own_descriptor(Path(config.output)) == 1
    return run_and_report(
        run,
        shown_as(options.progress, usual),
        debug=options.debug,
        told_as=options.progress,
        to=sys.stderr if piped else sys.stdout,
    )


def _dry_run(config: TranscodeConfig, *, debug: bool) -> int:
    from streamfx.jobs.dry_run import dry_run

    noted = logging.getLogger("streamfx.media.notes")
    before, noted.disabled = noted.disabled, not debug  # the plan says what they would
    try:
        with termination_as_interrupt(), log_to_stderr(debug=debug):
            plan = dry_run(config)
    finally:
        noted.disabled = before
    say(plan.summary(), sys.stdout)
    return 0


def run_and_report(
    run: Callable[[ShowProgress], Report],
    shown: AbstractContextManager[ShowProgress],
    *,
    debug: bool,
    told_as: str | None = None,
    to: TextIO | None = None,
) -> int:
    """Run, say what came of it, and return the exit code.

    Args:
        run: run to start; it is given the progress display.
        shown: function that returns the progress display.
        debug: show detailed logs, and tracebacks.
        told_as: kind of progress that `shown_as` got; with "json", the outcome is told for programs too.
        to: stream for the summary of a complete run; None: stdout.

    Raises:
        StageFailedError: it failed before one frame was written: that is a refusal.
    """
    # The log comes after the bar, which takes stderr over and puts other lines above itself.
    with termination_as_interrupt(), shown as show, log_to_stderr(debug=debug):
        try:
            report = run(show)
        except StageFailedError as error:
            if error.report is None or not error.report.result.account.encoded:
                raise
            if debug:
                say(traceback.format_exc(), sys.stderr)
            report = error.report
    if told_as == "json":
        say_object(end_object(report), sys.stderr)
    say(report.summary(), sys.stderr if report.exit_code else to or sys.stdout)
    return report.exit_code


def _configure(options: Namespace) -> TranscodeConfig:
    given, overrides = given_settings(options, TranscodeConfig)
    given |= {"input": options.input, "output": options.output}
    config = load_config(options.config, [*(options.set or ()), *overrides], given)
    return with_effects(config)


def with_effects(config: Config) -> Config:
    """Return the settings, those effects resolved that could mean several; a run without any is refused.

    Raises:
        ConfigError: there are none (the message lists those installed), or see `resolved`.
    """
    if not config.effects:
        from streamfx.generate.chain import effect_names

        names = ", ".join(effect_names())
        raise ConfigError(f"no effect given: add --effect NAME, one of: {names}")
    return config.model_copy(update={"effects": resolved(config.effects)})


@contextmanager
def log_to_stderr(*, debug: bool, packages: Sequence[str] = ("streamfx",)) -> Iterator[None]:
    """Show what packages of ours log: notes and warnings, or with ``debug`` everything."""
    loggers = [logging.getLogger(package) for package in packages]
    handler = logging.StreamHandler()
    if not debug:
        handler.addFilter(LogLimit())  # of its own each time: what one run said says nothing of another
    handler.addFilter(_name_level)
    handler.setFormatter(logging.Formatter("streamfx: %(level)s: %(message)s"))
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if debug else NOTE)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.removeHandler(handler)


def _name_level(record: logging.LogRecord) -> bool:
    """Give the record its level in lower case, for the format, and hide secrets; nothing is filtered out."""
    record.level = record.levelname.lower()
    record.msg, record.args = printable(without_credentials(record.getMessage())), None
    return True


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Treat a request to terminate, or a terminal that closes, like Ctrl-C: the output is completed."""
    before: dict[signal.Signals, Any] = {}
    acts: dict[str, Callable[[int, FrameType | None], object]] = {
        "SIGTERM": signal.default_int_handler,
        "SIGHUP": _leave_terminal,
    }
    for name, act in acts.items():
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is None:
            continue
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup, or a caller, may have decided otherwise
            before[number] = signal.signal(number, act)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_terminal(_number: int, _frame: FrameType | None) -> None:
    """Act on a terminal that was closed: stop writing to it, and stop the run as Ctrl-C does."""
    for descriptor in (1, 2):
        if os.isatty(descriptor):
            silence(descriptor)
    raise KeyboardInterrupt
