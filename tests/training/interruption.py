"""A training that is broken off, and what must then be equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn


class Interruption(Exception):
    """What breaks a training off."""


def interrupt_after(steps: int) -> Callable[[int], None]:
    """Return what to call after each step with how many are done: it breaks off after so many."""

    def stop(done: int) -> None:
        if done == steps:
            raise Interruption

    return stop


def assert_same_weights(one: Mapping[str, nn.Module], other: Mapping[str, nn.Module]) -> None:
    """Fail unless all networks of the one are the same, bit for bit, as those of the other."""
    for name, network in one.items():
        again = other[name].state_dict()
        assert all(torch.equal(tensor, again[key]) for key, tensor in network.state_dict().items()), name
