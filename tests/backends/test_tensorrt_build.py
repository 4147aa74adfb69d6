"""TensorRT's real builder takes every shipped engine, whole and in half precision. No GPU is needed for that.

The wheels it needs are no dependency: ``make tensorrt-check`` installs them into a folder of their own and
says where in the variable STREAMFX_TENSORRT. Where that is not set these tests are skipped; where it is set,
wheels that are missing are a failure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.store import CompiledStore, StoreKey
from streamfx.backends.tensorrt_build import BuildRequest
from streamfx.backends.tensorrt_builder import BuildingProcess
from streamfx.engine.folder import Engine, read_engine
from tests.engines import make_engine, make_inked_engine

ROOT = Path(__file__).parents[2]
WHEELS = os.environ.get("STREAMFX_TENSORRT", "")
SHIPPED = [path.parent.name for path in sorted((ROOT / "engines").glob("*/engine.yaml"))]

pytestmark = [
    pytest.mark.skipif(not WHEELS, reason="the wheels of TensorRT-RTX are not here: make tensorrt-check"),
    pytest.mark.timeout(900),
]


HARD_SWISH = ("person",)
"""Engines with a hard swish, whose bounds and casts torch leaves in single precision."""


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], dict[str, Any]]:
    """What came of building each engine, by name and size; two processes build half of them each."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.tensorrt_builds", WHEELS]
    running = [
        subprocess.Popen([*command, *names], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for names in (SHIPPED[::2], SHIPPED[1::2])
    ]
    printed = "".join(process.communicate()[0] for process in running)
    assert [process.returncode for process in running] == [0, 0]
    found = (json.loads(line) for line in printed.splitlines() if line.startswith("{"))
    return {(row["engine"], row["size"]): row for row in found}


@pytest.mark.parametrize("size", ["320x180", "any"])
@pytest.mark.parametrize("name", SHIPPED)
def test_an_engine_becomes_one_plan_in_half_precision(
    rows: dict[tuple[str, str], dict[str, Any]], name: str, size: str
) -> None:
    row = rows[name, size]
    assert "error" not in row, row["error"]
    seen, heads = row["ports"]  # one input and one output: nothing is left to torch
    assert seen.startswith("seen DataType.HALF (1, ")
    assert heads.startswith("output0 DataType.HALF (1, ")
    assert ("-1, -1)" in seen) == (size == "any")
    single = ["DataType.FLOAT"] if name in HARD_SWISH else []
    assert row["types"] == [*single, "DataType.HALF"]
    assert row["plan_bytes"] > 100_000


def order_for(engine: Engine, store: CompiledStore) -> BuildRequest:
    golden = engine.golden
    setting = Setting.of(golden.to_rgb, golden.from_rgb, golden.factor)
    shape = (1, *golden.planes.shape)
    sizes = "x".join(map(str, shape))
    key = StoreKey(engine.name, engine.digest, "tensorrt", "1.5", None, "none", (), "f16", (), sizes)
    return BuildRequest(engine.folder, setting, shape, key, store.folder)


@pytest.mark.parametrize("make", [make_engine, make_inked_engine], ids=["plain", "inked"])
def test_the_building_process_puts_the_real_plan_into_the_store(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    engine, store = read_engine(make(tmp_path)), CompiledStore(tmp_path / "compiled")
    order = order_for(engine, store)
    BuildingProcess([sys.executable, "-m", "tests.tensorrt_standins", WHEELS]).build(order)
    stored = store.load(order.key)
    assert stored is not None
    assert len(stored.payload["plan"]) > 100_000


UNSUPPORTED = """
import sys
from pathlib import Path
import torch
from tests import tensorrt_standins
tensorrt_standins.install(Path(sys.argv[1]))
from streamfx.backends import tensorrt_build
from streamfx.errors import BackendUnavailableError

class Network(torch.nn.Module):
    def forward(self, seen):
        return {body}

class Engine:
    name = "odd"

program = torch.export.export(Network(), (torch.zeros(1, 3, 32, 48).half(),))
try:
    tensorrt_build._convert(Engine, program, (1, 3, 32, 48), Path(sys.argv[2]))
except BackendUnavailableError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("body", "operator"), [("seen.cumsum(2)", "aten::cumsum"), ("seen.median(3).values", "aten::median.dim")]
)
def test_an_operator_that_cannot_be_converted_is_named(tmp_path: Path, body: str, operator: str) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        UNSUPPORTED.replace("{body}", body),
        WHEELS,
        str(tmp_path),
    ]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == (
        f"backend tensorrt cannot convert engine 'odd': TensorRT has nothing for the operator {operator}; "
        "use backend inductor"
    )
