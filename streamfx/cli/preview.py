"""The command ``streamfx preview``: a film and effects in, a contact sheet out."""

from __future__ import annotations

import sys
from argparse import Namespace

from streamfx.cli.output import say
from streamfx.cli.progress import steps_shown
from streamfx.cli.settings import given_settings
from streamfx.cli.transcode import log_to_stderr, termination_as_interrupt, with_effects
from streamfx.config.loading import load_config
from streamfx.config.preview import PreviewConfig


def preview(options: Namespace) -> int:
    """Run ``streamfx preview`` and return its exit code, 0; what is refused is raised."""
    given, overrides = given_settings(options, PreviewConfig)
    given |= {"input": options.input, "output": options.output}
    config = with_effects(load_config(None, overrides, given, model=PreviewConfig))
    # Imported here, after the settings were found right: a typing error should not wait for libraries.
    from streamfx.sheets.preview import preview_config

    # The log comes after the bar, which takes stderr over and puts other lines above itself.
    with termination_as_interrupt(), steps_shown() as show, log_to_stderr(debug=options.debug):
        made = preview_config(config, show)
    say(made.summary(), sys.stdout)
    return 0
