"""The process that builds a plan of TensorRT, told by standard input.

It is run as ``python -m streamfx.backends.tensorrt_build_process``.

It joins what `streamfx.backends` must not: reading an engine, and building it. The plan goes into the store,
which is safe to write while others read; only lines that say how far it is go back.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from streamfx.backends.store import CompiledStore, Stored
from streamfx.backends.tensorrt_build import PLAN, BuildRequest, Say, build_plan
from streamfx.backends.tensorrt_builder import FAILED, STEP
from streamfx.engine.folder import read_engine
from streamfx.errors import BackendUnavailableError, EngineMismatchError, StreamfxError

_LESS_URGENT = 5  # than the frames that go on meanwhile


def main() -> int:
    """Build what is ordered; return 0 if it is in the store."""
    # Libraries print what they like: only what is meant for the other process goes there.
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if hasattr(os, "nice"):
        os.nice(_LESS_URGENT)
    try:
        _build(BuildRequest.from_json(sys.stdin.read()), lambda step: _write(lines, STEP, step))
    except StreamfxError as error:
        _write(lines, FAILED, str(error))
        return 1
    return 0


def _build(order: BuildRequest, say: Say) -> None:
    engine = read_engine(order.folder)
    if engine.digest != order.key.engine_digest:
        raise EngineMismatchError(f"engine {order.folder} was changed while it was to be built; start again")
    order.store.mkdir(parents=True, exist_ok=True)
    plan = build_plan(engine, order.setting, order.shape, order.store, say)
    if CompiledStore(order.store).save(order.key, Stored({PLAN: plan}, {})) is None:
        raise BackendUnavailableError(
            f"the plan cannot be stored in {order.store}; the variable STREAMFX_CACHE names another folder"
        )


def _write(lines: TextIO, kind: str, text: str) -> None:
    lines.write(f"{kind}{' '.join(text.split())}\n")


if __name__ == "__main__":
    sys.exit(main())
