"""The ``streamfx`` command: arguments in, one command run, every failure one line and an exit code."""

from __future__ import annotations

import atexit
import gc
import sys
import traceback
from collections.abc import Sequence
from functools import cache

from streamfx.cli.output import prepare_streams, say, silence
from streamfx.cli.parser import parse
from streamfx.errors import StreamfxError
from streamfx.hardware.memory import NOT_ENOUGH, memory_hint

EXIT_ALL_THERE = 0
EXIT_WITH_LOSSES = 1
EXIT_REFUSED = 2
EXIT_STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: everything is there. 1: finished or ended early, and frames are missing; the report says which.
    2: refused, nothing was written. 130: stopped by the user, the output holds what was done until then.

    Args:
        arguments: words after ``streamfx``; None takes the process's own.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    _end_quickly()
    prepare_streams()
    try:
        options = parse(arguments)
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader left early (`streamfx effects | head -1`). A transcode cares for that itself.
        silence(sys.stdout.fileno())
        return EXIT_ALL_THERE
    except KeyboardInterrupt:
        return _fail("stopped", EXIT_STOPPED)
    except StreamfxError as error:
        return _fail(str(error), EXIT_REFUSED, debug="--debug" in arguments)
    except MemoryError:
        return _fail(NOT_ENOUGH + memory_hint(), EXIT_REFUSED, debug="--debug" in arguments)
    except Exception as error:
        return _fail(_unexpected(error), EXIT_WITH_LOSSES, debug="--debug" in arguments)
    return code


def _unexpected(error: Exception) -> str:
    """Return one line on an exception that nobody expected: the last of its own, which says the most."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    why = memory_hint() or " (this is a fault of streamfx; --debug shows where)"
    return f"unexpected {type(error).__name__}: {said[-1] if said else 'no words'}{why}"


@cache
def _end_quickly() -> None:
    """Have the end of the process not search hundreds of thousands of objects for what it gives up anyway."""
    atexit.register(gc.freeze)


def _fail(message: str, code: int, *, debug: bool = False) -> int:
    if debug:
        say(traceback.format_exc(), sys.stderr)
    # Several problems in one message (a configuration file has them all reported at once) are a line each.
    for line in message.splitlines() or ["unknown"]:
        say(f"streamfx: error: {line.strip()}", sys.stderr)
    return code
