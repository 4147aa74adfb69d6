"""The command ``streamfx verify``: two films in, what differs out."""

from __future__ import annotations

import sys
from argparse import Namespace

from streamfx.cli.output import say

_HINT = (
    "if the run was asked for a part, other tracks, another size or rate, its report says so: "
    "give it with --report"
)


def verify(options: Namespace) -> int:
    """Run ``streamfx verify`` and return its exit code: 0 or 1; what is refused is raised."""
    from streamfx.jobs.verify import verify as compare

    verification = compare(options.input, options.output, report=options.report)
    if options.json:
        say(verification.model_dump_json(indent=2), sys.stdout)
    else:
        say(verification.summary(), sys.stderr if verification.exit_code else sys.stdout)
        if verification.exit_code and options.report is None:
            say(_HINT, sys.stderr)
    return verification.exit_code
