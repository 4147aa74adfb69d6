"""Each optional or heavy library is used in few places, and the stages know nothing of what joins them.

What a stage may import of the others, and what importing the package may load: ``test_imports.py``.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "streamfx"
MODULES = sorted(ROOT.rglob("*.py"))
HOMES = {
    "aiohttp": ("web/",),
    "aiortc": ("web/peer.py",),
    "av": (
        "capture/",
        "encode/",
        "extras.py",
        "av_planes.py",
        "protocols.py",
        "completeness.py",
        "jobs/",
        "web/pictures.py",
        "web/peer.py",
        "resident/decode.py",
        "resident/encode.py",
    ),
    "cv2": ("capture/camera.py", "web/pictures.py"),
    "matplotlib": ("bench/plot.py",),
    "numba": (
        "generate/enlarge.py",
        "generate/fuse_kernels.py",
        "generate/fuse_llvm.py",
        "generate/place_cpu.py",
        "generate/reduce_cpu.py",
    ),
    "onnxruntime": (),
    "pygame": ("encode/window_process.py",),
    "pyvirtualcam": ("encode/virtual_camera.py",),
    "openvino": ("backends/openvino_model.py",),
    "platformdirs": ("backends/store.py", "generate/library.py"),
    "rich": ("cli/progress.py",),
    "safetensors": ("generate/networks/build.py",),
    "tensorrt": (),  # by the name that fits the flavour: backends/tensorrt.py
    "torch_tensorrt": ("backends/tensorrt_build.py",),
    "torch": (
        "backends/",
        "generate/engine.py",
        "generate/fine_triton.py",
        "generate/fuse_gpu.py",
        "generate/networks/",
        "generate/place_triton.py",
        "generate/reduce_triton.py",
        "generate/surface.py",
        "generate/surface_checks.py",
        "generate/surface_steps.py",
        "resident/",
        "run_device.py",
    ),
    "triton": (
        "generate/codes_triton.py",
        "generate/fine_triton.py",
        "generate/fuse_triton.py",
        "generate/heads_triton.py",
        "generate/ink_triton.py",
        "generate/place_triton.py",
        "generate/reduce_triton.py",
    ),
    "yaml": ("config_text.py", "generate/engine.py", "generate/folder_files.py"),
}
STAGES = ("capture/", "generate/", "encode/", "backends/")
JOINERS = (
    "cli", "completeness", "config", "decisions", "flow", "ledger", "pipeline", "report", "running", "stages",
    "streaming", "outcome", "transcoding", "desk", "run_effects", "run_device", "serving", "web",
    "build_engine",
    "resident",
)  # fmt: skip


@cache
def imports(module: Path) -> set[str]:
    """Return the dotted names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    return names


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_where_it_is_at_home(library: str) -> None:
    users = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if any(name.partition(".")[0] == library for name in imports(path))
    ]
    assert [user for user in users if not user.startswith(HOMES[library])] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_nothing_of_what_joins_the_stages(stage: str) -> None:
    used = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in MODULES
        for name in imports(path)
        if str(path.relative_to(ROOT)).startswith(stage)
        and name.startswith(tuple(f"streamfx.{joiner}" for joiner in JOINERS))
    }
    assert used == set()
