"""OpenVINO: the fastest way to run a network on a CPU.

One model serves every size of the reduced picture. It is converted once, which needs torch and takes about a
second, and kept in the store; a start from the store neither converts nor imports torch.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import queue
import threading
import time
import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from streamfx.backends.backend import CompilableEngine, CompileOptions, Precision
from streamfx.backends.golden import Array, Tolerance, check_golden
from streamfx.backends.store import Note, Stored, StoreKey
from streamfx.device import cpu
from streamfx.errors import BackendUnavailableError, EngineMismatchError
from streamfx.version import __version__

log = logging.getLogger(__name__)

TOLERANCES = {
    Precision.F32: Tolerance(rms=1e-3, largest=1e-2),
    Precision.BF16: Tolerance(rms=0.1, largest=1.0),
}
_BLOB = "model.blob"
_TRIAL_SIZE = (180, 320)  # a 720p picture at factor 4
_TRIAL_ROUNDS = 8
_compile_lock = threading.Lock()


class OpenVinoBackend:
    """Runs networks on the CPU with OpenVINO."""

    name = "openvino"

    def availability(self) -> str | None:
        if importlib.util.find_spec("openvino") is None:
            return "OpenVINO is not installed; pip install openvino"
        return None

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> OpenVinoEngine:
        """Return the engine, from the store where it is there, checked against its golden frame.

        Raises:
            BackendUnavailableError: OpenVINO is missing; or torch is, and the engine is not in the store.
            EngineMismatchError: what was built does not give the engine's golden heads.
        """
        if reason := self.availability():
            raise BackendUnavailableError(f"backend openvino cannot run here: {reason}")
        with _compile_lock:
            key = _store_key(engine, options.precision)
            stored = options.store.load(key) if options.store else None
            if stored is not None:
                try:
                    return _open(engine, stored, options)
                except (RuntimeError, KeyError, ValueError) as error:
                    log.warning(
                        "the stored engine %r cannot be used, building it again: %s", engine.name, error
                    )
            stored = _build(engine, options)
            compiled = _open(engine, stored, options)
            if options.store:
                options.store.save(key, stored)
            return compiled


class OpenVinoEngine:
    """A model in OpenVINO, once per lane; a call takes a free lane or waits for one.

    A lane is the only request of a model of its own: two requests of one model are not safe side by side
    (OpenVINO 2026.4.1 corrupted its memory; see also its issues 20633 and 23376).
    """

    backend = "openvino"

    def __init__(self, stored: Stored, options: CompileOptions) -> None:
        self.precision = Precision(str(stored.notes["precision"]))
        self._channels = int(stored.notes["channels"])
        self._count = options.lanes
        # None in the queue stands for "closed"; it stays there for whoever comes next.
        self._lanes: queue.SimpleQueue[Any | None] = queue.SimpleQueue()
        for _ in range(options.lanes):
            model = _core().import_model(stored.payload[_BLOB], "CPU", _settings(self.precision, options))
            self._lanes.put(model.create_infer_request())

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        lane = self._lanes.get()
        try:
            if lane is None:
                raise RuntimeError("this compiled engine is closed")
            return self._run(lane, (reduced[None], to_rgb, from_rgb, np.array([factor], np.float32)))
        finally:
            self._lanes.put(lane)

    def _run(self, lane: Any, inputs: tuple[Array, ...]) -> Array:
        import openvino as ov

        # A request does not keep the memory alive that it shares, so this list must outlive the call.
        arrays = [np.ascontiguousarray(array) for array in inputs]
        for index, array in enumerate(arrays):
            lane.set_input_tensor(index, ov.Tensor(array, shared_memory=True))
        # The network writes into memory of our own: nothing is copied, and no call overwrites another's.
        heads = np.empty((1, self._channels, *inputs[0].shape[2:]), np.float32)
        lane.set_output_tensor(0, ov.Tensor(heads, shared_memory=True))
        lane.infer()
        result: Array = heads[0]
        return result

    def warm_up(self, size: tuple[int, int]) -> None:
        rows = np.eye(3, 4, dtype=np.float32)
        picture = np.zeros((1, 3, *size), np.float32)
        taken = [self._lanes.get() for _ in range(self._count)]
        try:
            for lane in taken:
                if lane is not None:
                    self._run(lane, (picture, rows, rows, np.ones(1, np.float32)))
        finally:
            for lane in taken:
                self._lanes.put(lane)

    def close(self) -> None:
        for _ in range(self._count):
            self._lanes.get()
        self._count = 1
        self._lanes.put(None)


def _open(engine: CompilableEngine, stored: Stored, options: CompileOptions) -> OpenVinoEngine:
    compiled = OpenVinoEngine(stored, options)
    check_golden(engine, compiled, TOLERANCES[compiled.precision])
    return compiled


def _build(engine: CompilableEngine, options: CompileOptions) -> Stored:
    """Return the engine converted, in the precision asked for or, with ``auto``, in the faster one.

    Raises:
        BackendUnavailableError: torch, which converts, is missing; or OpenVINO lacks what the network needs.
        EngineMismatchError: what was built does not give the engine's golden heads.
    """
    model = _convert(engine)
    channels = len(engine.golden.heads)

    def build(precision: Precision) -> Stored:
        compiled = _core().compile_model(model, "CPU", _settings(precision, options))
        notes: dict[str, Note] = {"precision": str(precision), "channels": channels}
        return Stored({_BLOB: compiled.export_model().getvalue()}, notes)

    processor = cpu()
    if options.precision is not Precision.AUTO:
        return build(options.precision)
    if "AMX BF16" not in processor.extensions and "AVX-512 BF16" not in processor.extensions:
        return build(Precision.F32)  # bf16 would be emulated, several times slower
    builds = {precision: build(precision) for precision in (Precision.F32, Precision.BF16)}
    return _faster(engine, builds, options)


def _faster(engine: CompilableEngine, builds: dict[Precision, Stored], options: CompileOptions) -> Stored:
    """Return the faster of the builds that give the golden heads, with the times it was chosen by.

    Where a processor has bf16 without matrix units, some run it nearly twice as fast as f32 and some slower.
    """
    times_ms: dict[Precision, float] = {}
    opened = {}
    for precision, stored in builds.items():
        try:
            opened[precision] = _open(engine, stored, replace(options, lanes=1))
        except EngineMismatchError as error:
            log.warning("%s is not used: %s", precision, error)
    if not opened:
        _open(engine, builds[Precision.F32], options)  # raises
    golden = engine.golden
    picture = np.full((3, *_TRIAL_SIZE), 128, np.float32)
    for _ in range(_TRIAL_ROUNDS):  # in turns, so that a busy moment of the machine meets all of them
        for precision, compiled in opened.items():
            start_ns = time.perf_counter_ns()
            compiled(picture, golden.to_rgb, golden.from_rgb, golden.factor)
            taken_ms = (time.perf_counter_ns() - start_ns) / 1e6
            times_ms[precision] = min(taken_ms, times_ms.get(precision, taken_ms))
    for compiled in opened.values():
        compiled.close()
    best = min(times_ms, key=times_ms.__getitem__)
    measured = {f"{precision}_ms": round(taken, 3) for precision, taken in times_ms.items()}
    log.info("engine %r runs in %s here: %s at %dx%d", engine.name, best, measured, *_TRIAL_SIZE[::-1])
    return Stored(builds[best].payload, {**builds[best].notes, **measured})


def _convert(engine: CompilableEngine) -> Any:
    """Return the network as a model of OpenVINO, float32, for any size of the picture.

    This does what ``openvino.convert_model`` does, but for one thing: that one reports its use to the makers
    of OpenVINO over the network without asking.

    Raises:
        BackendUnavailableError: torch is missing, or OpenVINO lacks what the network needs.
    """
    if importlib.util.find_spec("torch") is None:
        raise BackendUnavailableError(
            f"backend openvino must convert engine {engine.name!r} once, which needs torch: pip install torch"
        )
    import openvino as ov
    import torch
    from openvino import frontend
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    golden = engine.golden
    example = (
        torch.from_numpy(golden.planes)[None],
        torch.from_numpy(golden.to_rgb),
        torch.from_numpy(golden.from_rgb),
        torch.tensor([golden.factor], dtype=torch.float32),
    )
    with warnings.catch_warnings():
        # OpenVINO 2026.4 still traces; torch 2.13 says that tracing will go one day.
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            engine.network(), example, check_trace=False
        )
        decoder = TorchScriptPythonDecoder(traced)
    reader = FrontEndManager().load_by_framework("pytorch")
    try:
        model = reader.convert(reader.load(decoder))
    except (frontend.GeneralFailure, frontend.NotImplementedFailure, frontend.OpConversionFailure) as error:
        raise BackendUnavailableError(
            f"backend openvino cannot convert engine {engine.name!r}; use backend eager: {error}"
        ) from error
    shapes = ([1, 3, -1, -1], [3, 4], [3, 4], [1])
    model.reshape({port: ov.PartialShape(shape) for port, shape in zip(model.inputs, shapes, strict=True)})
    return model


def _settings(precision: Precision, options: CompileOptions) -> dict[str, object]:
    """Return the settings of one lane."""
    threads = options.threads or max(1, cpu().usable_cores // options.lanes)
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": str(precision),
        "ENABLE_CPU_PINNING": False,  # decoder, encoder and fuse need the same cores
    }


def _store_key(engine: CompilableEngine, precision: Precision) -> StoreKey:
    processor = cpu()
    return StoreKey(
        engine=engine.name,
        engine_digest=engine.digest,
        backend="openvino",
        backend_version=_version("openvino") or "unknown",
        torch_version=_version("torch"),
        device=processor.name,
        device_features=processor.extensions,
        precision=str(precision),
        flags=(f"streamfx {__version__}",),  # the network's code is ours
    )


def _version(package: str) -> str | None:
    """Return the installed version of a package without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _core() -> Any:
    """Return OpenVINO's entry; call it under ``_compile_lock``."""
    import openvino as ov

    # pybind11 sets up its view of NumPy in the first conversion. When two threads make that at once, each may
    # wait for what the other holds, for ever (OpenVINO 2026.4.1: 5 of 120 starts). So it is made here.
    ov.Tensor(np.zeros(1, np.float32), shared_memory=True)
    return ov.Core()
