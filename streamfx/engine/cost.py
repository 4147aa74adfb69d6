"""Operations: what a network has to compute for each pixel of the reduced picture, read from its engine.

The shapes of the weights say how much each layer computes for each place it is applied at; at how many
places, its family says. Neither needs torch. A layer that it does not list is counted
at every pixel of the reduced picture, which is the most it can be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

from streamfx.engine.families.registry import FAMILIES
from streamfx.engine.folder import WEIGHTS
from streamfx.engine.spec import EngineSpec
from streamfx.errors import EngineCorruptError

_HEADER_LIMIT_BYTES = 1 << 24
_CONVOLUTION_AXES = 4


@dataclass(frozen=True, slots=True)
class Layer:
    """What one convolution costs for each pixel of the reduced picture.

    Attributes:
        name: name as the weights name it.
        operations: multiplications and additions.
        values: numbers read and written.
    """

    name: str
    operations: float
    values: float


def layers_of(folder: Path, spec: EngineSpec) -> tuple[Layer, ...]:
    """Return the convolutions of the engine in ``folder``, in order of names.

    Raises:
        EngineCorruptError: the weights cannot be read.

    Example:
        >>> from streamfx.engine.library import load_engine
        >>> engine = load_engine("wave")
        >>> operations = sum(layer.operations for layer in layers_of(engine.folder, engine.spec))
        >>> operations > 1000
        True
    """
    reductions = FAMILIES[spec.family].reductions if spec.family in FAMILIES else {}
    found = []
    for name, shape in weight_shapes(folder / WEIGHTS).items():
        if len(shape) < _CONVOLUTION_AXES:
            continue  # vectors, and what is computed once for a frame: next to nothing
        # Sets of weights for several factors come first; they are mixed into one before the first frame.
        outputs, inputs, height, width = shape[-_CONVOLUTION_AXES:]
        listed = (reductions[part] for part in name.split(".") if part in reductions)
        read, written = next(listed, (1, 1))
        found.append(
            Layer(
                name.removesuffix(".weight"),
                operations=2 * outputs * inputs * height * width / written**2,
                values=inputs / read**2 + outputs / written**2,
            )
        )
    return tuple(sorted(found, key=lambda layer: layer.name))


def weight_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights in a safetensors file, by name; only its header is read.

    Raises:
        EngineCorruptError: it is not such a file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= _HEADER_LIMIT_BYTES:
                raise ValueError(f"its header would be {length} bytes long")
            header = json.loads(file.read(length))
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
        if not all(isinstance(side, int) and prod(shape) > 0 for shape in shapes.values() for side in shape):
            raise ValueError("its header states shapes that are none")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineCorruptError(f"cannot read the shapes of the weights in {path}: {error}") from error
    return shapes
