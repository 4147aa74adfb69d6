"""OpenVINO: the fastest way to run a network on a CPU.

A network is converted once, which needs torch and takes about a second, and then compiled for every setting
(colour matrices and factor) and size of the reduced picture that comes up, a tenth or two of a second each;
one model for all sizes would take a seventh longer for each frame. All of it is kept in the store; a start
from there neither converts nor compiles, nor imports torch.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import threading
import time
from dataclasses import replace

from streamfx.backends.backend import CompilableEngine, CompileOptions, Precision
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.golden_check import check_golden
from streamfx.backends.openvino_graph import RANGES, unpack
from streamfx.backends.openvino_model import SHAPE_NOTES, Requests, Shape, compiled_for, convert
from streamfx.backends.store import Note, Stored, StoreKey
from streamfx.engine.folder import GRAPH, WEIGHTS
from streamfx.engine.golden import Array, Tolerance, roundoff_of
from streamfx.errors import BackendUnavailableError, EngineMismatchError
from streamfx.hardware.cpu import cpu
from streamfx.hardware.cuda import Device
from streamfx.version import __version__

log = logging.getLogger(__name__)

TOLERANCES = {
    Precision.F32: Tolerance(rms=1e-3, largest=1e-2),
    Precision.BF16: Tolerance(rms=0.1, largest=1.0, roundoff=roundoff_of(8)),
    Precision.INT8: Tolerance(rms=0.2, largest=2.0, roundoff=roundoff_of(8)),
}
_TRIAL_SIZE = (180, 320)  # a 720p picture at factor 4
_TRIAL_ROUNDS = 8
_MOST_OPEN = 12  # settings and shapes that stay open: the factors between which a run may go, and more
_MOST_STORED = 48  # of an engine: photographs may all have sizes of their own
_compile_lock = threading.RLock()  # a build is tried out before it is chosen


class OpenVinoBackend:
    """Runs networks on the CPU with OpenVINO."""

    name = "openvino"
    chosen_on = frozenset({Device.CPU})
    library = "openvino"
    keeps_compiled = True
    compiles_each_size = False

    def availability(self) -> str | None:
        if importlib.util.find_spec("openvino") is None:
            return "OpenVINO is not installed; pip install openvino"
        return None

    def held_back(self) -> str | None:
        return None

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> OpenVinoEngine:
        """Return the engine, from the store where it is there, checked against its golden frame.

        Raises:
            BackendUnavailableError: OpenVINO is missing; or torch is, and the engine has no graph.
            EngineMismatchError: what was built does not give the engine's golden heads.
        """
        if reason := self.availability():
            raise BackendUnavailableError(f"backend openvino cannot run here: {reason}")
        if options.device is Device.CUDA or options.precision is Precision.F16:
            raise BackendUnavailableError(
                f"backend openvino computes in f32, bf16 or int8 on the CPU; {options.precision} on "
                f"{options.device} was asked for: use inductor or tensorrt"
            )
        with _compile_lock:
            key = _store_key(engine, options.precision)
            stored = options.store.load(key) if options.store else None
            if stored is not None:
                try:
                    return _open(engine, stored, options, key)
                except (RuntimeError, KeyError, ValueError) as error:
                    _tell_unusable(f"engine {engine.name!r}", error)
            stored = _build(engine, options)
            compiled = _open(engine, stored, options, key)
            if options.store:
                options.store.save(key, stored)
            return compiled


def _tell_unusable(stored: str, error: Exception) -> None:
    """Warn in one line: OpenVINO's exceptions say in several where they come from, and why in the last."""
    said = [line for line in str(error).splitlines() if line.strip()]
    why = said[-1] if said else type(error).__name__
    log.warning("the stored %s cannot be used, building it again: %s", stored, why)


class OpenVinoEngine:
    """An engine in OpenVINO, compiled for every setting and shape when that is first needed."""

    backend = "openvino"

    def __init__(self, stored: Stored, options: CompileOptions, key: StoreKey) -> None:
        self.precision = Precision(str(stored.notes["precision"]))
        self._stored = stored
        self._options = options
        self._key = key
        self._closed = False
        self._requests: dict[tuple[Setting, Shape], Requests] = {}

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        count, height, width = reduced.shape
        return self._ready(Setting.of(to_rgb, from_rgb, factor), (count, height, width)).run(reduced)

    def warm_up(self, shape: Shape, to_rgb: Array, from_rgb: Array, factor: float) -> None:
        self._ready(Setting.of(to_rgb, from_rgb, factor), shape).warm_up(shape)

    def add(self, setting: Setting, shape: Shape, compiled: Stored) -> None:
        """Open one request of a setting and shape from a build that is at hand."""
        self._requests[setting, shape] = Requests(compiled, replace(self._options, requests=1))

    def release(self) -> None:
        """Close all requests; the next calls open them again."""
        for requests in self._requests.values():
            requests.close()
        self._requests.clear()

    def close(self) -> None:
        with _compile_lock:
            self._closed = True
            self.release()

    def _ready(self, setting: Setting, shape: Shape) -> Requests:
        """Return the requests of a setting and shape, compiled now if they never were."""
        requests = self._requests.get((setting, shape))
        if requests is None:
            with _compile_lock:
                if self._closed:
                    raise RuntimeError("this compiled engine is closed")
                requests = self._requests.get((setting, shape))
                if requests is None:
                    requests = self._requests[setting, shape] = self._open_requests(setting, shape)
                    while len(self._requests) > _MOST_OPEN:  # who still uses one goes on holding it
                        del self._requests[next(iter(self._requests))]
        return requests

    def _open_requests(self, setting: Setting, shape: Shape) -> Requests:
        """Return the requests of a setting and shape, from the store where they are there."""
        store, sizes = self._options.store, "x".join(map(str, shape))
        key = replace(self._key, flags=(*self._key.flags, setting.flag), sizes=sizes)
        stored = store.load(key) if store else None
        if stored is not None:
            try:
                return Requests(stored, self._options)
            except (RuntimeError, KeyError, ValueError) as error:
                _tell_unusable(key.file_name, error)
        stored = compiled_for(self._stored, setting, shape, self._options)
        if store:
            store.save(key, stored)
            store.keep_newest(key, _MOST_STORED)
        return Requests(stored, self._options)


