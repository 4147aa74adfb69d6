"""Training state on disk: tensors as safetensors, the rest as JSON; never pickle."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from training.errors import WrongOptions
from training.record import Record, refuse_other
from training.weights import first_misfit

log = logging.getLogger(__name__)

_TENSORS = "checkpoint.safetensors"
_STATE = "checkpoint.json"


def save(
    folder: Path,
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, Optimizer],
    record: Record,
    step: int,
) -> None:
    """Write weights, optimiser states, settings and the number of steps done, replacing what is there.

    The JSON file names the tensor file it belongs to, and comes last: an interruption leaves the previous
    pair."""
    tensors: dict[str, Tensor] = {}
    for key, network in networks.items():
        tensors |= {f"network.{key}.{name}": tensor for name, tensor in network.state_dict().items()}
    for key, optimiser in optimisers.items():
        for index, values in optimiser.state_dict()["state"].items():
            for name, value in values.items():
                tensors[f"optimiser.{key}.{index}.{name}"] = torch.as_tensor(value)
    # Clones: two names of one tensor (a network shared by two entries) cannot be written otherwise.
    owned = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    name = f"{step}.{_TENSORS}"
    replace(folder / name, owned)
    replace(folder / _STATE, json.dumps({"step": step, "tensors": name, **asdict(record)}, indent=1))
    for old in folder.glob(f"*.{_TENSORS}"):
        if old.name != name:
            old.unlink()


def load(
    folder: Path, networks: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], record: Record
) -> int:
    """Set networks and optimisers to what was saved in `folder`; return the steps done, 0 without a save.

    A checkpoint without settings, of an earlier version, is taken to be of these; the log says so.

    Raises:
        WrongOptions: It was made with other settings than those of `record`, or of other networks.
    """
    if not (folder / _STATE).is_file():
        return 0
    state: dict[str, Any] = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    done = int(state["step"])
    if "settings" in state:
        refuse_other(Record(state["settings"], state["phase_starts"]), record, done, folder)
    else:
        log.warning("%s does not say which settings it was made with; taken to be these", folder / _STATE)
    tensors = load_file(folder / state["tensors"])
    for key, network in networks.items():
        try:
            network.load_state_dict(_part(tensors, f"network.{key}."))
        except RuntimeError as error:
            raise WrongOptions(
                f"{folder} holds a training of another network ({key}: {first_misfit(error)}); give another "
                "folder as work, or the settings it was begun with"
            ) from error
    for key, optimiser in optimisers.items():
        saved: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _part(tensors, f"optimiser.{key}.").items():
            index, entry = name.split(".", 1)
            saved.setdefault(int(index), {})[entry] = tensor
        optimiser.load_state_dict(optimiser.state_dict() | {"state": saved})
    return done


def steps_done(folder: Path) -> int:
    """Steps done when the last checkpoint was saved in a folder; 0 without one."""
    if not (folder / _STATE).is_file():
        return 0
    return int(json.loads((folder / _STATE).read_text(encoding="utf-8"))["step"])


def weights_of(folder: Path, key: str) -> tuple[int, dict[str, Tensor]] | None:
    """Steps done and the weights of one network, as they were last saved; None without a save."""
    if not (folder / _STATE).is_file():
        return None
    state: dict[str, Any] = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    return int(state["step"]), _part(load_file(folder / state["tensors"]), f"network.{key}.")


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def replace(path: Path, content: str | Mapping[str, Tensor]) -> None:
    """Write a file of text or tensors at once: an interruption leaves what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    if isinstance(content, str):
        partial.write_text(content, encoding="utf-8")
    else:
        save_file(dict(content), partial)
    os.replace(partial, path)
