"""Models of OpenVINO: a network converted, compiled for one setting and shape, measured, and run."""

from __future__ import annotations

import importlib.util
import json
import queue
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from streamfx.backends.backend import CompilableEngine, CompileOptions, Precision
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.openvino_graph import DATA, MODEL, RANGES
from streamfx.backends.openvino_layout import packed, shuffled
from streamfx.backends.openvino_library import core, openvino
from streamfx.backends.openvino_passes import (
    Ranges,
    compute_constants,
    fix_shape,
    flows,
    packed_inputs,
    shuffle_at_once,
    use_integers,
    without_shuffle,
)
from streamfx.backends.store import Stored
from streamfx.engine.golden import Array
from streamfx.errors import BackendUnavailableError
from streamfx.hardware.cpu import cpu
from streamfx.media.array_memory import arrays

_BLOB, _BIAS, _MARGIN = "model.blob", "bias.bin", "margin"
Shape: TypeAlias = tuple[int, int, int]
"""What the network sees: (N, h, w)."""

_RARE = 1e-6  # share of the values on either side that may lie outside a range
SHAPE_NOTES = ("seen", "heads")  # shapes of the golden frame, as text: 3x48x64


def convert(engine: CompilableEngine) -> dict[str, bytes]:
    """Return the network as a model of OpenVINO, float32, for any size of the picture: its two files.

    This does what ``openvino.convert_model`` does, but for one thing: that one reports its use to the makers
    of OpenVINO over the network without asking.

    Raises:
        BackendUnavailableError: torch is missing, or OpenVINO lacks what the network needs.
    """
    if importlib.util.find_spec("torch") is None:
        raise BackendUnavailableError(
            f"backend openvino must convert engine {engine.name!r} once, as its folder has no graph, and "
            "that needs torch: pip install torch"
        )
    ov = openvino()
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
    shapes = ([1, len(golden.planes), -1, -1], [3, 4], [3, 4], [1])
    model.reshape({port: ov.PartialShape(shape) for port, shape in zip(model.inputs, shapes, strict=True)})
    with tempfile.TemporaryDirectory(prefix="streamfx-") as folder:
        path = Path(folder) / MODEL
        ov.save_model(model, path, compress_to_fp16=False)
        return {name: path.with_name(name).read_bytes() for name in (MODEL, DATA)}


def compiled_for(stored: Stored, setting: Setting, shape: Shape, options: CompileOptions) -> Stored:
    """Return the model with everything but the picture made constant, compiled for pictures of one shape."""
    model = _for_setting(stored.payload, setting)
    fix_shape(model, (1, *shape))
    precision = Precision(str(stored.notes["precision"]))
    shuffle_at_once(model)
    if precision is Precision.INT8:
        use_integers(model, json.loads(stored.payload[RANGES]))
    payload = {}
    notes = {name: stored.notes[name] for name in ("precision", *SHAPE_NOTES)}
    if (shorter := without_shuffle(model)) is not None:
        model, bias = shorter
        payload[_BIAS] = bias.tobytes()
    if _between(precision) is Precision.BF16 and (laid_out := packed_inputs(model)) is not None:
        model, notes[_MARGIN] = laid_out
    compiled = core().compile_model(model, "CPU", _settings(precision, options))
    return Stored({_BLOB: compiled.export_model().getvalue(), **payload}, notes)


def measured_ranges(converted: Mapping[str, bytes], inputs: Iterable[tuple[Array, Setting]]) -> Ranges:
    """Return the ranges of what flows between the layers of a network, in float32, for some pictures.

    Args:
        converted: the network as `convert` returns it.
        inputs: (N, h, w) of what the network sees, and the setting that goes with it.
    """
    found: dict[str, tuple[float, float]] = {}
    requests: dict[Setting, tuple[list[str], Any]] = {}
    for seen, setting in inputs:
        if setting not in requests:
            named = flows(model := _for_setting(converted, setting))
            outputs = [openvino().opset13.result(output) for output in named.values()]
            probe = openvino().Model(outputs, model.get_parameters(), "flows")
            compiled = core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            requests[setting] = list(named), compiled.create_infer_request()
        names, request = requests[setting]
        request.set_input_tensor(openvino().Tensor(np.ascontiguousarray(seen[None])))
        request.infer()
        for number, name in enumerate(names):
            values = request.get_output_tensor(number).data
            low, high = (float(np.quantile(values, share)) for share in (_RARE, 1 - _RARE))
            before = found.get(name, (low, high))
            found[name] = min(low, before[0]), max(high, before[1])
    return found


