"""OpenVINO: the fastest way to run a network on a CPU.

One model serves every size of the reduced picture. It is converted once, which needs torch and takes about a
second, and then compiled for every setting (colour matrices and factor) that comes up, a tenth of a second
each. All of it is kept in the store; a start from there neither converts nor compiles, nor imports torch.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import queue
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
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
_MODEL, _WEIGHTS = "model.xml", "model.bin"
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
                    return _open(engine, stored, options, key)
                except (RuntimeError, KeyError, ValueError) as error:
                    log.warning(
                        "the stored engine %r cannot be used, building it again: %s", engine.name, error
                    )
            stored = _build(engine, options)
            compiled = _open(engine, stored, options, key)
            if options.store:
                options.store.save(key, stored)
            return compiled


@dataclass(frozen=True, slots=True)
class Setting:
    """What stays the same from frame to frame: the colour matrices, as bytes of float32, and the factor.

    A model is compiled for one setting. Both only change weights of the network, so weights are computed once
    and frames cost less.
    """

    to_rgb: bytes
    from_rgb: bytes
    factor: float

    @classmethod
    def of(cls, to_rgb: Array, from_rgb: Array, factor: float) -> Setting:
        """Return the setting of these (3, 4) matrices and this factor."""
        return cls(to_rgb.astype(np.float32).tobytes(), from_rgb.astype(np.float32).tobytes(), factor)

    @property
    def values(self) -> tuple[Array, Array, Array]:
        """The network's inputs but the picture."""
        to_rgb, from_rgb = (np.frombuffer(m, np.float32).reshape(3, 4) for m in (self.to_rgb, self.from_rgb))
        return to_rgb, from_rgb, np.array([self.factor], np.float32)

    @property
    def flag(self) -> str:
        """What tells it from others in the store."""
        colours = hashlib.sha256(self.to_rgb + self.from_rgb).hexdigest()[:8]
        return f"colours {colours}, factor {self.factor:g}"


