"""The command ``streamfx live``: options in, one run until it is stopped, its summary out."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from streamfx.cli.progress import ShowProgress, shown_as, status_lines
from streamfx.cli.settings import given_settings
from streamfx.cli.transcode import run_and_report, with_effects
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config

if TYPE_CHECKING:
    from streamfx.run.report import Report


def _say_address(address: str) -> None:
    # Printed with its secret: whoever sees the terminal may see the page. It goes nowhere else.
    print(f"streamfx: the page is at {address}", file=sys.stderr, flush=True)


def live(options: Namespace) -> int:
    """Run ``streamfx live`` and return its exit code: 0, 1 or 130; what is refused is raised."""
    config = live_config(options)

    def run(show: ShowProgress) -> Report:
        # Imported here, after the settings were found right: a typing error should not wait for libraries.
        from streamfx.streaming import run_live

        return run_live(config, show, _say_address)

    shown = shown_as(options.progress, status_lines)
    return run_and_report(run, shown, debug=options.debug, told_as=options.progress)


def live_config(options: Namespace) -> LiveConfig:
    """Return what file and options configure.

    Raises:
        ConfigError: a setting is wrong, or there is no effect.
    """
    given, overrides = given_settings(options, LiveConfig)
    given |= {"input": options.input, "outputs": tuple(options.outputs) or None}
    config = load_config(options.config, [*(options.set or ()), *overrides], given, model=LiveConfig)
    return with_effects(config)
