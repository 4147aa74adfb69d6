"""Training state on disk: tensors as safetensors, the rest as JSON; never pickle.

Random choices of a step derive from (seed, step), so seed and step are the state of the random generators,
and a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

_TENSORS = "checkpoint.safetensors"
_STATE = "checkpoint.json"


def save(folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Write weights, optimiser state and `state` (JSON values) to `folder`, replacing what is there at once.

    The JSON file names the tensor file it belongs to, and comes last: an interruption leaves the previous
    pair."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
    name = f"{state['step']}.{_TENSORS}"
    _replace(folder / name, lambda path: save_file({k: t.contiguous() for k, t in tensors.items()}, path))
    text = json.dumps(state | {"tensors": name}, indent=1)
    _replace(folder / _STATE, lambda path: path.write_text(text, encoding="utf-8"))
    for old in folder.glob(f"*.{_TENSORS}"):
        if old.name != name:
            old.unlink()


def load(folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any] | None:
    """State saved in `folder`, with network and optimiser set to it; None when nothing was saved there."""
    if not (folder / _STATE).is_file():
        return None
    state: dict[str, Any] = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    tensors = load_file(folder / state["tensors"])
    network.load_state_dict(_part(tensors, "network."))
    saved: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, "optimiser.").items():
        index, key = name.split(".", 1)
        saved.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict(optimiser.state_dict() | {"state": saved})
    return state


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _replace(path: Path, write: Any) -> None:
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)
