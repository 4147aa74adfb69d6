"""An engine folder from trained weights: weights, description, golden frame, card and sheet.

The folder's format is the runtime's (`streamfx/generate/engine.py`); this module fills it.
"""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional

from streamfx.backends.golden import Golden
from streamfx.generate.engine import WEIGHTS, Engine, read_engine, write_engine
from streamfx.generate.networks.warp_mask import HEADS, STRIDE, WarpMask, affine
from training.fused import FROM_YUV, TO_YUV
from training.options import DistilOptions, StyleOptions

FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
GOLDEN_SIZE = (48, 64)


def weights(network: WarpMask) -> dict[str, Tensor]:
    """Weights to ship, float32."""
    return {name: tensor.detach().float().contiguous() for name, tensor in network.state_dict().items()}


def code_matrices() -> tuple[Tensor, Tensor]:
    """Affine matrices 34 of the golden frame: 8-bit full-range BT.709 codes to RGB in [0, 1], and back."""
    offset = torch.tensor([0.0, 128.0, 128.0])
    back = torch.cat([TO_YUV * 255, offset[:, None]], dim=1)
    forth = torch.cat([FROM_YUV / 255, -(FROM_YUV / 255) @ offset[:, None]], dim=1)
    return forth, back


def golden(network: WarpMask, seed: int = 11, factor: float = 4.0) -> Golden:
    """A small smooth input with edges, and the heads that the network gives for it on the reference
    backend."""
    height, width = GOLDEN_SIZE
    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(seed))
    rgb = functional.interpolate(coarse, size=GOLDEN_SIZE, mode="bicubic", align_corners=False).clamp(0, 1)
    rgb[..., height // 4 : height // 2, width // 4 : width // 2] = 1 - rgb[..., : height // 4, : width // 4]
    to_rgb, from_rgb = code_matrices()
    planes = affine(rgb, from_rgb)
    with torch.no_grad():
        heads = network.eval()(planes, to_rgb, from_rgb, torch.tensor([factor]))
    return Golden(planes[0].numpy(), to_rgb.numpy(), from_rgb.numpy(), factor, heads[0].numpy())


def description(options: StyleOptions) -> dict[str, object]:
    """Fields of engine.yaml, the hashes apart."""
    return {
        "format": 1,
        "name": options.name or options.out.name,
        "version": options.version,
        "family": "warp_mask",
        "options": options.network.model_dump(),
        "stride": STRIDE,
        "factors": list(FACTORS),
        "heads": list(HEADS),
        "max_displacement_pixels": options.max_displacement_pixels,
        "source_domain": "photo",
        "target_domain": options.target_domain,
        "controls": {"strength": {"low": 0.0, "high": 1.0, "default": 1.0}},
        "licence": options.licence,
    }


def export(network: WarpMask, options: StyleOptions, card: str, sheet: Path | None = None) -> Engine:
    """Write the engine folder `options.out` and return it as read back and verified."""
    data = safetensors.torch.save(weights(network))
    picture = sheet.read_bytes() if sheet is not None and sheet.is_file() else None
    return write_engine(
        options.out, description(options), weights=data, golden=golden(network), card=card, sheet=picture
    )


def export_distilled(network: WarpMask, teacher: Engine, options: DistilOptions, card: str) -> Engine:
    """Write the engine folder of a network distilled from `teacher` and return it as read back."""
    spec = teacher.spec.model_dump() | {
        "name": options.out.name,
        "version": options.version or teacher.spec.version,
        "options": options.network.model_dump(),
    }
    data = safetensors.torch.save(weights(network))
    return write_engine(options.out, spec, weights=data, golden=golden(network), card=card)


def document(folder: Path, card: str, sheet: bytes | None) -> Engine:
    """Give an engine folder a new card and sheet, everything else as it is."""
    engine = read_engine(folder)
    data = (folder / WEIGHTS).read_bytes()
    return write_engine(folder, engine.spec, weights=data, golden=engine.golden, card=card, sheet=sheet)