class OpenVinoEngine:
    """An engine in OpenVINO, compiled for every setting when that is first needed."""

    backend = "openvino"

    def __init__(self, stored: Stored, options: CompileOptions, key: StoreKey) -> None:
        self.precision = Precision(str(stored.notes["precision"]))
        self._stored = stored
        self._options = options
        self._key = key
        self._closed = False
        self._lanes: dict[Setting, _Lanes] = {}

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        return self._ready(Setting.of(to_rgb, from_rgb, factor)).run(reduced)

    def warm_up(self, size: tuple[int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        self._ready(Setting.of(to_rgb, from_rgb, factor)).warm_up(size)

    def add(self, setting: Setting, compiled: Stored) -> None:
        """Open one lane of a setting from a build that is at hand."""
        self._lanes[setting] = _Lanes(compiled, replace(self._options, lanes=1))

    def release(self) -> None:
        """Close all lanes; the next calls open them again."""
        for lanes in self._lanes.values():
            lanes.close()
        self._lanes.clear()

    def close(self) -> None:
        with _compile_lock:
            self._closed = True
            self.release()

    def _ready(self, setting: Setting) -> _Lanes:
        """Return the lanes of a setting, compiled now if they never were."""
        lanes = self._lanes.get(setting)
        if lanes is None:
            with _compile_lock:
                if self._closed:
                    raise RuntimeError("this compiled engine is closed")
                lanes = self._lanes.get(setting)
                if lanes is None:
                    lanes = self._lanes[setting] = self._open_lanes(setting)
        return lanes

    def _open_lanes(self, setting: Setting) -> _Lanes:
        """Return the lanes of a setting, from the store where it is there."""
        store, key = self._options.store, replace(self._key, flags=(*self._key.flags, setting.flag))
        stored = store.load(key) if store else None
        if stored is not None:
            try:
                return _Lanes(stored, self._options)
            except (RuntimeError, KeyError, ValueError) as error:
                log.warning("the stored %s cannot be used, building it again: %s", key.file_name, error)
        stored = _for_setting(self._stored, setting, self._options)
        if store:
            store.save(key, stored)
        return _Lanes(stored, self._options)


class _Lanes:
    """Models of one setting; a call takes a free one or waits for it.

    A lane is the only request of a model of its own: two requests of one model are not safe side by side
    (OpenVINO 2026.4.1 corrupted its memory; see also its issues 20633 and 23376).
    """

    def __init__(self, stored: Stored, options: CompileOptions) -> None:
        precision = Precision(str(stored.notes["precision"]))
        self._channels = int(stored.notes["channels"])
        self._count = options.lanes
        # None in the queue stands for "closed"; it stays there for whoever comes next.
        self._free: queue.SimpleQueue[Any | None] = queue.SimpleQueue()
        for _ in range(options.lanes):
            model = _core().import_model(stored.payload[_BLOB], "CPU", _settings(precision, options))
            self._free.put(model.create_infer_request())

    def run(self, reduced: Array) -> Array:
        lane = self._free.get()
        try:
            if lane is None:
                raise RuntimeError("this compiled engine is closed")
            return self._run(lane, reduced)
        finally:
            self._free.put(lane)

    def _run(self, lane: Any, reduced: Array) -> Array:
        import openvino as ov

        # A request does not keep the memory alive that it shares, so these must outlive the call.
        picture = np.ascontiguousarray(reduced[None])
        lane.set_input_tensor(ov.Tensor(picture, shared_memory=True))
        # The network writes into memory of our own: nothing is copied, and no call overwrites another's.
        heads = np.empty((1, self._channels, *reduced.shape[1:]), np.float32)
        lane.set_output_tensor(ov.Tensor(heads, shared_memory=True))
        lane.infer()
        result: Array = heads[0]
        return result

    def warm_up(self, size: tuple[int, int]) -> None:
        """Run every lane once with an empty (h, w) picture."""
        taken = [self._free.get() for _ in range(self._count)]
        try:
            for lane in taken:
                if lane is not None:
                    self._run(lane, np.zeros((3, *size), np.float32))
        finally:
            for lane in taken:
                self._free.put(lane)

    def close(self) -> None:
        for _ in range(self._count):
            self._free.get()
        self._count = 1
        self._free.put(None)


def _open(engine: CompilableEngine, stored: Stored, options: CompileOptions, key: StoreKey) -> OpenVinoEngine:
    """Return the engine, its golden frame checked.

    Raises:
        EngineMismatchError: it does not give the engine's golden heads.
    """
    compiled = OpenVinoEngine(stored, options, key)
    compiled.add(_setting(engine), stored)
    check_golden(engine, compiled, TOLERANCES[compiled.precision])
    compiled.release()
    return compiled


def _build(engine: CompilableEngine, options: CompileOptions) -> Stored:
    """Return the engine converted, in the precision asked for or, with ``auto``, in the faster one.

    Raises:
        BackendUnavailableError: torch, which converts, is missing; or OpenVINO lacks what the network needs.
        EngineMismatchError: what was built does not give the engine's golden heads.
    """
    converted = _convert(engine)

    def build(precision: Precision) -> Stored:
        notes: dict[str, Note] = {"precision": str(precision), "channels": len(engine.golden.heads)}
        compiled = _for_setting(Stored(converted, notes), _setting(engine), options)
        return Stored({**converted, **compiled.payload}, notes)

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

    Raises:
        EngineMismatchError: none gives the golden heads.
    """
    times_ms: dict[Precision, float] = {}
    opened: dict[Precision, OpenVinoEngine] = {}
    refused: list[EngineMismatchError] = []
    for precision, stored in builds.items():
        compiled = OpenVinoEngine(stored, options, _store_key(engine, precision))
        compiled.add(_setting(engine), stored)
        try:
            check_golden(engine, compiled, TOLERANCES[precision])
            opened[precision] = compiled
        except EngineMismatchError as error:
            log.warning("%s is not used: %s", precision, error)
            refused.append(error)
    if not opened:
        raise refused[0]
    golden = engine.golden
    picture = np.full((3, *_TRIAL_SIZE), 128, np.float32)
    for _ in range(_TRIAL_ROUNDS):  # in turns, so that a busy moment of the machine meets all of them
        for precision, compiled in opened.items():
            start_ns = time.perf_counter_ns()
            compiled(picture, golden.to_rgb, golden.from_rgb, golden.factor)
            taken_ms = (time.perf_counter_ns() - start_ns) / 1e6
            times_ms[precision] = min(taken_ms, times_ms.get(precision, taken_ms))
    best = min(times_ms, key=times_ms.__getitem__)
    measured = {f"{precision}_ms": round(taken, 3) for precision, taken in times_ms.items()}
    log.info("engine %r runs in %s here: %s at %dx%d", engine.name, best, measured, *_TRIAL_SIZE[::-1])
    return Stored(builds[best].payload, {**builds[best].notes, **measured})


def _for_setting(stored: Stored, setting: Setting, options: CompileOptions) -> Stored:
    """Return the model with everything but the picture made constant, compiled."""
    from openvino import opset13

    model = _core().read_model(stored.payload[_MODEL], stored.payload[_WEIGHTS])
    for parameter, value in zip(model.get_parameters()[1:], setting.values, strict=True):
        constant = opset13.constant(value, dtype=np.float32)
        parameter.output(0).replace(constant.output(0))
        model.remove_parameter(parameter)
    precision = Precision(str(stored.notes["precision"]))
    compiled = _core().compile_model(model, "CPU", _settings(precision, options))
    notes = {name: stored.notes[name] for name in ("precision", "channels")}
    return Stored({_BLOB: compiled.export_model().getvalue()}, notes)


def _convert(engine: CompilableEngine) -> dict[str, bytes]:
    """Return the network as a model of OpenVINO, float32, for any size of the picture: its two files.

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
    with tempfile.TemporaryDirectory(prefix="streamfx-") as folder:
        path = Path(folder) / _MODEL
        ov.save_model(model, path, compress_to_fp16=False)
        return {name: path.with_name(name).read_bytes() for name in (_MODEL, _WEIGHTS)}


def _setting(engine: CompilableEngine) -> Setting:
    """Return the setting of the golden frame."""
    golden = engine.golden
    return Setting.of(golden.to_rgb, golden.from_rgb, golden.factor)


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
