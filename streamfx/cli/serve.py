"""The command ``streamfx serve``: options in, a page for visitors until it is stopped."""

from __future__ import annotations

import sys
import threading
from argparse import Namespace

from streamfx.cli.output import say
from streamfx.cli.transcode import log_to_stderr, termination_as_interrupt
from streamfx.config import load_config
from streamfx.config_serve import ServeConfig

_SETTINGS = (
    "effect", "host", "port", "certificate", "key", "stun", "factor", "backend", "threads", "report",
)  # fmt: skip


def serve(options: Namespace) -> int:
    """Run ``streamfx serve`` until Ctrl-C and return its exit code, 0; what is refused is raised."""
    given = {name: getattr(options, name) for name in _SETTINGS}
    most = [] if options.visitors is None else [f"visitors.most={options.visitors}"]
    config = load_config(options.config, [*(options.set or ()), *most], given, model=ServeConfig)
    # Imported here, after the settings were found right: a typing error should not wait for libraries.
    from streamfx.serving import serving

    with termination_as_interrupt(), log_to_stderr(debug=options.debug):
        with serving(config, lambda line: say(f"streamfx: {line}", sys.stderr)) as address:
            print(f"open {address} in a browser; Ctrl-C ends", flush=True)  # with the token, so not by say
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                say("streamfx: visitors are sent away", sys.stderr)
        return 0
