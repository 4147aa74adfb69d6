"""No training leaves a tensor behind: everything a step computes happens on the device of the recipe.

The device is torch's "meta", which computes shapes only and therefore is on every machine. As a GPU does, it
refuses most operations between its tensors and the processor's; what it lets pass is watched here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.training import (
    test_classify,
    test_convert_sr,
    test_distil,
    test_paired,
    test_restore,
    test_style,
    test_super_resolution,
    test_unpaired,
)
from training import classify, convert_sr, distil, paired, restore, style, super_resolution, unpaired
from training.classify_examples import open_examples
from training.classify_options import ClassifyOptions
from training.loop import LoopOptions
from training.paired_options import PairedOptions
from training.restore_options import RestoreOptions
from training.unpaired_options import UnpairedOptions

DEVICE = "meta"
# The processor's indices may choose among a GPU's values, and its values may be copied there.
MAY_MEET = {torch.ops.aten.index.Tensor, torch.ops.aten.copy_.default}
COLOURS = (3, 3, 1, 1)  # weights of a change of colours, which is exact in float32 only


class OneDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails where tensors of two devices meet and, once steps have begun, where a convolution is not on the
    device, or not in the precision of the recipe."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.begun = False
        self.precise = self.convolutions = 0

    def begin(self, *_: object) -> int:
        self.begun = True
        return 0

    @contextmanager
    def precision(self) -> Iterator[None]:
        self.precise += 1
        yield
        self.precise -= 1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.dim()]
        devices = {tensor.device.type for tensor in tensors}
        assert len(devices) < 2 or func in MAY_MEET, f"{func} of tensors on {devices}"
        if self.begun and func is torch.ops.aten.convolution.default:
            assert devices == {DEVICE}, f"{func} on {devices}"
            assert self.precise or args[1].shape == COLOURS, f"{func} outside of the recipe's precision"
            self.convolutions += 1
        return func(*args, **(kwargs or {}))


def elsewhere(options: Any) -> Any:
    """The options with the loop on the device."""
    return options.model_copy(update={"loop": options.loop.model_copy(update={"device": DEVICE})})


def style_training(folder: Path) -> None:
    style.train(elsewhere(test_style.toy_options(folder, released_steps=1, batch=1)))


def style_of_planes_training(folder: Path) -> None:
    network = {"family": "yuv_style", "luma_width": 4, "chroma_width": 4}
    options = {"released_steps": 0, "translation_factors": {2.0: 1.0}, "weight_bias_weight": 0.1, "batch": 1}
    style.train(elsewhere(test_style.toy_options(folder, network=network, **options)))


def distil_training(folder: Path) -> None:
    options = elsewhere(test_distil.toy_options(folder, steps=1))
    distil.distil(options, distil.read_teacher(options)[1])


def convert_sr_training(folder: Path) -> None:
    convert_sr.train(elsewhere(test_convert_sr.toy_options(folder, steps=1)))


def upscale_training(folder: Path) -> None:
    super_resolution.train(
        elsewhere(test_super_resolution.toy_options(folder, distortion_steps=1, perception_steps=1))
    )


def restore_training(folder: Path) -> None:
    restore.train(elsewhere(RestoreOptions.model_validate(test_restore.toy(folder, steps=1, joint_steps=1))))


def paired_training(folder: Path) -> None:
    paired.train(
        elsewhere(PairedOptions.model_validate(test_paired.toy_values(folder, steps=1, adversarial_from=0)))
    )


def unpaired_training(folder: Path) -> None:
    unpaired.train(elsewhere(UnpairedOptions.model_validate(test_unpaired.toy_values(folder, steps=1))))


def domain_training(folder: Path) -> None:
    options = elsewhere(ClassifyOptions.model_validate(test_classify.domains(folder, steps=1)))
    with closing(open_examples(options)) as examples:
        classify.train(options, examples)


def quality_training(folder: Path) -> None:
    options = elsewhere(ClassifyOptions.model_validate(test_classify.quality(folder, steps=1)))
    with closing(open_examples(options)) as examples:
        classify.train(options, examples)


@pytest.mark.parametrize(
    "training",
    [
        style_training,
        style_of_planes_training,
        distil_training,
        convert_sr_training,
        upscale_training,
        restore_training,
        paired_training,
        unpaired_training,
        domain_training,
        quality_training,
    ],
)
def test_a_training_computes_on_its_device_in_its_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, training: Callable[[Path], None]
) -> None:
    watch = OneDevice()
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (96,))
    monkeypatch.setattr("training.style.STYLE_SHORT_SIDE", 72)
    monkeypatch.setattr(LoopOptions, "precision", lambda _: watch.precision())
    # There are no values, only shapes: none to say, and none to keep.
    monkeypatch.setattr(Tensor, "item", lambda _: 1.0)
    monkeypatch.setattr("training.checkpoint.save", lambda *_: None)
    monkeypatch.setattr("training.checkpoint.load", watch.begin)
    with watch:
        training(tmp_path)
    assert watch.convolutions
