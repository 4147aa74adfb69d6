"""The command ``streamfx train``: options in, one training, an engine out.

This is the one file of the runtime that imports ``training``: here a process is given over to it altogether,
from the first line to the exit code, and it is imported when the command runs and never before.
"""

from __future__ import annotations

import importlib.util
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.cli.output import say
from streamfx.cli.progress import clock, steps_shown
from streamfx.cli.transcode import log_to_stderr, termination_as_interrupt
from streamfx.errors import ConfigError

if TYPE_CHECKING:
    from training.own_look.course import Progress
    from training.own_look.job import Job
    from training.own_look.request import Request

_EXTRA = "pip install 'streamfx[train]'"
_PACKAGES = ("streamfx", "training")
_STOPPED = 130
_FAILED = 1


def train(options: Namespace) -> int:
    """Train, and return the exit code: 0, 1 or 130; what is refused is raised.

    Raises:
        ConfigError: something that was asked for cannot be; nothing was written.
    """
    from training.errors import WrongOptions
    from training.own_look.request import check

    try:
        request = _request(options)
        check(request, _shipped())
        _extra_is_there()
        with termination_as_interrupt(), log_to_stderr(debug=options.debug, packages=_PACKAGES):
            return _run(request, options)
    except WrongOptions as error:
        raise ConfigError(str(error)) from error


def _request(options: Namespace) -> Request:
    from streamfx.engine.library import user_folder
    from streamfx.hardware.cpu import cpu
    from training.own_look.request import Request

    out = user_folder() if options.out is None else Path(options.out)
    work = out.parent / "trainings" / options.name
    if options.out is not None:
        work = out / f"{options.name}.training"
    processor = cpu()
    return Request(
        name=options.name,
        out=out,
        work=work,
        picture=_path(options.picture),
        operator=options.operator,
        pairs=None if options.pairs is None else (Path(options.pairs[0]), Path(options.pairs[1])),
        pictures=_path(options.pictures),
        minutes=options.minutes,
        resume=options.resume,
        overwrite=options.overwrite,
        threads=(processor.physical_cores or processor.usable_cores)
        if options.threads is None
        else options.threads,
        device=options.device,
        installed=options.out is None,
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser()


def _shipped() -> list[str]:
    from streamfx.engine.library import find_engines, shipped_folders
    from streamfx.generate.people.effects import PEOPLE_EFFECTS

    return [*find_engines(shipped_folders()), *PEOPLE_EFFECTS]


def _extra_is_there() -> None:
    if importlib.util.find_spec("cv2") is None:
        raise ConfigError(f"train needs OpenCV, which is not installed: {_EXTRA}")


def _run(request: Request, options: Namespace) -> int:
    from training.own_look import course, job

    begun: Job | None = None
    with _shown() as listener:
        try:
            begun = job.resume(request) if request.resume else job.begin(request, listener.say)
            listener.say(_told(begun))
            engine = course.run(begun, listener)
        except KeyboardInterrupt:
            return _stopped(begun)
        except (OSError, ValueError, FloatingPointError) as error:
            if begun is None and isinstance(error, ValueError):
                raise ConfigError(str(error)) from error
            if options.debug:
                raise
            say(f"streamfx: error: the training ended early: {error}{_way_on(begun)}", sys.stderr)
            return _FAILED
    name = course.effect(begun)
    say(f"{request.name} is ready, in {engine.folder}", sys.stdout)
    say(f"use it: streamfx transcode in.mp4 out.mp4 --effect {name}", sys.stdout)
    return 0


@contextmanager
def _shown() -> Iterator[_Listener]:
    with steps_shown() as show:
        yield _Listener(show)


class _Listener:
    """Shows progress as a bar, or a line now and then where there is no terminal."""

    def __init__(self, show: Callable[[int, int, str], None]) -> None:
        self._show = show

    def progress(self, progress: Progress) -> None:
        parts = [
            f"step {progress.done} of {progress.steps}",
            f"{clock(progress.seconds_left)} left",
            progress.terms,
        ]
        self._show(progress.done, progress.steps, ", ".join(parts))

    def say(self, text: str) -> None:
        say(f"streamfx: {text}", sys.stderr)


def _told(begun: Job) -> str:
    """What is about to happen, in one line."""
    from training.own_look.course import SHEET

    begins = f"goes on with {begun.request.name}" if begun.request.resume else f"trains {begun.request.name}"
    seconds = begun.seconds_left(begun.done())
    return (
        f"{begins}: {begun.total_steps} steps, about {clock(seconds)}; a sheet every few minutes: "
        f"{begun.request.work / SHEET}; Ctrl-C stops and keeps what was done"
    )


def _stopped(begun: Job | None) -> int:
    if begun is None:
        say("streamfx: error: stopped before the training began", sys.stderr)
        return _STOPPED
    say(f"streamfx: error: stopped{_way_on(begun)}", sys.stderr)
    if begun.kept.early:
        from training.own_look.course import effect

        say(f"streamfx: the first engine can be used: --effect {effect(begun)}", sys.stderr)
    return _STOPPED


def _way_on(begun: Job | None) -> str:
    if begun is None:
        return ""
    request = begun.request
    out = "" if request.installed else f" --out {request.out}"
    return (
        f"; {begun.done()} of {begun.total_steps} steps are kept; go on with: streamfx train --name "
        f"{request.name}{out} --resume"
    )
