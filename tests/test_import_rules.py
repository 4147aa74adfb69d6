"""Packages import in one direction, no modules in a circle, and each optional or heavy library in few places.

What importing the package may load: ``test_imports.py``.
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
    "aiortc": ("web/peer.py", "web/publishing_peer.py", "web/viewing_peer.py"),
    "av": (
        "capture/",
        "encode/",
        "media/tracks.py",
        "media/av_planes.py",
        "media/ffmpeg_protocols.py",
        "run/completeness.py",
        "jobs/",
        "resume/",
        "sheets/pixels.py",
        "web/pictures.py",
        "web/peer.py",
        "web/publishing_peer.py",
        "web/stream_encoder.py",
        "web/stream_sound.py",
        "web/viewing_peer.py",
        "web/whep.py",
    ),
    "cv2": (
        "capture/live/camera.py",
        "web/pictures.py",
        "web/qr_code.py",
        "web/thumbnails.py",
    ),
    "matplotlib": ("bench/plot.py",),
    "numba": (
        "backends/openvino_layout.py",
        "generate/ops/enlarge.py",
        "generate/ops/fuse/numba_kernels.py",
        "generate/ops/fuse/cpu_llvm.py",
        "generate/ops/matte/cpu.py",
        "generate/ops/place/cpu.py",
        "generate/ops/reduce/cpu.py",
        "generate/ops/steady/cpu.py",
    ),
    "onnxruntime": (),
    "pygame": ("encode/screens/window_process.py",),
    "pyvirtualcam": ("encode/screens/virtual_camera.py",),
    "ray": ("cluster/ray_pool.py",),
    "openvino": (
        "backends/openvino_library.py",
        "backends/openvino_model.py",
        "backends/openvino_passes.py",
    ),
    "platformdirs": ("backends/store.py", "engine/library.py"),
    "rich": ("cli/progress.py",),
    "safetensors": ("engine/families/build.py", "backends/openvino_graph.py"),
    "tensorrt": (),  # by the name that fits the flavour: backends/tensorrt.py
    "torch_tensorrt": ("backends/tensorrt_build.py",),
    "torch": (
        "backends/",
        "capture/files/gpu_decode.py",
        "encode/gpu_encode.py",
        "engine/families/",
        "engine/folder.py",
        "generate/gpu/",
        "generate/ops/",
        "gpu/",
        "hardware/cuda.py",
        "media/surface.py",
        "run/placement.py",
    ),
    "triton": ("generate/ops/",),
    "yaml": ("config/text.py", "engine/folder.py", "engine/folder_files.py"),
}
ORDER = (
    "version", "errors", "media", "hardware", "gpu", "engine", "backends",
    "capture", "encode", "generate", "config", "pipeline", "factor", "run", "web",
    "resume", "cluster", "transcoding", "jobs", "sheets", "streaming", "serving", "bench", "cli",
    "__init__", "__main__",
)  # fmt: skip
"""Packages and modules at the top; each may import those before it, and no other."""
STAGES = ("capture", "encode", "generate")
"""They do not import one another, in whichever order they stand."""
MOST_FILES_AT_THE_TOP = 10


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


def test_every_package_has_its_place_in_the_order() -> None:
    assert sorted({top(module) for module in modules()}) == sorted(ORDER)


def test_few_files_stand_at_the_top() -> None:
    assert len([path for path in ROOT.iterdir() if path.is_file()]) <= MOST_FILES_AT_THE_TOP


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_only_those_before_it(package: str) -> None:
    allowed = set(ORDER[: ORDER.index(package) + 1])
    if package in STAGES:
        allowed -= set(STAGES) - {package}
    wrong = {
        f"{module} imports {name}"
        for module in modules()
        if top(module) == package
        for name in used(module)
        if top(name) not in allowed
    }
    assert wrong == set()


def test_no_modules_import_one_another_in_a_circle() -> None:
    left = {module: used(module) - {module} for module in modules()}
    while free := [module for module, names in left.items() if not names & left.keys()]:
        for module in free:
            del left[module]
    assert sorted(left) == [], "these, or what they lead to, import one another"


@cache
def modules() -> dict[str, Path]:
    """Return the modules of the runtime by their dotted names, without the leading ``streamfx.``."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


@cache
def used(module: str) -> frozenset[str]:
    """Return the modules of the runtime that a module imports: anywhere in it, and for types as well."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if known(name) else str(node.module) for name in inside}
    return frozenset(name.removeprefix("streamfx.") for name in names if known(name))


def known(name: str) -> bool:
    return name.removeprefix("streamfx.") in modules() and name.startswith("streamfx.")


def top(module: str) -> str:
    return module.partition(".")[0]
