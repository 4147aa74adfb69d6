"""Calibrate: how long an engine really takes on this device, measured once and kept beside the compiled
engine.

The cost of a network is that of starting it and that of its pixels: seconds = fixed + per pixel x pixels.
Two or three small pictures tell both, in well under two seconds. The bandwidth of the main memory is
measured and kept in the same way, when somebody asks for it.
"""

from __future__ import annotations

import importlib.metadata
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from streamfx.backends.backend import CompilableEngine, CompiledEngine, DeviceEngine
from streamfx.backends.registry import backend_named
from streamfx.backends.store import CompiledStore, Note, Stored, StoreKey
from streamfx.hardware.cpu import cpu
from streamfx.hardware.nvidia import Gpu, gpus
from streamfx.version import __version__

log = logging.getLogger(__name__)

_HEIGHTS_WIDTHS = ((90, 160), (180, 320), (360, 640))  # of 720p at factors 8, 4 and 2
_LIMIT_SECONDS = 1.5
_ROUNDS = 5
_BUFFER_BYTES = 48 << 20  # more than caches hold
_MOST_COPY_THREADS = 8  # fewer than this keep any memory busy


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one picture costs an engine on this device.

    Attributes:
        fixed_seconds: time that does not depend on the picture's size.
        seconds_per_pixel: seconds per pixel of the reduced picture.
    """

    fixed_seconds: float
    seconds_per_pixel: float

    def seconds(self, pixels: int) -> float:
        """Return the time for one reduced picture of so many pixels."""
        return self.fixed_seconds + self.seconds_per_pixel * pixels


def calibration(
    engine: CompilableEngine, compiled: CompiledEngine, threads: int, store: CompiledStore
) -> Calibration:
    """Return what ``compiled`` costs here: as stored, else measured now and stored.

    Args:
        engine: engine that was compiled.
        compiled: engine made ready by a backend; nothing else should be running on it.
        threads: threads that one call of it uses.
        store: place where calibrations are kept.
    """
    key = _key(engine, compiled.backend, str(compiled.precision), threads, gpu_of(compiled))
    found = _stored(key, store)
    if found is not None:
        return found
    points = measure(engine, compiled, threads)
    result = fit(points)
    notes: dict[str, Note] = {
        "fixed_seconds": result.fixed_seconds,
        "seconds_per_pixel": result.seconds_per_pixel,
        **{f"measured_seconds_{pixels}": seconds for pixels, seconds in points},
    }
    store.save(key, Stored({}, notes))
    log.info(
        "engine %r with %s in %s, %d threads: %.2f ms and %.1f ns a pixel",
        engine.name,
        compiled.backend,
        compiled.precision,
        threads,
        result.fixed_seconds * 1e3,
        result.seconds_per_pixel * 1e9,
    )
    return result


def stored_calibration(
    engine: CompilableEngine, backend: str, precision: str, threads: int, store: CompiledStore
) -> Calibration | None:
    """Return what was measured on the processor; None where nothing was, or on another or version."""
    return _stored(_key(engine, backend, precision, threads, None), store)


def gpu_of(compiled: CompiledEngine) -> Gpu | None:
    """Return the GPU that an engine runs on; None where that is the processor."""
    if not isinstance(compiled, DeviceEngine) or compiled.device.type != "cuda":
        return None
    number = compiled.device.index or 0
    return next(iter(gpus()[number:]), Gpu("unknown GPU"))


def _stored(key: StoreKey, store: CompiledStore) -> Calibration | None:
    stored = store.load(key)
    if stored is None:
        return None
    try:
        return Calibration(float(stored.notes["fixed_seconds"]), float(stored.notes["seconds_per_pixel"]))
    except (KeyError, ValueError) as error:
        log.warning("the calibration of engine %r cannot be used, measuring again: %s", key.engine, error)
        return None


def measure(engine: CompilableEngine, compiled: CompiledEngine, threads: int) -> list[tuple[int, float]]:
    """Return (pixels, seconds) of one call for two or three sizes; for one where that takes long.

    On a processor it is the time of that, shared among the threads, where that is less: what other programs
    take at that moment must not be kept. The middle one of a few rounds counts, as it does for frames.
    """
    golden, stride = engine.golden, engine.stride
    on_processor = gpu_of(compiled) is None
    started = time.perf_counter()
    points: list[tuple[int, float]] = []
    for size in _HEIGHTS_WIDTHS:
        height, width = (-(-side // stride) * stride for side in size)
        # Not of one value: networks that normalise then compute with numbers next to 0, which takes longer.
        picture = golden.golden_input((1, *engine.input_shape(size)))[0]
        if points:
            expected_seconds = points[-1][1] * height * width / points[-1][0]
            if time.perf_counter() - started + 3 * expected_seconds > _LIMIT_SECONDS:
                break
        times: list[float] = []
        for number in range(1 + _ROUNDS):  # the first one prepares the size
            begun, begun_cpu = time.perf_counter(), time.process_time()
            compiled(picture, golden.to_rgb, golden.from_rgb, golden.factor)
            ended, ended_cpu = time.perf_counter(), time.process_time()
            taken = ended - begun
            if on_processor:
                taken = min(taken, (ended_cpu - begun_cpu) / threads)
            if number:
                times.append(taken)
                if ended - started + (ended - begun) > _LIMIT_SECONDS:
                    break
        points.append((height * width, median(times)))
    return points


def fit(points: Sequence[tuple[int, float]]) -> Calibration:
    """Return the line through (pixels, seconds) with the least relative error; neither part is negative.

    Example:
        >>> fit([(1000, 0.003), (2000, 0.005)]).seconds(3000)
        0.007
    """
    pixels, seconds = np.array(points, np.float64).T
    if len(points) > 1:
        slope, fixed = np.polyfit(pixels, seconds, 1, w=1 / seconds)
        if slope > 0 and fixed >= 0:
            return Calibration(float(round(fixed, 12)), float(round(slope, 15)))
        if slope <= 0:  # a busy moment met the small picture; the largest tells most
            pixels, seconds = pixels[-1:], seconds[-1:]
    return Calibration(0.0, float(np.mean(seconds / pixels)))


def memory_bandwidth(store: CompiledStore) -> float:
    """Return the bytes that the main memory moves in a second: as stored, else measured now and stored."""
    processor = cpu()
    key = _device_key("memory", "0" * 64, "copy", "f32", f"cores {processor.usable_cores}", None)
    stored = store.load(key)
    if stored is not None and isinstance(stored.notes.get("bytes_per_second"), float):
        return float(stored.notes["bytes_per_second"])
    found = measure_bandwidth(processor.usable_cores)
    store.save(key, Stored({}, {"bytes_per_second": found}))
    return found


def measure_bandwidth(cores: int) -> float:
    """Return the bytes that a copy of a large block reads and writes in a second, all ``cores`` copying.

    Each thread's own processor time counts, so that other programs do not make the memory look slow.
    """
    threads = max(1, min(cores, _MOST_COPY_THREADS))
    source = np.ones(_BUFFER_BYTES // 8, np.float64)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))

    def copy(part: tuple[NDArray[np.float64], NDArray[np.float64]]) -> float:
        begun = time.thread_time()
        np.copyto(*part)
        return 2 * part[0].nbytes / max(time.thread_time() - begun, 1e-6)

    with ThreadPoolExecutor(threads) as pool:
        return max(sum(pool.map(copy, parts)) for _ in range(3))


def _key(engine: CompilableEngine, backend: str, precision: str, threads: int, gpu: Gpu | None) -> StoreKey:
    return _device_key(engine.name, engine.digest, backend, precision, f"threads {threads}", gpu)


def _device_key(name: str, digest: str, backend: str, precision: str, flag: str, gpu: Gpu | None) -> StoreKey:
    processor = cpu()
    known = backend_named(backend)
    library = "numpy" if known is None else known.library
    try:
        version = importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    return StoreKey(
        engine=name,
        engine_digest=digest,
        backend=f"{backend}-calibration",
        backend_version=version,
        torch_version=None,
        device=processor.name if gpu is None else gpu.name,
        device_features=processor.extensions if gpu is None else gpu.features,
        precision=precision,
        flags=(f"streamfx {__version__}", flag),
    )
