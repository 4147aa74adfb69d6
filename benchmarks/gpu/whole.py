"""Whole runs on a GPU, as users start them: ``streamfx bench``, and ``streamfx transcode --device cuda``.

    python -m benchmarks.gpu.whole [--out FOLDER] [--frames 600]

The runs are files of the test picture through ``wave``, decoded and encoded where streamfx decides; ``said``
is what it logged of that. The first run at a size builds what is kept for the next, which is why each has one
before it that does not count. ``memory`` is that of a long run: neither its process nor the GPU may hold more
at most than for a quarter of its frames. ``bench`` writes its own figures (``gpu_bench_*.json``): every level
by size and factor, and by backend. Without a GPU tiny pictures take the processor's way.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.cases import Cases, NotHereError
from streamfx.transcoding import transcode

STREAMFX = (sys.executable, "-m", "streamfx")
SIZES = {"720p": (720, 1280), "1080p": (1080, 1920), "4k": (2160, 3840)}
FACTOR = ("--factor", "4")
ENCODERS = ("h264_nvenc", "hevc_nvenc", "h264")
TELLING = ("decod", "encod", "frames stay", "main memory", "device", "tensorrt", "backend")
ON_GPU = ("--device", "cuda", "--rounds", "2")
BENCHES = {
    "sizes": (*ON_GPU, "--size", "720p,1080p,4k", "--factor", "1,2,4"),
    "backends": (*ON_GPU, "--size", "1080p", "--factor", "2", "--backend", "tensorrt,inductor,eager"),
}
TINY_BENCH = ("--size", "96x64", "--level", "model", "--backend", "eager", "--frames", "2", "--rounds", "1")
GROWTH_BYTES = 64 << 20
EVERY_SECONDS = 0.05


@dataclass(frozen=True)
class Setup:
    """What runs have in common.

    Attributes:
        folder: folder for clips, outputs and reports.
        gpu: whether there is one.
        frames: number of frames of a clip.
    """

    folder: Path
    gpu: bool
    frames: int

    def clip(self, size: tuple[int, int], frames: int) -> Path:
        """Return a clip of the test picture, made when it is first asked for."""
        path = self.folder / f"{size[1]}x{size[0]}-{frames}.mp4"
        if not path.exists():
            bars = f"test:bars?size={size[1]}x{size[0]}&frames={frames}"
            transcode(bars, path, codec="h264", preset="ultrafast", verify=False, device="cpu")
        return path

    def command(self, clip: Path, *options: str) -> list[str]:
        """Return a run of a clip; its report is in ``report.json``, its output in ``out.mp4``."""
        where = ["--device", "cuda"] if self.gpu else ["--device", "cpu", "--backend", "eager"]
        common = ["--effect", "wave", "--overwrite", "--report", str(self.folder / "report.json"), "--debug"]
        return [*STREAMFX, "transcode", str(clip), str(self.folder / "out.mp4"), *where, *common, *options]

    def run(self, clip: Path, *options: str) -> dict[str, Any]:
        """Run, and return what its report says.

        Raises:
            RuntimeError: it failed; says how.
        """
        ran = subprocess.run(
            self.command(clip, *options), capture_output=True, text=True, timeout=400, check=False
        )
        if ran.returncode:
            raise RuntimeError(f"ended with code {ran.returncode}: {ran.stderr[-1500:]}")
        return self.told(ran.stderr)

    def told(self, log: str) -> dict[str, Any]:
        """Return what the last report says, and what was logged of how it ran."""
        report = json.loads((self.folder / "report.json").read_text())
        result, (effect,) = report["result"], report["effects"]
        stages = {name: round(stage["p50_seconds"] * 1e3, 3) for name, stage in result["stages"].items()}
        lines = [line for line in log.splitlines() if any(word in line.lower() for word in TELLING)]
        return {
            "fps": round(result["speed"]["fps"], 1),
            "cpu_seconds_per_frame": round(result["speed"]["cpu_seconds_per_frame"], 5),
            "frames": result["account"]["encoded"],
            "backend": effect["backend"],
            "precision": effect["precision"],
            "p50_ms": stages,
            "notes": report["notes"],
            "said": [line.removeprefix("streamfx: ")[:200] for line in dict.fromkeys(lines)][:20],
        }


def whole(setup: Setup, size: tuple[int, int]) -> dict[str, Any]:
    """Return the figures of a run; the one before it builds what is kept."""
    if setup.gpu:
        setup.run(setup.clip(size, 30), *FACTOR)
    return setup.run(setup.clip(size, setup.frames), *FACTOR)


def encoded(setup: Setup, size: tuple[int, int], codec: str) -> dict[str, Any]:
    """Return the figures of a run with an encoder."""
    if codec.endswith("nvenc") and not setup.gpu:
        raise NotHereError("there is no GPU")
    return setup.run(setup.clip(size, setup.frames), *FACTOR, "--codec", codec)


def memory(setup: Setup, size: tuple[int, int], frames: int) -> dict[str, Any]:
    """Return how much more memory a run took at most than one of a quarter of its frames.

    Raises:
        AssertionError: it was more than may be.
        RuntimeError: a run failed.
    """
    (_, short), (row, long) = (watched(setup, setup.clip(size, count)) for count in (frames // 4, frames))
    grown = {name: long[name] - short[name] for name in long}
    if any(more_bytes > GROWTH_BYTES for more_bytes in grown.values()):
        raise AssertionError(f"memory grew with the frames, {frames // 4} to {frames}, by {grown} bytes")
    return {**row, "most_bytes": long, "grown_bytes": grown}


def watched(setup: Setup, clip: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the figures of a run, and the most memory that its process and the GPU held."""
    most = {"process": 0, "gpu": 0}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(setup.command(clip, *FACTOR), stdout=log, stderr=log)
        while process.poll() is None:
            most["process"] = max(most["process"], process_bytes(process.pid))
            most["gpu"] = max(most["gpu"], gpu_bytes() if setup.gpu else 0)
            time.sleep(EVERY_SECONDS)
        log.seek(0)
        if process.returncode:
            raise RuntimeError(f"ended with code {process.returncode}: {log.read()[-1500:]}")
        return setup.told(log.read()), most


