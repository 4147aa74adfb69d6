"""Networks of others: the one operation of theirs that is read here and not by OpenVINO."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from training.evaluation.network import JUDGES, Real, open_network, transposed_convolution


@dataclass(frozen=True)
class Node:
    """A node of a file that is read."""

    inputs: list[openvino.Output]

    def get_input(self, index: int) -> openvino.Output:
        return self.inputs[index]


def enlarged(values_BHWC: Real, kernel_OHWI: Real, bias_O: Real) -> Real:
    """What the operation gives."""
    given = ops.parameter(list(values_BHWC.shape), np.float32)
    constants = [ops.constant(values).output(0) for values in (kernel_OHWI, bias_O)]
    model = openvino.Model(transposed_convolution(Node([given.output(0), *constants])), [given])
    return np.asarray(openvino.compile_model(model, "CPU")([values_BHWC])[0], np.float32)


def test_each_value_becomes_a_square_of_its_weights_and_the_bias() -> None:
    values_BHWC = np.array([[[[1, 10], [2, 20]]]], np.float32)
    kernel_OHWI = np.array([[[[1, 0], [0, 1]], [[0, 2], [3, 0]]]], np.float32)
    found_BHWC = enlarged(values_BHWC, kernel_OHWI, np.array([0.5], np.float32))
    assert found_BHWC[0, ..., 0].tolist() == [[1.5, 10.5, 2.5, 20.5], [20.5, 3.5, 40.5, 6.5]]


def test_a_kernel_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a kernel \[1, 3, 3, 2\]: only 2 x 2 is read"):
        enlarged(np.ones((1, 1, 2, 2), np.float32), np.ones((1, 3, 3, 2), np.float32), np.ones(1, np.float32))


def test_the_network_that_finds_people_gives_a_share_for_each_pixel_that_it_sees() -> None:
    (mask_BHWC,) = open_network(JUDGES / "selfie_segmentation.tflite")(np.zeros((1, 256, 256, 3), np.float32))
    assert mask_BHWC.shape == (1, 256, 256, 1)
    assert 0 <= mask_BHWC.min() <= mask_BHWC.max() <= 1
