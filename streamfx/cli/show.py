"""The commands that only show something: effects, devices, the configuration schema, compiled engines."""

from __future__ import annotations

import json
from argparse import Namespace

from streamfx.config import schema as config_schema


def schema(_options: Namespace) -> int:
    """Print the JSON schema of configuration files."""
    print(json.dumps(config_schema(), indent=2, ensure_ascii=False))
    return 0
