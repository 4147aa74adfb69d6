"""An engine folder from trained weights: weights, description, golden frame, card and sheet.

The folder's format is the runtime's (`streamfx/engine/folder.py`); this module fills it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfx.backends.openvino_graph import pack, unpack
from streamfx.backends.openvino_model import convert
from streamfx.backends.openvino_passes import Ranges
from streamfx.engine.families import warp_mask, yuv_style
from streamfx.engine.families.warp_mask import WarpMask, affine
from streamfx.engine.folder import GRAPH, SHEET, WEIGHTS, Engine, read_card, read_engine, write_engine
from streamfx.engine.golden import Golden
from training.fused import FROM_YUV, TO_YUV, reduce, with_fine_luma
from training.options import DistilOptions, NetworkOptions, StyleOptions, YuvNetworkOptions

GOLDEN_SIZE = (48, 64)
STRENGTH = {"strength": {"low": 0.0, "high": 1.0, "default": 1.0}}


def weights(network: nn.Module) -> dict[str, Tensor]:
    """Weights to ship, float32, on the CPU."""
    return {name: tensor.detach().float().cpu().contiguous() for name, tensor in network.state_dict().items()}


def code_matrices() -> tuple[Tensor, Tensor]:
    """Affine matrices 34 of the golden frame: 8-bit full-range BT.709 codes to RGB in [0, 1], and back."""
    offset = torch.tensor([0.0, 128.0, 128.0])
    back = torch.cat([TO_YUV * 255, offset[:, None]], dim=1)
    forth = torch.cat([FROM_YUV / 255, -(FROM_YUV / 255) @ offset[:, None]], dim=1)
    return forth, back


def golden(
    network: nn.Module,
    seed: int = 11,
    factor: float = 4.0,
    *,
    noise_channels: int = 0,
    fine_luma: int = 0,
    layout: str = "planes",
    size: tuple[int, int] = GOLDEN_SIZE,
    grain: float = 0.0,
) -> Golden:
    """A small smooth input with edges, and the heads that the network gives for it on the reference backend.

    Args:
        network: Network of any family.
        seed: Seed of the picture, and of the noise.
        factor: Factor that the network is told.
        noise_channels: Number of channels of noise after the planes.
        fine_luma: Ratio, each way, of the luma that comes after the planes to them; 0: none.
        layout: "planes", or "i420" for a network that works on the decoder's planes.
        size: Height and width of the picture, multiples of the family's stride.
        grain: Deviation of noise in the picture, of full scale 1; for networks that leave good ones alone.
    """
    if fine_luma:
        size = (fine_luma * size[0], fine_luma * size[1])
    height, width = size
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 8, generator=random)
    rgb = functional.interpolate(coarse, size=size, mode="bicubic", align_corners=False).clamp(0, 1)
    rgb[..., height // 4 : height // 2, width // 4 : width // 2] = 1 - rgb[..., : height // 4, : width // 4]
    to_rgb, from_rgb = code_matrices()
    if grain:
        rgb = (rgb + grain * torch.randn(rgb.shape, generator=random)).clamp(0, 1)
    planes = affine(rgb, from_rgb)
    if layout == "i420":
        chroma = functional.avg_pool2d(planes[:, 1:], 2).reshape(1, 1, height // 2, width)
        planes = torch.cat([planes[:, :1], chroma], dim=2)
    if fine_luma:
        planes = with_fine_luma(planes, reduce(planes, fine_luma))
        height, width = planes.shape[2:]
    noise = torch.randn(1, noise_channels, height, width, generator=random)
    seen = torch.cat([planes, noise], dim=1) if noise_channels else planes
    with torch.no_grad():
        heads = network.cpu().eval()(seen, to_rgb, from_rgb, torch.tensor([factor]))
    return Golden(seen[0].numpy(), to_rgb.numpy(), from_rgb.numpy(), factor, heads[0].numpy())


def export(
    network: nn.Module,
    out: Path,
    fields: Mapping[str, Any],
    frame: Golden,
    card: str,
    sheet: bytes | None = None,
    *,
    graph: bool = True,
) -> Engine:
    """Write the engine folder `out` and return it as read back and verified.

    Args:
        network: Network with the trained weights.
        out: Folder to write.
        fields: Fields of engine.yaml; format, name (that of the folder), strength among the controls and the
            hashes are filled in where they are missing.
        frame: Golden frame, which `golden` computes.
        card: Markdown.
        sheet: JPEG file.
        graph: Whether what OpenVINO runs goes into it, so that running it needs no torch.

    Raises:
        BackendUnavailableError: OpenVINO is missing, or lacks what the network needs.
    """
    spec = {"format": 1, "name": out.name, "controls": STRENGTH, **fields}
    data = safetensors.torch.save(weights(network))
    engine = write_engine(out, spec, weights=data, golden=frame, card=card, sheet=sheet)
    return add_graph(out) if graph else engine


def golden_of(network: nn.Module, fields: Mapping[str, Any]) -> Golden:
    """The golden input and heads of an engine that repaints, for what its fields say that it sees."""
    return golden(network, layout=fields.get("layout", "planes"), fine_luma=fields.get("fine_luma", 0))


def network_fields(
    network: NetworkOptions | YuvNetworkOptions,
    *,
    version: str,
    domains: tuple[str, str],
    licence: str,
    factors: Collection[float],
    max_displacement_pixels: float = 0.0,
    memory_tolerance: float = 0.0,
) -> dict[str, Any]:
    """Fields of engine.yaml of an engine that repaints; `domains` are those of source and target, `factors`
    those that it was trained at: no others are offered."""
    common = {
        "version": version,
        "family": network.family,
        "options": network.arguments,
        "source_domain": domains[0],
        "target_domain": domains[1],
        "licence": licence,
        "factors": sorted(factors),
    }
    if isinstance(network, YuvNetworkOptions):
        heads = {"stride": yuv_style.STRIDE, "heads": list(yuv_style.HEADS), "layout": network.layout}
        return common | heads | ({"format": 4} if network.own else {})
    return common | {
        "format": 3 if memory_tolerance else 2 if network.ink or network.fine or network.dilated else 1,
        "stride": warp_mask.STRIDE,
        "heads": [*warp_mask.HEADS, *["ink"] * network.ink],
        "fine_luma": warp_mask.FINE * network.fine,
        "max_displacement_pixels": max_displacement_pixels,
        "memory_tolerance": memory_tolerance,
    }


def style_fields(options: StyleOptions) -> dict[str, Any]:
    """Fields of engine.yaml of an engine trained on a style picture."""
    return {"name": options.out.name} | network_fields(
        options.network,
        version=options.version,
        domains=("photo", options.target_domain),
        licence=options.licence,
        factors=options.trained_factors,
        max_displacement_pixels=options.max_displacement_pixels,
    )


def export_distilled(network: WarpMask, teacher: Engine, options: DistilOptions, card: str) -> Engine:
    """Write the engine folder of a network distilled from `teacher` and return it as read back."""
    fields = teacher.spec.model_dump() | {
        "name": options.out.name,
        "version": options.version or teacher.spec.version,
        "options": options.network.model_dump(exclude={"family"}),
        "factors": sorted(options.factors),
    }
    return export(network, options.out, fields, golden_of(network, fields), card)


def document(folder: Path, card: str, sheet: bytes | None) -> Engine:
    """Give an engine folder a new card and sheet, everything else as it is."""
    engine = read_engine(folder)
    return _rewritten(engine, card, sheet, engine.file(GRAPH))


def add_graph(folder: Path) -> Engine:
    """Put the network as OpenVINO runs it into an engine folder, so that running it needs no torch.

    Raises:
        BackendUnavailableError: OpenVINO is missing, or lacks what the network needs.
    """
    engine = read_engine(folder)
    graph = pack(convert(engine), (folder / WEIGHTS).read_bytes())
    return _rewritten(engine, read_card(folder), engine.file(SHEET), graph)


def with_ranges(
    folder: Path,
    ranges: Ranges,
    card: str | None = None,
    version: str | None = None,
    out: Path | None = None,
) -> Engine:
    """Put ranges of what flows between layers into the graph of an engine folder, or of a copy of it.

    Args:
        folder: Engine folder that has a graph.
        ranges: Lowest and highest value of each flow, by its name in the graph.
        card: New card; None: the one it has.
        version: New version; None: the one it has.
        out: Folder of the copy, of the same name; None: the folder itself.
    """
    engine = read_engine(folder)
    graph, data = engine.file(GRAPH), (folder / WEIGHTS).read_bytes()
    if graph is None:
        raise ValueError(f"{folder} has no graph to put ranges into")
    return _rewritten(
        engine,
        read_card(folder) if card is None else card,
        engine.file(SHEET),
        pack(unpack(graph, data), data, ranges),
        version=version,
        out=out,
    )


def _rewritten(
    engine: Engine,
    card: str,
    sheet: bytes | None,
    graph: bytes | None,
    *,
    version: str | None = None,
    out: Path | None = None,
) -> Engine:
    """The same network in the same folder, or in another one, with what else is in there."""
    return write_engine(
        out or engine.folder,
        engine.spec if version is None else engine.spec.model_copy(update={"version": version}),
        weights=(engine.folder / WEIGHTS).read_bytes(),
        golden=engine.golden,
        card=card,
        sheet=sheet,
        graph=graph,
    )
