"""Warped: training on pairs whose partner is the picture itself, warped by a field that is known.

The displacement head is told the field itself besides the warped picture: differences of colours lead to it
only where there is an edge within a pixel or two. The mask stays 0, so that the source shows everywhere and
displacement carries the whole effect. The translated picture, which therefore nobody sees, is told where
something moves and how much it grows there: easier to learn than which way, of no matter how large a face,
and what features the displacement needs (Caruana, "Multitask Learning", 1997).

A pair has nine channels: RGB of the source and of its partner, then the field as numbers of twelve bits: the
upper eight of x, those of y, the lower four of x and of y.

Legend of shapes: B pairs, S side of a square, s reduced side, K heads.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor
from torch.nn import functional

from streamfx.engine.families.warp_mask import WarpMask
from training.fused import TO_YUV, heads_of, recolour, reduce
from training.operators.bulges import Field as Displacements
from training.picture_store import PictureStore
from training.pictures import CLIPS, Picture, find_stills

_MIDDLE = 1 << 11  # the number that stands for 0
_STEPS = 32  # of a number to a pixel
MOST_PIXELS = _MIDDLE // _STEPS
_LARGE = 2.0  # difference from which on it counts less, in reduced pixels
_KEPT_BYTES = 256 << 20
_TRANSLATED, _DISPLACEMENT = slice(0, 12), slice(16, 24)  # among the channels before the pixel shuffle


class WarpedOptions(BaseModel):
    """Settings of trainings on warped pictures of people, section `warped` of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: list[Path] = Field(
        min_length=1, description="pictures and clips with people; held-out ones must not be among them"
    )
    people_share: float = Field(default=0.85, gt=0, le=1, description="share of squares with people in them")
    clip_share: float = Field(default=0.25, ge=0, le=1, description="share of people who come from clips")
    lowest: int = Field(default=32, ge=16, description="height of the smallest faces, in pixels")
    highest: int = Field(default=400, ge=16, description="height of the largest ones")
    field_weight: float = Field(default=5.0, ge=0, description="weight of the difference to the known field")
    hint_weight: float = Field(
        default=1.0,
        ge=0,
        description="weight of what the translated picture, which does not show, is told of faces",
    )
    inside: float = Field(
        default=4.0, ge=1, description="weight of a difference inside a face, over that outside"
    )
    fused_every: int = Field(
        default=4,
        ge=1,
        description="steps from one that sees the fused output to the next; others see the heads",
    )

    @field_validator("people")
    @classmethod
    def _are_there(cls, people: list[Path]) -> list[Path]:
        if missing := [str(path) for path in people if not path.is_file()]:
            raise ValueError(f"do not exist: {', '.join(missing)}")
        return people


def open_people(options: WarpedOptions) -> PictureStore:
    """The pictures of people. Close it after use.

    Raises:
        ValueError: One of them is held out.
    """
    clips = [path for path in options.people if path.suffix.lower() in CLIPS]
    wanted = set(options.people) - set(clips)
    stills = [
        still for still in find_stills(sorted({path.parent for path in wanted})) if still.path in wanted
    ]
    if held_out := [str(still.path) for still in stills if still.held_out]:
        raise ValueError(f"held out, so not to be trained on: {', '.join(held_out)}")
    return PictureStore(stills, clips, _KEPT_BYTES)


