"""``python -m streamfx`` is the ``streamfx`` command."""

import sys

from streamfx.cli import main

if __name__ == "__main__":
    sys.exit(main())
