"""What `tensorrt_rtx.py` needs on a machine with a GPU but without TensorRT, packed where there is no GPU.

    make gpu-kit
    python -m benchmarks.gpu.pack --wheels FOLDER [--out .gpu_kit] [--piece-mib 16] [--python 3.12]

The library and its parser (TensorRT-RTX 1.5.0, the last one without a list of GPUs that it runs on), its
bindings for that machine's Python, and plans of the engine ``wave``, built by streamfx's own building process
with TensorRT's real builder: one for any size, one for a 1080p picture at factor 2. Compressed as hard as
possible, which takes minutes, and cut into pieces, since such machines may take only so much at a time.

FOLDER is where ``make tensorrt-check`` installs the wheels. NVIDIA's library comes with its own licence: the
kit is for your own machines and never part of a release.
"""

from __future__ import annotations

import argparse
import json
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.gpu.__main__ import KIT
from benchmarks.gpu.tensorrt_rtx import BINDINGS, LIBRARIES, PIECE, PLANS
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.store import CompiledStore, StoreKey
from streamfx.backends.tensorrt_build import PLAN, BuildRequest
from streamfx.backends.tensorrt_builder import BuildingProcess
from streamfx.engine.folder import Engine, read_engine

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "engines" / "wave"
LIBRARY_WHEEL = "onnxruntime_ep_nv_tensorrt_rtx"
BINDINGS_PACKAGE = "tensorrt-rtx-cu13-bindings==1.5.0.114"
SMALL, REDUCED = (180, 320), (544, 960)  # what the network sees of 720p at factor 4, of 1080p at factor 2
MIB = 1 << 20


def collect(wheels: Path, python: str, folder: Path) -> None:
    """Put everything that is taken along into a folder."""
    for name in LIBRARIES:
        shutil.copy(wheels / LIBRARY_WHEEL / name, folder)
    fetch_bindings(python, folder)
    engine = read_engine(ENGINE)
    (folder / "wave.golden.npz").write_bytes(engine.golden.to_bytes())
    golden, small, reduced = (1, *engine.golden.planes.shape), seen(engine, SMALL), seen(engine, REDUCED)
    kinds = {"wave-any-size.plan": (None, [golden, small, reduced]), "wave-1080p.plan": (reduced, [reduced])}
    about: dict[str, Any] = {}
    for name, (shape, shapes) in kinds.items():
        (folder / name).write_bytes(built(engine, shape, wheels))
        about[name] = {"engine": engine.name, "golden": "wave.golden.npz", "shapes": shapes}
    (folder / PLANS).write_text(json.dumps(about, indent=1))


def seen(engine: Engine, size: tuple[int, int]) -> tuple[int, ...]:
    return (1, *engine.seen_shape(size))


def fetch_bindings(python: str, folder: Path) -> None:
    """Put the bindings for a version of Python into a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        for platform in ("manylinux_2_28_x86_64", "manylinux2014_x86_64"):
            command += ["--platform", platform]
        command += ["--python-version", python, "--implementation", "cp", "--dest", scratch]
        subprocess.run([*command, BINDINGS_PACKAGE], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith(f"{BINDINGS}/"):
                    archive.extract(name, folder)


def built(engine: Engine, shape: tuple[int, ...] | None, wheels: Path) -> bytes:
    """Return a plan of the engine for the setting of its golden frame."""
    golden = engine.golden
    setting = Setting.of(golden.to_rgb, golden.from_rgb, golden.factor)
    key = StoreKey(
        engine=engine.name,
        engine_digest=engine.digest,
        backend="tensorrt",
        backend_version=BINDINGS_PACKAGE,
        torch_version=None,
        device="any",
        device_features=(),
        precision="f16",
        flags=(),
        sizes=str(shape),
    )
    with tempfile.TemporaryDirectory() as folder:
        store = CompiledStore(Path(folder))
        process = BuildingProcess([sys.executable, "-m", "tests.tensorrt_standins", str(wheels)])
        process.build(BuildRequest(engine.folder, setting, shape, key, store.folder))
        stored = store.load(key)
        assert stored is not None  # `build` would have raised
        return bytes(stored.payload[PLAN])


def packed(folder: Path, out: Path, piece_bytes: int, preset: int) -> list[Path]:
    """Compress a folder into pieces; return them. What was in ``out`` of an older kit is gone then."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob(PIECE.format(number="*", count="*")):
        old.unlink()
    with tempfile.TemporaryFile() as whole:
        with (
            lzma.open(whole, "wb", preset=preset) as stream,
            tarfile.open(fileobj=stream, mode="w|") as archive,
        ):
            for path in sorted(folder.iterdir()):
                archive.add(path, path.name)
        count = -(-whole.tell() // piece_bytes)
        even_bytes = -(-whole.tell() // count)
        whole.seek(0)
        pieces = [out / PIECE.format(number=number, count=count) for number in range(1, count + 1)]
        for piece in pieces:
            piece.write_bytes(whole.read(even_bytes))
    return pieces


def tree_bytes() -> int:
    """Return the size of what travels besides: the files of the checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return sum((ROOT / name).stat().st_size for name in listed.stdout.split("\0") if name)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--wheels", type=Path, required=True, help="folder where make tensorrt-check installs them"
    )
    parser.add_argument("--out", type=Path, default=KIT, help="folder for the pieces")
    parser.add_argument("--piece-mib", type=float, default=16, help="most of one piece")
    parser.add_argument("--python", default="3.12", help="version of Python on the machine with the GPU")
    parser.add_argument("--preset", type=int, default=9 | lzma.PRESET_EXTREME, help="0 is quick, 9 small")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        collect(options.wheels, options.python, folder)
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            print(f"{path.stat().st_size / MIB:8.1f} MiB  {path.relative_to(folder)}", flush=True)
        pieces = packed(folder, options.out, int(options.piece_mib * MIB), options.preset)
    for piece in pieces:
        print(f"{piece.stat().st_size / MIB:8.1f} MiB  {piece}")
    print(f"{sum(piece.stat().st_size for piece in pieces) / MIB:8.1f} MiB  all pieces")
    print(f"{tree_bytes() / MIB:8.1f} MiB  files of this checkout, which travel each time")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
