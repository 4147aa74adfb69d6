"""The classifier's network: maps of scores, probabilities, and that backends give the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from streamfx.engine.families.classifier import HEADS, STRIDE, Classifier, probabilities
from streamfx.engine.families.warp_mask import affine
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Matrix
from tests.networks import compiled


def network(detail: bool = True) -> Classifier:
    torch.manual_seed(3)
    return Classifier(3, width=4, detail=detail).eval()


def picture(height: int = 32, width: int = 48) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(16, 16), (48, 80)])
def test_there_is_a_score_for_each_class_at_every_square_of_sixteen_pixels(size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert network().scores_of(picture(*size)).shape == (1, 3, size[0] // 16, size[1] // 16)


def test_planes_get_the_scores_of_their_rgb_picture() -> None:
    colour = Colour(Matrix.SMPTE170M, CodeRange.LIMITED)
    to_rgb, from_rgb = (torch.from_numpy(m).float() for m in (code_to_rgb(colour, 8), rgb_to_code(colour, 8)))
    made = network()
    with torch.no_grad():
        found = made(affine(picture(), from_rgb), to_rgb, from_rgb, torch.tensor([1.0]))
        np.testing.assert_allclose(found, made.scores_of(picture()), atol=1e-4)


def test_probabilities_are_the_softmax_of_mean_scores() -> None:
    scores = torch.tensor([[[[0.0, 2.0]], [[1.0, 1.0]], [[-3.0, 3.0]]]])
    third = np.exp([1.0, 1.0, 0.0])
    np.testing.assert_allclose(probabilities(scores)[0], third / third.sum(), rtol=1e-5)


def test_openvino_gives_the_scores_of_the_reference_at_any_size(tmp_path: Path) -> None:
    made = network()
    fields = {
        "family": "classifier",
        "options": {"classes": 3, "width": 4, "detail": True},
        "stride": STRIDE,
        "heads": list(HEADS),
        "classes": ["poor", "medium", "good"],
    }
    engine = compiled(tmp_path, made, fields)
    eye = torch.eye(3, 4)
    for size in ((48, 64), (16, 32)):
        with torch.no_grad():
            expected = made(picture(*size), eye, eye, torch.tensor([1.0]))[0].numpy()
        found = engine(picture(*size)[0].numpy(), eye.numpy(), eye.numpy(), 1.0)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-4)
