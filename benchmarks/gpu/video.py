"""NVIDIA's video engines through PyAV and DLPack: decoded pictures against the processor's, and their speed.

    python -m benchmarks.gpu.video [--out FOLDER]

Every plane that NVDEC gives must be the one that the processor gives: H.264 and HEVC are exact. Encoding is
measured as users do it, by `whole.py`. Without a GPU the processor's pictures take the same way through
DLPack, in main memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import torch
from av import VideoFrame

from benchmarks.gpu.cases import Cases, NotHereError
from streamfx.capture.files.gpu_decode import cuda_decoder, decoder_missing, surface_of
from streamfx.gpu.streams import decoder_event
from streamfx.transcoding import transcode

CODECS = ("h264", "hevc")
COMPARED = 48


def clip(folder: Path, codec: str, size: tuple[int, int], frames: int) -> Path:
    """Return a clip of the test picture, made when it is first asked for."""
    path = folder / f"{codec}-{size[1]}x{size[0]}.mp4"
    if path.exists():
        return path
    bars = f"test:bars?size={size[1]}x{size[0]}&frames={frames}"
    transcode(bars, path, codec=codec, preset="ultrafast", verify=False, device="cpu")
    return path


def pictures(path: Path, *, on_device: bool) -> Iterator[VideoFrame]:
    """Yield the pictures of a clip, decoded on the GPU or by the processor."""
    with av.open(str(path), hwaccel=cuda_decoder() if on_device else None) as container:
        stream = container.streams.video[0]
        if not on_device:
            stream.thread_type = "AUTO"
        yield from container.decode(stream)


def compare(path: Path, *, gpu: bool) -> dict[str, Any]:
    """Return that planes are the same, without a copy by way of the processor.

    Raises:
        AssertionError: they are not.
    """
    device, count = torch.device("cuda" if gpu else "cpu"), 0
    for there, here in zip(pictures(path, on_device=gpu), pictures(path, on_device=False), strict=True):
        surface = surface_of(there if gpu else there.reformat(format="nv12"))
        decoder_event(device).wait()
        expected = surface_of(here.reformat(format="nv12"))
        for name, plane, other in zip(("luma", "chroma"), surface.planes, expected.planes, strict=True):
            if not torch.equal(plane.cpu(), other):
                apart = (plane.cpu().int() - other.int()).abs()
                raise AssertionError(f"picture {count}, {name}: up to {int(apart.max())} codes apart")
        count += 1
        if count == COMPARED:
            break
    return {"pictures_equal": count}


def speed(path: Path, *, gpu: bool) -> dict[str, Any]:
    """Return how many pictures a second are decoded, on the GPU where there is one and by the processor."""
    return {
        "device_fps": _fps(path, on_device=True) if gpu else None,
        "processor_fps": _fps(path, on_device=False),
    }


def _fps(path: Path, *, on_device: bool) -> float:
    begun, count = time.perf_counter(), 0
    for _ in pictures(path, on_device=on_device):
        count += 1
    if on_device:
        torch.cuda.synchronize()
    return round(count / (time.perf_counter() - begun), 1)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for gpu_video.json; without a GPU none")
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    cases = Cases("gpu_video", options.out, {"compared": COMPARED}, gpu=gpu)

    def decoder() -> dict[str, Any]:
        if gpu and (reason := decoder_missing()):
            raise NotHereError(reason)
        return {"av": av.__version__, "ffmpeg": av.ffmpeg_version_info}

    sizes = ((1080, 1920), (2160, 3840)) if gpu else ((96, 128),)
    with tempfile.TemporaryDirectory(prefix="streamfx-video-") as folder:
        if cases.attempt("decoder", decoder):
            for codec in CODECS if gpu else CODECS[:1]:
                for size in sizes:
                    name = f"{codec} {size[1]}x{size[0]}"
                    made = partial(clip, Path(folder), codec, size, 240 if gpu else 4)
                    cases.attempt(f"{name}, equal", lambda made=made: compare(made(), gpu=gpu))  # type: ignore[misc]
                    cases.attempt(f"{name}, speed", lambda made=made: speed(made(), gpu=gpu))  # type: ignore[misc]
    return cases.end()


if __name__ == "__main__":
    raise SystemExit(main())
