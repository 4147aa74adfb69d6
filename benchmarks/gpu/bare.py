"""Networks of engines as backends want them, without the libraries that read engine folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from streamfx.engine.families.warp_mask import FINE, STRIDE, WarpMask
from streamfx.engine.golden import Golden
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Matrix

WEIGHTS = Path(__file__).parents[2] / "engines" / "wave" / "weights.safetensors"


@dataclass(frozen=True)
class Bare:
    """A network as backends want it, without the libraries that read engine folders."""

    model: torch.nn.Module
    golden: Golden
    name: str = "wave"
    digest: str = "bare"
    stride: int = STRIDE
    folder: Path = WEIGHTS.parent
    fine_luma: int = 0

    def input_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        height, width = (-(-side // STRIDE) * STRIDE for side in size)
        return 3 + self.fine_luma**2, height, width

    def file(self, _: str) -> bytes | None:
        return None

    def network(self) -> torch.nn.Module:
        return self.model


def bare_engine(*, tiny: bool) -> Bare:
    """Return the network of ``wave``, with random weights where safetensors is not there to read its own."""
    torch.manual_seed(0)
    model = WarpMask(stem=4, width=8, blocks=1) if tiny else WarpMask(stem=16, width=48, blocks=4)
    try:
        if not tiny:
            import safetensors.torch

            model.load_state_dict(safetensors.torch.load_file(WEIGHTS))
    except (ImportError, OSError, RuntimeError) as error:
        print(f"random weights, as those of wave cannot be read: {error}", flush=True)
    return Bare(model, golden_of(model, 0))


def inked_engine(*, tiny: bool) -> Bare:
    """Return a network with heads of ink that sees fine luma; of random weights, as they are as fast."""
    torch.manual_seed(0)
    stem, width, blocks, joined = (4, 8, 1, 32) if tiny else (32, 48, 2, 48)
    model = WarpMask(stem, width, blocks, joined, fine=True, ink=True)
    with torch.no_grad():
        for weights in model.parameters():  # to begin with there is no ink
            weights.add_(0.02 * torch.randn_like(weights))
    return Bare(model, golden_of(model, FINE), "inked", "bare inked", fine_luma=FINE)


def golden_of(model: WarpMask, fine: int) -> Golden:
    """Return the golden frame of a network, which is put into evaluation mode."""
    model = model.eval().requires_grad_(False)
    colour, random = Colour(Matrix.BT709, CodeRange.LIMITED), np.random.default_rng(0)
    parts = [random.uniform(16, 235, (3, 64, 96)), random.normal(0, 20, (fine**2, 64, 96))]
    planes = np.concatenate(parts).astype(np.float32)
    to_rgb, from_rgb = (convert(colour, 8).astype(np.float32) for convert in (code_to_rgb, rgb_to_code))
    given = [torch.from_numpy(each) for each in (planes[None], to_rgb, from_rgb)]
    heads = model(*given, torch.tensor([4.0]))[0].numpy()
    return Golden(planes, to_rgb, from_rgb, 4.0, heads)
