"""Limits of networks whose description and weights may come from a stranger.

A description of a few letters can ask for ten million layers, or for layers of a million channels. So a
network is laid out first, without any memory for weights, and must be the one whose weights are in the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import nn

_MOST_HEADER_BYTES = 1 << 20
_MOST_TENSORS = 4096
_MOST = 4096  # of an option that is a number: layers or channels
_ANYWAY = 64  # an option may be as large as that, whatever the weights
_MOST_LETTERS = 64
_NOT_A_NETWORK = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)


def check_network(family: type[nn.Module], options: Mapping[str, object], weights: bytes) -> None:
    """Check, before it is made, that a network is as large as its weights.

    Args:
        family: class of the network.
        options: arguments of the class.
        weights: a safetensors file.

    Raises:
        ValueError: it is not, or one of the two is not what it should be.
    """
    shapes = shapes_of(weights)
    sides = [side for shape in shapes.values() for side in shape]
    most = min(max(_ANYWAY, len(shapes), *sides, 0), _MOST)
    for name, value in options.items():
        if isinstance(value, int | float) and not -most <= value <= most:
            raise ValueError(f"option {name} is {value:g}; with these weights it can be {most} at most")
        if isinstance(value, str) and len(value) > _MOST_LETTERS:
            raise ValueError(f"option {name} has {len(value)} letters")
    try:
        with torch.device("meta"):
            network = family(**options)
    except _NOT_A_NETWORK as error:
        raise ValueError(f"options {dict(options)} do not fit: {error}") from error
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if expected != shapes:
        names = sorted(set(expected) ^ set(shapes)) or [
            name for name in expected if expected[name] != shapes[name]
        ]
        raise ValueError(
            f"the weights are not those of a network with options {dict(options)}: "
            f"{len(names)} tensors are missing, of another shape or not expected, {names[0]!r} among them"
        )


def shapes_of(weights: bytes) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a safetensors file, without reading the tensors.

    Raises:
        ValueError: it is no such file, or it has too many.
    """
    length = int.from_bytes(weights[:8], "little")
    if len(weights) < 8 or not 2 <= length <= min(_MOST_HEADER_BYTES, len(weights) - 8):
        raise ValueError("the weights are no safetensors file")
    try:
        header = json.loads(weights[8 : 8 + length])
        header.pop("__metadata__", None)
        shapes = {name: tuple(map(int, tensor["shape"])) for name, tensor in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the weights are no safetensors file: {error}") from error
    if len(shapes) > _MOST_TENSORS:
        raise ValueError(f"the weights have {len(shapes)} tensors, more than {_MOST_TENSORS}")
    return shapes
