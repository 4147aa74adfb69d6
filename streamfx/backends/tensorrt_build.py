"""Building plans: an engine's network converted by torch-tensorrt. Runs in a process of its own.

Model and input are in half precision, which makes TensorRT compute in it: asking for a precision in any other
way is ignored by torch-tensorrt. Nothing may fall back to torch: a plan is the whole network or an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.backends.backend import CompilableEngine
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.store import StoreKey
from streamfx.errors import BackendUnavailableError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Say = Callable[[str], None]
Shape = tuple[int, ...]

PLAN = "plan"  # name of the payload in the store
LEAST_PIXELS, BEST_PIXELS, MOST_PIXELS = (32, 32), (360, 640), (1088, 1920)
"""Sizes (height, width) of the picture that a plan for any size takes, and the one it is best at."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What the building process is told.

    Attributes:
        folder: folder of the engine.
        setting: setting that becomes part of the weights.
        shape: (B, N, h, w) of what the network sees; None for a plan for any size, of one picture.
        key: key under which the plan is stored.
        store: folder of the store.
    """

    folder: Path
    setting: Setting
    shape: Shape | None
    key: StoreKey
    store: Path

    def to_json(self) -> str:
        setting = {
            "to_rgb": self.setting.to_rgb.hex(),
            "from_rgb": self.setting.from_rgb.hex(),
            "factor": self.setting.factor,
        }
        values = {"folder": str(self.folder), "store": str(self.store), "shape": self.shape}
        return json.dumps({**values, "setting": setting, "key": asdict(self.key)})

    @classmethod
    def from_json(cls, text: str) -> BuildRequest:
        """Return what `to_json` wrote."""
        values = json.loads(text)
        setting, key, shape = values["setting"], values["key"], values["shape"]
        for name in ("device_features", "flags"):
            key[name] = tuple(key[name])
        return cls(
            Path(values["folder"]),
            Setting(bytes.fromhex(setting["to_rgb"]), bytes.fromhex(setting["from_rgb"]), setting["factor"]),
            None if shape is None else tuple(shape),
            StoreKey(**key),
            Path(values["store"]),
        )


def build_plan(
    engine: CompilableEngine, setting: Setting, shape: Shape | None, scratch: Path, say: Say
) -> bytes:
    """Return the plan of an engine for one setting, in half precision.

    Args:
        engine: engine whose network is built.
        setting: becomes part of the weights.
        shape: (B, N, h, w) of what the network sees; None: any size from `LEAST_PIXELS` to `MOST_PIXELS`.
        scratch: folder for what TensorRT measures of kernels, which makes the next build quicker.
        say: callback, called with each step when it begins.

    Raises:
        BackendUnavailableError: TensorRT failed, or has nothing for an operator, which is named.
    """
    import torch

    from streamfx.backends.constant_folding import dynamic_sizes, folded

    device = "cuda" if torch.cuda.is_available() else "cpu"
    say("computing the weights")
    example = shape or (1, *engine.seen_shape(BEST_PIXELS))
    graph = folded(engine, setting, example, any_size=shape is None).half().to(device)
    say("exporting the network")
    seen = torch.zeros(example, dtype=torch.float16, device=device)
    sizes = dynamic_sizes(engine) if shape is None else None
    program = torch.export.export(graph, (seen,), dynamic_shapes=sizes)
    say("building the plan")
    return _convert(engine, program, shape, scratch)


def _convert(engine: CompilableEngine, program: ExportedProgram, shape: Shape | None, scratch: Path) -> bytes:
    import torch
    import torch_tensorrt
    from torch_tensorrt.dynamo import convert_exported_program_to_serialized_trt_engine

    if shape is not None:
        given = torch_tensorrt.Input(shape=shape, dtype=torch.float16)
    else:
        least, best, most = (
            (1, *engine.seen_shape(size)) for size in (LEAST_PIXELS, BEST_PIXELS, MOST_PIXELS)
        )
        given = torch_tensorrt.Input(
            min_shape=least, opt_shape=best, max_shape=most, dtype=torch.float16, name="seen"
        )
    try:
        plan = convert_exported_program_to_serialized_trt_engine(
            program,
            arg_inputs=[given],
            require_full_compilation=True,
            min_block_size=1,
            offload_module_to_cpu=True,
            # By default one file in the system's temporary folder, shared by all users.
            timing_cache_path=str(scratch / "tensorrt_timing_cache.bin"),
        )
    except RuntimeError as error:  # what it raises for an operator that it has nothing for is one, too
        raise BackendUnavailableError(_why(engine.name, error)) from error
    return bytes(plan)


def _why(name: str, error: RuntimeError) -> str:
    """Return why a network cannot be converted, with the operator that is to blame where one is."""
    found = re.search(r"Conversion of (?:function|method|module of type) (\S+)", str(error.__cause__))
    if found is None:
        return f"TensorRT could not build engine {name!r}: {error}"
    operator = found.group(1).removeprefix("torch._ops.aten.")
    return (
        f"backend tensorrt cannot convert engine {name!r}: TensorRT has nothing for the operator {operator}; "
        "use backend inductor"
    )
