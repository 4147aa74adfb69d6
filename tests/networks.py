"""A network of any family as an engine, compiled, for tests that compare backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from streamfx.backends.backend import CompileOptions, Precision
from streamfx.backends.openvino import OpenVinoBackend, OpenVinoEngine
from streamfx.engine.families.classifier import Classifier
from training.export import export, golden


def compiled(folder: Path, network: nn.Module, fields: dict[str, Any]) -> OpenVinoEngine:
    """The network in OpenVINO, float32, checked against its golden frame."""
    described = {
        "version": "1.0",
        "source_domain": "photo",
        "target_domain": "photo",
        "licence": "Apache-2.0",
        "factors": [1.0, 2.0],
        **fields,
    }
    engine = export(network, folder / "tiny", described, golden(network, factor=2.0), "# tiny\n", graph=False)
    return OpenVinoBackend().compile(engine, CompileOptions(Precision.F32, threads=1))


def constant_classifier(best: int, classes: int = 3) -> Classifier:
    """A classifier that takes every picture for the same class."""
    network = Classifier(classes, width=2)
    with torch.no_grad():
        network.scores.weight.zero_()
        assert network.scores.bias is not None
        network.scores.bias.copy_(2 * torch.eye(classes)[best])
    return network
