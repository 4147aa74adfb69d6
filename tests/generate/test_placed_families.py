"""Families whose picture takes the place of the frame's: as engines, on both backends, through the effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

import torch

from streamfx.backends.backend import CompileOptions, Precision
from streamfx.backends.eager import EagerBackend
from streamfx.backends.openvino import OpenVinoBackend
from streamfx.engine.cost import layers_of
from streamfx.engine.families.convert_sr import ConvertSr
from streamfx.engine.families.yuv_style import YuvStyle
from streamfx.engine.folder import Engine
from streamfx.generate.effect import Effect
from streamfx.generate.request import Controls
from streamfx.media.frame import Subsampling
from tests.generate.ops.test_place import make_frame
from training.export import export, golden

YUV = {"luma_width": 4, "chroma_width": 4}
CONVERT: dict[str, Any] = {
    "convert_noise": 2,
    "enlarge_noise": 1,
    "stem": 4,
    "width": 8,
    "blocks": 1,
    "enlarge_width": 4,
}
KINDS = ("planes", "i420", "convert_sr")


def make_placed(folder: Path, kind: str) -> Engine:
    torch.manual_seed(4)
    common = {"version": "1.0", "heads": ["translated"], "stride": 4, "licence": "Apache-2.0"}
    common |= {"source_domain": "photo", "target_domain": "noise", "factors": [1.0, 2.0, 3.0]}
    if kind == "convert_sr":
        network: torch.nn.Module = ConvertSr(**CONVERT)
        fields = {"family": "convert_sr", "options": CONVERT, "scale": 2, "noise_channels": 3}
        range_of_noise = {"low": 0.0, "high": 1.0, "default": 1.0}
        fields["controls"] = {"strength": range_of_noise, "noise_amplitude": range_of_noise}
        return export(
            network, folder / kind, common | fields, golden(network, noise_channels=3), "# Toy\n", graph=False
        )
    network = YuvStyle(**YUV, layout=kind)  # type: ignore[arg-type]
    fields = {"family": "yuv_style", "options": {**YUV, "layout": kind}, "layout": kind}
    return export(
        network, folder / kind, common | fields, golden(network, layout=kind), "# Toy\n", graph=False
    )


@pytest.mark.parametrize("kind", KINDS)
def test_openvino_gives_the_heads_of_the_reference_at_every_size(tmp_path: Path, kind: str) -> None:
    engine = make_placed(tmp_path, kind)
    reference = EagerBackend().compile(engine, CompileOptions())
    compiled = OpenVinoBackend().compile(engine, CompileOptions(Precision.F32, 1, 1))
    rng = np.random.default_rng(2)
    to_rgb, from_rgb = engine.golden.to_rgb, engine.golden.from_rgb
    for size in ((32, 40), (76, 60)):
        seen = rng.uniform(20, 230, engine.input_shape(size)).astype(np.float32)
        expected = reference(seen, to_rgb, from_rgb, 2.5)
        found = compiled(seen, to_rgb, from_rgb, 2.5)
        assert found.shape == expected.shape
        assert np.sqrt(np.square(found - expected).mean()) < 1e-3
    compiled.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_of_any_size_is_painted_at_every_factor(tmp_path: Path, kind: str) -> None:
    engine = make_placed(tmp_path, kind)
    compiled = EagerBackend().compile(engine, CompileOptions())
    for factor in (1.0, 2.0, 3.0):
        effect = Effect(engine, compiled, 1, None, 0, Controls(strength=1.0, factor=factor))
        frame = make_frame((46, 70), Subsampling.YUV420)
        painted = effect.process(frame)
        assert painted.size == frame.size
        assert any((now != before).any() for now, before in zip(painted.planes, frame.planes, strict=True))


def test_every_layer_of_the_families_is_counted(tmp_path: Path) -> None:
    for kind, count in (("planes", 15), ("i420", 11), ("convert_sr", 14)):
        engine = make_placed(tmp_path, kind)
        assert len(layers_of(engine.folder, engine.spec)) == count