def _open(engine: CompilableEngine, stored: Stored, options: CompileOptions, key: StoreKey) -> OpenVinoEngine:
    """Return the engine, its golden frame checked.

    Raises:
        EngineMismatchError: it does not give the engine's golden heads.
    """
    compiled = OpenVinoEngine(stored, options, key)
    compiled.add(*_golden_case(engine), stored)
    check_golden(engine, compiled, TOLERANCES[compiled.precision])
    compiled.release()
    return compiled


def _build(engine: CompilableEngine, options: CompileOptions) -> Stored:
    """Return the engine converted, in the precision asked for or, with ``auto``, in the faster one.

    Raises:
        BackendUnavailableError: torch, which converts, is missing; or OpenVINO lacks what the network needs.
        EngineMismatchError: what was built does not give the engine's golden heads.
    """
    converted = _converted(engine)
    arrays = zip(SHAPE_NOTES, (engine.golden.planes, engine.golden.heads), strict=True)
    shapes: dict[str, Note] = {name: "x".join(map(str, array.shape)) for name, array in arrays}

    def build(precision: Precision) -> Stored:
        notes: dict[str, Note] = {"precision": str(precision), **shapes}
        compiled = compiled_for(Stored(converted, notes), *_golden_case(engine), options)
        return Stored({**converted, **compiled.payload}, {**notes, **compiled.notes})

    if options.precision is Precision.INT8 and RANGES not in converted:
        raise BackendUnavailableError(
            f"engine {engine.name!r} cannot run in int8: its graph does not say what flows between layers; "
            "use another precision, or measure that with: python -m training quantise"
        )
    if options.precision is not Precision.AUTO:
        return build(options.precision)
    processor = cpu()
    # What the processor has no instructions for would be emulated, several times slower.
    precisions = [Precision.F32] + [Precision.BF16] * processor.has_bf16
    precisions += [Precision.INT8] * (processor.has_int8 and RANGES in converted)
    builds = {precision: build(precision) for precision in precisions}
    return builds[Precision.F32] if len(builds) == 1 else _faster(engine, builds, options)


def _converted(engine: CompilableEngine) -> dict[str, bytes]:
    """Return the network as a model of OpenVINO: the graph that the engine brings along, else converted now.

    Raises:
        BackendUnavailableError: it has none, and torch is missing, or OpenVINO lacks what the network needs.
    """
    graph, weights = engine.file(GRAPH), engine.file(WEIGHTS)
    if graph is not None and weights is not None:
        try:
            return unpack(graph, weights)
        except ValueError as error:
            log.warning("%s of engine %r cannot be used, converting it again: %s", GRAPH, engine.name, error)
    return convert(engine)


def _faster(engine: CompilableEngine, builds: dict[Precision, Stored], options: CompileOptions) -> Stored:
    """Return the faster of the builds that give the golden heads, with the times it was chosen by.

    Where a processor has bf16 without matrix units, some run it nearly twice as fast as f32 and some slower;
    of integers only the convolutions profit.

    Raises:
        EngineMismatchError: none gives the golden heads.
    """
    times_ms: dict[Precision, float] = {}
    opened: dict[Precision, OpenVinoEngine] = {}
    refused: list[EngineMismatchError] = []
    for precision, stored in builds.items():
        compiled = OpenVinoEngine(stored, replace(options, store=None), _store_key(engine, precision))
        compiled.add(*_golden_case(engine), stored)
        try:
            check_golden(engine, compiled, TOLERANCES[precision])
            opened[precision] = compiled
        except EngineMismatchError as error:
            log.warning("%s is not used: %s", precision, error)
            refused.append(error)
    if not opened:
        raise refused[0]
    golden = engine.golden
    picture = golden.golden_input((1, *engine.input_shape(_TRIAL_SIZE)))[0]
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


def _golden_case(engine: CompilableEngine) -> tuple[Setting, Shape]:
    """Return setting and shape of the golden frame."""
    golden = engine.golden
    count, height, width = golden.planes.shape
    return Setting.of(golden.to_rgb, golden.from_rgb, golden.factor), (count, height, width)


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
