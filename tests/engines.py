"""A tiny engine with random weights, written in code, for tests that need one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from streamfx.engine.folder import write_engine
from streamfx.engine.golden import Array, Golden
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Matrix

Options: TypeAlias = Mapping[str, bool | int | float | str]

OPTIONS: Options = {"stem": 4, "width": 8, "blocks": 1}


def make_engine(
    folder: Path, name: str = "tiny", seed: int = 7, options: Options = OPTIONS, **described: object
) -> Path:
    """Write an engine of a few thousand random weights and return its folder, ``folder / name``.

    It repaints pictures strongly and moves them a little, so that a test sees whether it was applied.
    ``described`` replaces what its description says.
    """
    import safetensors.torch
    import torch

    from streamfx.engine.families.warp_mask import HEADS, STRIDE, WarpMask

    torch.set_num_threads(1)  # on networks this small, threads only wait for each other
    torch.manual_seed(seed)
    network = WarpMask(**options).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    spec = {
        "format": 1,
        "name": name,
        "version": "1.0",
        "family": "warp_mask",
        "options": dict(options),
        "stride": STRIDE,
        "factors": [1.0, 2.0, 4.0, 8.0],
        "heads": list(HEADS),
        "max_displacement_pixels": 8.0,
        "source_domain": "photo",
        "target_domain": "noise",
        "controls": {"strength": {"low": 0.0, "high": 1.0, "default": 1.0}},
        "licence": "Apache-2.0",
    } | described
    planes, to_rgb, from_rgb = golden_input(seed, channels=19 if network.fine else 3)
    with torch.no_grad():
        heads = network(
            torch.from_numpy(planes)[None],
            torch.from_numpy(to_rgb),
            torch.from_numpy(from_rgb),
            torch.tensor([4.0]),
        )[0].numpy()
    golden = Golden(planes, to_rgb, from_rgb, 4.0, heads)
    weights = safetensors.torch.save(network.state_dict())
    return write_engine(folder / name, spec, weights=weights, golden=golden, card="# A tiny engine\n").folder


def make_inked_engine(folder: Path, name: str = "inked", seed: int = 7, **described: object) -> Path:
    """Write an engine like that of `make_engine` with heads of ink, which sees fine luma."""
    options = {**OPTIONS, "fine": True, "ink": True}
    heads = ["translated", "mask", "displacement", "detail", "ink"]
    described = {"format": 2, "heads": heads, "fine_luma": 4} | described
    return make_engine(folder, name, seed, options, **described)


def make_classifier(folder: Path, name: str, tells: Mapping[str, Sequence[float]]) -> Path:
    """Write a classifier that goes by the mean colour, and return its folder, ``folder / name``.

    Args:
        folder: folder in which it is made.
        name: name of the engine.
        tells: weights of red, green and blue in the score of each class, and an offset.
    """
    import safetensors.torch
    import torch

    from streamfx.engine.families.build import NETWORKS
    from tests.mean_colour import MeanColour

    NETWORKS.setdefault("mean_colour", MeanColour)
    network = MeanColour(len(tells)).eval()
    with torch.no_grad():
        weights_K4 = torch.tensor(list(tells.values()))
        network.score.weight.copy_(weights_K4[:, :3, None, None])
        network.added.copy_(weights_K4[:, 3])
    planes, to_rgb, from_rgb = golden_input()
    inputs = (torch.from_numpy(planes)[None], *map(torch.from_numpy, (to_rgb, from_rgb)), torch.tensor([1.0]))
    with torch.no_grad():
        golden = Golden(planes, to_rgb, from_rgb, 1.0, network(*inputs)[0].numpy())
    spec = {
        "format": 1,
        "name": name,
        "version": "1.0",
        "family": "mean_colour",
        "options": {"classes": len(tells)},
        "stride": 16,
        "factors": [1.0],
        "heads": ["scores"],
        "classes": list(tells),
        "source_domain": "any",
        "target_domain": "none",
        "controls": {"strength": {"low": 0.0, "high": 1.0, "default": 1.0}},
        "licence": "Apache-2.0",
    }
    weights = safetensors.torch.save(network.state_dict())
    return write_engine(folder / name, spec, weights=weights, golden=golden, card="# By colour\n").folder


def golden_input(
    seed: int = 7, size: tuple[int, int] = (32, 48), channels: int = 3
) -> tuple[Array, Array, Array]:
    """Return reduced planes (3, h, w) with random blocks, or with them more channels of what may be fine
    luma, and the matrices to RGB and back, 8-bit BT.601."""
    rng = np.random.default_rng(seed)
    blocks = rng.uniform(40, 220, (3, size[0] // 8, size[1] // 8))
    fine = rng.normal(0, 20, (channels - 3, *size))
    planes = np.concatenate([blocks.repeat(8, axis=1).repeat(8, axis=2), fine]).astype(np.float32)
    colour = Colour(Matrix.SMPTE170M, CodeRange.LIMITED)
    return planes, code_to_rgb(colour, 8).astype(np.float32), rgb_to_code(colour, 8).astype(np.float32)
