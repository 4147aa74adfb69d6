"""WeightsFile: weights that a training starts from; refused before the first step if they are not there."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from training.errors import WrongOptions


def _is_there(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} does not exist; give the engine's weights.safetensors")
    return path


WeightsFile = Annotated[Path, AfterValidator(_is_there)]


def start_from(network: nn.Module, path: Path, may_lack: Collection[str] = ()) -> None:
    """Set a network to the weights of a finished engine.

    Args:
        network: Network to set.
        path: weights.safetensors of the engine.
        may_lack: Names of weights that stay as they are where the engine has none of them.

    Raises:
        WrongOptions: They are those of another network, or the file holds none.
    """
    own = network.state_dict()
    try:
        given = load_file(path)
        network.load_state_dict({name: own[name] for name in may_lack if name in own} | given)
    except SafetensorError as error:
        raise WrongOptions(f"init {path} is no file of weights: {error}") from error
    except RuntimeError as error:
        raise WrongOptions(
            f"init {path} does not fit the network of these settings ({first_misfit(error)}); give `network` "
            "the options in the engine.yaml beside it, or leave out init"
        ) from error


def first_misfit(error: RuntimeError) -> str:
    """The first thing that did not fit, of what torch says of all."""
    lines = [line.strip() for line in str(error).splitlines()]
    return (lines[1] if len(lines) > 1 else lines[0]).rstrip(".")
