"""A network from the description and the weights of an engine."""

from __future__ import annotations

from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from streamfx.engine.families.classifier import Classifier
from streamfx.engine.families.convert_sr import ConvertSr
from streamfx.engine.families.restore import Restore
from streamfx.engine.families.super_resolution import SuperResolution
from streamfx.engine.families.warp_mask import WarpMask
from streamfx.engine.families.yuv_style import YuvStyle
from streamfx.errors import EngineCorruptError, EngineMismatchError

FAMILIES: dict[str, type[nn.Module]] = {
    "classifier": Classifier,
    "convert_sr": ConvertSr,
    "restore": Restore,
    "super_resolution": SuperResolution,
    "warp_mask": WarpMask,
    "yuv_style": YuvStyle,
}


def build_network(family: str, options: Mapping[str, object], weights: bytes) -> nn.Module:
    """Return the network of an engine, in evaluation mode, float32, on the CPU.

    Args:
        family: family of the generator, a key of `FAMILIES`.
        options: arguments of the family's class.
        weights: a safetensors file.

    Raises:
        EngineMismatchError: this version of streamfx does not know the family.
        EngineCorruptError: options or weights are not those of such a network.
    """
    if family not in FAMILIES:
        raise EngineMismatchError(
            f"family {family!r} is not known to this version of streamfx; known: {', '.join(FAMILIES)}"
        )
    try:
        network = FAMILIES[family](**options)
    except TypeError as error:
        raise EngineCorruptError(f"options {dict(options)} do not fit family {family}: {error}") from error
    try:
        network.load_state_dict(safetensors.torch.load(weights))
    except (RuntimeError, SafetensorError) as error:
        raise EngineCorruptError(
            f"the weights are not those of a {family} network with options {dict(options)}: {error}"
        ) from error
    return network.eval().requires_grad_(False)
