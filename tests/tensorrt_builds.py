"""Every shipped engine built by TensorRT-RTX, for one size and for any: a line of JSON each.

    python -m tests.tensorrt_builds WHEELS [--record] [ENGINE …]

``--record`` writes the table that is published, ``benchmarks/results/tensorrt_builds.json``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Any

from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.tensorrt_build import build_plan
from streamfx.engine.folder import read_engine
from tests import tensorrt_standins
from tests.half_precision import half_error

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "tensorrt_builds.json"
SIZE = (180, 320)  # a 720p picture at factor 4


def main(arguments: list[str]) -> int:
    """Build what is asked for, all engines where none is named."""
    wheels, *names = (argument for argument in arguments if argument != "--record")
    tensorrt_standins.install(Path(wheels))
    rows = []
    for folder in sorted(path.parent for path in (ROOT / "engines").glob("*/engine.yaml")):
        for any_size in (False, True):
            if not names or folder.name in names:
                rows.append(build(folder, any_size))
                sys.stdout.write(json.dumps(rows[-1]) + "\n")
                sys.stdout.flush()
    if "--record" in arguments:
        record(rows)
    return 0


def build(folder: Path, any_size: bool) -> dict[str, Any]:
    """Return what came of building one engine."""
    engine = read_engine(folder)
    golden = engine.golden
    setting = Setting.of(golden.to_rgb, golden.from_rgb, golden.factor)
    shape = None if any_size else (1, *engine.input_shape(SIZE))
    row: dict[str, Any] = {
        "engine": engine.name,
        "size": "any" if any_size else "x".join(map(str, SIZE[::-1])),
    }
    begun, begun_cpu = time.perf_counter(), time.process_time()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            plan = build_plan(engine, setting, shape, Path(scratch), lambda step: None)
    except Exception as error:  # noqa: BLE001 - the row says what went wrong; the others go on
        traceback.print_exc()
        return row | {"error": f"{type(error).__name__}: {error}"}
    built = tensorrt_standins.builds[-1]
    return row | {
        "plan_bytes": len(plan),
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(time.process_time() - begun_cpu, 1),
        "layers": built.layers,
        "types": sorted(built.types),
        "ports": built.ports,
    }


def record(rows: list[dict[str, Any]]) -> None:
    """Write the table with what it was made with."""
    packages = ("torch", "torch-tensorrt-rtx", "tensorrt-rtx-cu13-bindings")
    facts = {
        "what": "Engines built ahead of time on a processor, half precision, nothing falling back to torch. "
        "cpu_seconds: exporting included. No GPU ran them.",
        "versions": {package: version(package) for package in packages},
        "half_precision_error": half_errors(),
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(facts, indent=1) + "\n")


def half_errors() -> dict[str, dict[str, float]]:
    """Return how far each engine in half precision is from its golden heads, as parts of their spread."""
    errors = {}
    for path in sorted((ROOT / "engines").glob("*/engine.yaml")):
        error = half_error(read_engine(path.parent))
        errors[path.parent.name] = {"rms": round(error.rms, 5), "largest": round(error.largest, 5)}
    return errors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