def _for_setting(converted: Mapping[str, bytes], setting: Setting) -> Any:
    """Return the model with everything but the picture made constant."""
    model = core().read_model(converted[MODEL], converted[DATA])
    for parameter, value in zip(model.get_parameters()[1:], setting.values, strict=True):
        constant = openvino().opset13.constant(value, dtype=np.float32)
        parameter.output(0).replace(constant.output(0))
        model.remove_parameter(parameter)
    compute_constants(model)
    return model


class Requests:
    """Models of one setting and shape; a call takes a free one or waits for it.

    Each is the only request of a model of its own: two requests of one model are not safe side by side
    (OpenVINO 2026.4.1 corrupted its memory; see also its issues 20633 and 23376).
    """

    def __init__(self, stored: Stored, options: CompileOptions) -> None:
        precision = Precision(str(stored.notes["precision"]))
        seen, heads = ([int(side) for side in str(stored.notes[name]).split("x")] for name in SHAPE_NOTES)
        self._channels = heads[0]
        self._ratios = tuple(zip(heads[1:], seen[1:], strict=True))
        self._count = options.requests
        self._threads = _threads(options)
        self._margin = int(stored.notes[_MARGIN]) if _MARGIN in stored.notes else None
        bias = stored.payload.get(_BIAS)
        self._bias = None if bias is None else np.frombuffer(bias, np.float32)
        # None in the queue stands for "closed"; it stays there for whoever comes next.
        self._free: queue.SimpleQueue[Any | None] = queue.SimpleQueue()
        for _ in range(options.requests):
            model = core().import_model(stored.payload[_BLOB], "CPU", _settings(precision, options))
            self._free.put(model.create_infer_request())

    def run(self, reduced: Array) -> Array:
        request = self._free.get()
        try:
            if request is None:
                raise RuntimeError("this compiled engine is closed")
            return self._run(request, reduced)
        finally:
            self._free.put(request)

    def _run(self, request: Any, reduced: Array) -> Array:
        ov = openvino()
        # A request does not keep the memory alive that it shares, so these must outlive the call.
        if self._margin is None:
            seen = np.ascontiguousarray(reduced[None])
            request.set_input_tensor(ov.Tensor(seen, shared_memory=True))
        else:
            bits = packed(reduced, self._margin, self._threads)[None]
            request.set_input_tensor(ov.Tensor(bits, ov.Shape(bits.shape), ov.Type.bf16))
        # The network writes into memory of our own: nothing is copied, and no call overwrites another's.
        sides = zip(reduced.shape[1:], self._ratios, strict=True)
        height, width = (side * large // small for side, (large, small) in sides)
        heads_shape = (1, self._channels, height, width)
        shape = heads_shape if self._bias is None else (1, height // 2, width // 2, 4 * self._channels)
        given = arrays.empty(shape)
        request.set_output_tensor(ov.Tensor(given, shared_memory=True))
        request.infer(share_outputs=True)  # or what it returns, and nobody takes, would be a copy
        result: Array = given[0]
        return result if self._bias is None else shuffled(result, self._bias, self._threads)

    def warm_up(self, shape: Shape) -> None:
        """Run every request once with an empty (N, h, w) input."""
        taken = [self._free.get() for _ in range(self._count)]
        try:
            for request in taken:
                if request is not None:
                    self._run(request, np.zeros(shape, np.float32))
        finally:
            for request in taken:
                self._free.put(request)

    def close(self) -> None:
        for _ in range(self._count):
            self._free.get()
        self._count = 1
        self._free.put(None)


def _settings(precision: Precision, options: CompileOptions) -> dict[str, object]:
    """Return the settings of one request."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": _threads(options),
        "INFERENCE_PRECISION_HINT": str(_between(precision)),
        "ENABLE_CPU_PINNING": False,  # decoder, encoder and fuse need the same cores
    }


def _threads(options: CompileOptions) -> int:
    """Return the threads of one request."""
    return options.threads or max(1, cpu().usable_cores // options.requests)


def _between(precision: Precision) -> Precision:
    """Return the number format of what is not computed in integers of 8 bits."""
    if precision is not Precision.INT8:
        return precision
    return Precision.BF16 if cpu().has_bf16 else Precision.F32