def encoded(field_SS2: Displacements) -> Picture:
    """Field in pixels as the last three channels of a pair, SS3.

    Raises:
        ValueError: It moves something by `MOST_PIXELS` or more.
    """
    codes_SS2 = (field_SS2 * _STEPS).round().astype(np.int64) + _MIDDLE
    if codes_SS2.min() < 1 or codes_SS2.max() >= 2 * _MIDDLE:
        most = float(np.abs(field_SS2).max())
        raise ValueError(f"a displacement of {most:.1f} pixels; less than {MOST_PIXELS} can be kept")
    low_SS = codes_SS2[..., 0] % 16 * 16 + codes_SS2[..., 1] % 16
    return np.concatenate([codes_SS2 // 16, low_SS[..., None]], axis=2).astype(np.uint8)


def decoded(pairs_B9SS: Tensor) -> Tensor:
    """Fields B2SS of pairs with values in [0, 1], in pixels."""
    bytes_B3SS = (pairs_B9SS[:, 6:] * 255).round()
    low_B1SS = bytes_B3SS[:, 2:]
    low_B2SS = torch.cat([(low_B1SS / 16).floor(), low_B1SS.remainder(16)], dim=1)
    codes_B2SS: Tensor = 16 * bytes_B3SS[:, :2] + low_B2SS
    return (codes_B2SS - _MIDDLE) / _STEPS


def mirrored(pair: Picture) -> Picture:
    """The mirror image of a pair of six channels, or of nine, whose field then leads the other way."""
    image = pair[:, ::-1]
    if pair.shape[2] == 6:
        return image
    image = image.copy()
    high_SS, low_SS = image[..., 6].astype(np.int64), image[..., 8].astype(np.int64)
    codes_SS = 2 * _MIDDLE - (16 * high_SS + low_SS // 16)
    image[..., 6], image[..., 8] = codes_SS // 16, codes_SS % 16 * 16 + low_SS % 16
    return image


def heads(
    network: WarpMask, rgb_B3SS: Tensor, factor: float, precision: AbstractContextManager[object]
) -> Tensor:
    """Heads BKss of a network for RGB pictures in [0, 1], as `training.fused.paint` gives them: without what
    follows at full size, which takes four times as long as the network."""
    planes_B3SS = recolour(rgb_B3SS, TO_YUV)
    with precision:
        return heads_of(network, planes_B3SS, reduce(planes_B3SS, factor), factor)


def terms(pairs_B9SS: Tensor, heads_BKss: Tensor, factor: float, options: WarpedOptions) -> dict[str, Tensor]:
    """What is added to the losses."""
    wanted_B2ss = reduce(decoded(pairs_B9SS), factor) / factor
    return {
        "field": options.field_weight * field_term(heads_BKss[:, 4:6], wanted_B2ss, options.inside),
        "hints": options.hint_weight * (heads_BKss[:, :2] - hints(wanted_B2ss)).square().mean(),
    }


def hints(wanted_B2ss: Tensor) -> Tensor:
    """Where a field moves something, 0 or 1, and twice how much it scales, B2ss: its divergence, which does
    not depend on how large a face is."""
    moves_B1ss = (wanted_B2ss.abs().sum(1, keepdim=True) > 0).float()
    across_B1ss = functional.pad(wanted_B2ss[:, :1].diff(dim=3), (1, 0))
    down_B1ss = functional.pad(wanted_B2ss[:, 1:].diff(dim=2), (0, 0, 1, 0))
    return torch.cat([moves_B1ss, 2 * (across_B1ss + down_B1ss)], dim=1)


def field_term(displacement_B2ss: Tensor, wanted_B2ss: Tensor, inside: float) -> Tensor:
    """How far a displacement is from what is wanted, in reduced pixels: mean squared difference, counted
    `inside` times where the wanted one is not 0, plus four times that of the steps between pixels; scalar.

    Beyond `_LARGE` a difference counts in proportion (Huber, "Robust Estimation of a Location Parameter",
    1964). Nearer to 0 it must not: most of a picture does not move, so the median of what is unsure is 0,
    which absolute differences would keep.
    """
    difference_B2ss = displacement_B2ss - wanted_B2ss
    moves_B1ss = wanted_B2ss.abs().sum(1, keepdim=True) > 0
    size_B2ss = difference_B2ss.abs().clamp(max=_LARGE)
    squares_B2ss = size_B2ss * (2 * difference_B2ss.abs() - size_B2ss)
    steps = [difference_B2ss.diff(dim=dim).square().mean() for dim in (2, 3)]
    return (squares_B2ss * (1 + (inside - 1) * moves_B1ss)).mean() + 4 * torch.stack(steps).sum()


def only_warp(network: WarpMask) -> None:
    """Set mask, displacement and gain of a network to 0, and let only displacement and translated picture
    learn."""
    learns = torch.zeros(network.heads.bias.shape[1])
    learns[_TRANSLATED] = learns[_DISPLACEMENT] = 1
    with torch.no_grad():
        network.heads.weight.zero_()
        network.heads.bias[:, _TRANSLATED.stop :] = 0
    for values_AO in (network.heads.weight, network.heads.bias):
        share_O = learns.to(values_AO).reshape(-1, *[1] * (values_AO.dim() - 2))
        values_AO.register_hook(lambda gradient, share=share_O: gradient * share)  # type: ignore[no-untyped-call]


def forget_hints(network: WarpMask) -> None:
    """Make the translated picture, which does not show, plain grey."""
    with torch.no_grad():
        network.heads.weight[:, _TRANSLATED] = 0
        network.heads.bias[:, _TRANSLATED] = 0.5
