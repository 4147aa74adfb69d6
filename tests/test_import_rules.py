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
        "media/tracks.py",
        "media/av_planes.py",
        "media/ffmpeg_protocols.py",
        "run/completeness.py",
        "web/pictures.py",
        "web/peer.py",
    ),
    "cv2": ("capture/live/camera.py", "web/pictures.py"),
    "matplotlib": ("bench/plot.py",),
    "numba": (
        "generate/ops/enlarge.py",
        "generate/ops/fuse/cpu_kernels.py",
        "generate/ops/fuse/cpu_llvm.py",
        "generate/ops/place/cpu.py",
        "generate/ops/reduce/cpu.py",
    ),
    "onnxruntime": (),
    "pygame": ("encode/screens/window_process.py",),
    "pyvirtualcam": ("encode/screens/virtual_camera.py",),
    "openvino": ("backends/openvino_model.py",),
    "platformdirs": ("backends/store.py", "engine/library.py"),
    "rich": ("cli/progress.py",),
    "safetensors": ("engine/families/build.py",),
    "tensorrt": (),  # by the name that fits the flavour: backends/tensorrt.py
    "torch_tensorrt": ("backends/tensorrt_build.py",),
    "torch": (
        "backends/",
        "capture/files/gpu_decode.py",
        "encode/gpu_encode.py",
        "engine/families/",
        "engine/folder.py",
        "generate/gpu/",
        "generate/ops/dispatch.py",
        "generate/ops/fuse/triton.py",
        "generate/ops/place/triton.py",
        "generate/ops/reduce/triton.py",
        "generate/ops/reduce/fine_luma_triton.py",
        "generate/ops/surface_checks.py",
        "generate/ops/surfaces.py",
        "gpu/",
        "hardware/cuda.py",
        "media/surface.py",
        "run/placement.py",
    ),
    "triton": (
        "generate/ops/code_values_triton.py",
        "generate/ops/reduce/fine_luma_triton.py",
        "generate/ops/fuse/triton_kernel.py",
        "generate/ops/heads_triton.py",
        "generate/ops/fuse/ink_triton.py",
        "generate/ops/place/triton.py",
        "generate/ops/reduce/triton.py",
    ),
    "yaml": ("config/text.py", "engine/folder.py", "engine/folder_files.py"),
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
