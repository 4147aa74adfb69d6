"""The command ``streamfx serve``: options in, a page for visitors until it is stopped."""

from __future__ import annotations

import sys
import threading
from argparse import Namespace

from streamfx.cli.output import say
from streamfx.cli.settings import given_settings
from streamfx.cli.transcode import log_to_stderr, termination_as_interrupt
from streamfx.config.loading import load_config
from streamfx.config.serve import ServeConfig


def serve(options: Namespace) -> int:
    """Run ``streamfx serve`` until Ctrl-C and return its exit code, 0, or 1 where a visitor's run ended with
    losses; what is refused is raised."""
    given, overrides = given_settings(options, ServeConfig)
    config = load_config(options.config, [*(options.set or ()), *overrides], given, model=ServeConfig)
    # Imported here, after the settings were found right: a typing error should not wait for libraries.
    from streamfx.serving import serving

    losses: list[None] = []
    with (
        termination_as_interrupt(),
        log_to_stderr(debug=options.debug),
        serving(config, _tell, lambda: losses.append(None)) as address,
    ):
        try:  # from the first line on, for whoever reads it may press Ctrl-C before the next statement
            print(f"open {address} in a browser; Ctrl-C ends", flush=True)  # with the token, so not by say
            threading.Event().wait()
        except KeyboardInterrupt:
            _tell("visitors are sent away")
    if losses:
        _tell(f"{len(losses)} visits ended with losses, told above")
    return 1 if losses else 0


def _tell(line: str) -> None:
    say(f"streamfx: {line}", sys.stderr)