def process_bytes(pid: int) -> int:
    """Return the most that a process has held of main memory; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def gpu_bytes() -> int:
    """Return what all processes hold of the first GPU's memory."""
    free, total = torch.cuda.mem_get_info(0)
    return total - free


def bench(path: Path, *options: str) -> dict[str, Any]:
    """Run ``streamfx bench`` and return where its figures are.

    Raises:
        RuntimeError: it measured nothing.
    """
    command = [*STREAMFX, "bench", "--effect", "wave", *options, "--json", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    if not path.exists() or ran.returncode not in (0, 1):  # 1: some of it failed, and is in the file
        raise RuntimeError(f"streamfx bench ended with code {ran.returncode}: {ran.stderr[-1500:]}")
    return {"file": path.name, "rows": len(json.loads(path.read_text())["rows"]), "code": ran.returncode}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for gpu_whole.json; without a GPU none")
    parser.add_argument("--frames", type=int, default=600, help="number of frames of a run")
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    sizes = SIZES if gpu else {"tiny": (64, 96)}
    cases = Cases("gpu_whole", options.out, {"frames": options.frames}, gpu=gpu)
    folder = Path(tempfile.mkdtemp(prefix="streamfx-whole-"))
    try:
        setup = Setup(folder, gpu, options.frames if gpu else 12)
        for name, size in sizes.items():
            cases.attempt(name, partial(whole, setup, size))
        name, size = list(sizes.items())[min(1, len(sizes) - 1)]
        for codec in ENCODERS:
            cases.attempt(f"{name}, {codec}", partial(encoded, setup, size, codec))
        cases.attempt("memory", partial(memory, setup, size, 2000 if gpu else 48))
        for name, how in BENCHES.items() if gpu else {"tiny": TINY_BENCH}.items():
            path = (options.out or folder) / f"gpu_bench_{name}.json"
            cases.attempt(f"bench, {name}", partial(bench, path, *how))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return cases.end()


if __name__ == "__main__":
    raise SystemExit(main())
