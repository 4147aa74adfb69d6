"""A network from the description and the weights of an engine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from streamfx.engine.families.registry import FAMILIES
from streamfx.errors import EngineCorruptError, EngineMismatchError


def _network(path: str) -> type[nn.Module]:
    module, _, name = path.rpartition(".")
    return cast(type[nn.Module], getattr(import_module(f"streamfx.engine.families.{module}"), name))


NETWORKS: dict[str, type[nn.Module]] = {name: _network(each.network) for name, each in FAMILIES.items()}
"""The class of each family's network."""


def build_network(family: str, options: Mapping[str, object], weights: bytes) -> nn.Module:
    """Return the network of an engine, in evaluation mode, float32, on the CPU.

    Args:
        family: family of the network, a key of `NETWORKS`.
        options: arguments of the family's class.
        weights: a safetensors file.

    Raises:
        EngineMismatchError: this version of streamfx does not know the family.
        EngineCorruptError: options or weights are not those of such a network.
    """
    if family not in NETWORKS:
        raise EngineMismatchError(
            f"family {family!r} is not known to this version of streamfx; known: {', '.join(NETWORKS)}"
        )
    try:
        network = NETWORKS[family](**options)
    except TypeError as error:
        raise EngineCorruptError(f"options {dict(options)} do not fit family {family}: {error}") from error
    try:
        network.load_state_dict(safetensors.torch.load(weights))
    except (RuntimeError, SafetensorError) as error:
        raise EngineCorruptError(
            f"the weights are not those of a {family} network with options {dict(options)}: {error}"
        ) from error
    return network.eval().requires_grad_(False)
