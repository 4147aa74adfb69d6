"""The building process with a TensorRT that is a fake: ``python -m tests.fake_plan_builder [WHAT]``.

What it gives: nothing said, a plan; ``wrong``, one whose heads are wrong; ``unsupported``, a reason why not;
``dies``, it ends without one; ``slow``, nothing ever. Each order is noted beside the store.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from streamfx.backends import tensorrt_build_process as build_engine
from streamfx.backends.backend import CompilableEngine
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.tensorrt_build import Shape
from streamfx.errors import BackendUnavailableError
from tests.fake_tensorrt import plan_for

WHAT = sys.argv[1] if len(sys.argv) > 1 else "plan"


def build_plan(
    engine: CompilableEngine, setting: Setting, shape: Shape | None, scratch: Path, say: Callable[[str], None]
) -> bytes:
    """What stands in for the building of a plan."""
    say("building the plan")
    with (scratch / "orders.txt").open("a") as orders:
        orders.write(f"{os.getpid()} {'any' if shape is None else shape}\n")
    if WHAT == "unsupported":
        raise BackendUnavailableError(
            "TensorRT has nothing for the operator aten::cumsum;\nuse backend inductor"
        )
    if WHAT == "dies":
        sys.exit("no memory left on the GPU")
    if WHAT == "slow":
        time.sleep(600)
    return plan_for(engine.folder, setting, shape, wrong_by=50.0 if WHAT == "wrong" else 0.0)


if __name__ == "__main__":
    build_engine.build_plan = build_plan  # type: ignore[attr-defined]
    sys.exit(build_engine.main())
