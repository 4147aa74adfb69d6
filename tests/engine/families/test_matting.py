"""The family matting: it is MediaPipe's network, sees pictures of any size, and folds the colours in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from streamfx.engine.families.matting import STRIDE, Matting
from streamfx.engine.families.warp_mask import affine
from training.evaluation.network import JUDGES, open_network
from training.export import code_matrices
from training.matting_start import start_from_mediapipe

SEGMENTER = JUDGES / "selfie_segmentation.tflite"
ROWS = torch.eye(3, 4)
FACTOR = torch.tensor([4.0])


@pytest.fixture(scope="module")
def network() -> Matting:
    """MediaPipe's weights."""
    torch.manual_seed(7)
    started = Matting()
    start_from_mediapipe(started, SEGMENTER)
    return started.eval()


def picture(height: int, width: int) -> Tensor:
    """A smooth picture of many colours."""
    coarse = torch.rand(1, 3, 9, 12, generator=torch.Generator().manual_seed(3))
    return functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


@torch.no_grad()
def heads_of(network: Matting, rgb_B3HW: Tensor) -> Tensor:
    found: Tensor = network(rgb_B3HW, ROWS, ROWS, FACTOR)
    return found


def test_with_the_weights_of_mediapipe_it_gives_what_their_network_gives(network: Matting) -> None:
    rgb_13HW = picture(256, 256)
    (theirs,) = open_network(SEGMENTER)(rgb_13HW.permute(0, 2, 3, 1).contiguous().numpy())
    ours = torch.sigmoid(4 * (heads_of(network, rgb_13HW)[0, 0] - 0.5)).numpy()
    assert np.ptp(theirs) > 0.5  # it sees somebody there and nobody elsewhere, or the test says little
    assert np.abs(ours - theirs[0, ..., 0]).max() < 1e-3


def test_the_heads_are_as_large_as_the_picture_whatever_multiple_of_the_stride_it_is(
    network: Matting,
) -> None:
    for size in ((STRIDE, STRIDE), (144, 256), (192, 80)):
        assert heads_of(network, picture(*size)).shape == (1, 3, *size)


def test_code_values_with_their_matrices_give_the_person_that_rgb_gives(network: Matting) -> None:
    rgb_13HW, (to_rgb_34, from_rgb_34) = picture(64, 96), code_matrices()
    with torch.no_grad():
        from_codes = network(affine(rgb_13HW, from_rgb_34), to_rgb_34, from_rgb_34, FACTOR)
    assert torch.allclose(from_codes[:, 0], heads_of(network, rgb_13HW)[:, 0], atol=1e-3)


def test_slopes_begin_at_zero_and_are_per_code_value() -> None:
    torch.manual_seed(7)
    network = Matting().eval()
    rgb_13HW, (to_rgb_34, from_rgb_34) = picture(32, 32), code_matrices()
    assert not heads_of(network, rgb_13HW)[:, 1:].any()
    torch.nn.init.normal_(network.slopes.weight)
    with torch.no_grad():
        from_codes = network(affine(rgb_13HW, from_rgb_34), to_rgb_34, from_rgb_34, FACTOR)
    slopes = heads_of(network, rgb_13HW)[:, 1:]
    assert slopes.abs().max() > 0.1
    assert torch.allclose(from_codes[:, 1:], slopes / 255, atol=1e-4)


def test_without_detail_the_slopes_stay_zero() -> None:
    network = Matting(detail=False).eval()
    torch.nn.init.normal_(network.slopes.weight)
    assert not heads_of(network, picture(32, 48))[:, 1:].any()


def test_another_network_is_no_start() -> None:
    with pytest.raises(ValueError, match="does not hold MediaPipe's network for people"):
        start_from_mediapipe(Matting(), JUDGES / "face_detection_short_range.tflite")
