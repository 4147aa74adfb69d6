"""Distillation: a smaller, faster network learns to give the heads of an engine (Hinton, Vinyals, Dean,
"Distilling the Knowledge in a Neural Network", 2015).

No losses on pictures are needed, so a step takes a tenth of a second on two cores: the look is the teacher's.

Legend of shapes: B pictures, S side of a picture, h x w reduced picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from streamfx.engine.families.warp_mask import WarpMask
from streamfx.engine.folder import CARD, Engine, read_engine
from streamfx.errors import EngineMismatchError
from training import loop, losses
from training.card import distilled_card
from training.export import export_distilled
from training.fused import reduce
from training.options import DistilOptions
from training.pictures import draw_factor, to_tensor
from training.pool import Pool, open_pool

log = logging.getLogger(__name__)

# What lies far outside the clamps of the fused step does not show, so it need not be learned.
_LOWEST = (-0.3, -0.3, -0.3, -0.3, -4.5, -4.5, -0.3)
_HIGHEST = (1.3, 1.3, 1.3, 1.3, 4.5, 4.5, 2.3)


def read_teacher(options: DistilOptions) -> tuple[Engine, WarpMask]:
    """The teacher and its network.

    Raises:
        EngineMismatchError: It is of another family.
    """
    engine = read_engine(options.teacher)
    network = engine.network()
    if not isinstance(network, WarpMask):
        raise EngineMismatchError(
            f"{options.teacher} is of family {engine.spec.family}; only warp_mask can be distilled"
        )
    return engine, network


def run(options: DistilOptions) -> None:
    """Train and write the engine."""
    teacher, network = read_teacher(options)
    card = (teacher.folder / CARD).read_text(encoding="utf-8")
    described = distilled_card(card, f"version {teacher.spec.version} of {teacher.name}", options)
    engine = export_distilled(distil(options, network), teacher, options, described)
    log.info("wrote engine %s to %s", engine.name, engine.folder)


def distil(
    options: DistilOptions, teacher: WarpMask, on_step: Callable[[int], None] | None = None
) -> WarpMask:
    """Network with the sizes of `options` that gives the teacher's heads, in evaluation mode; goes on from
    the checkpoint in `options.work`, if any.

    Weights that both have under the same name and in the same size start as the teacher's.
    """
    torch.manual_seed(options.loop.seed)
    network = options.network.build()
    own, given = network.state_dict(), teacher.state_dict()
    shared = {n: t for n, t in given.items() if n in own and own[n].shape == t.shape}
    network.load_state_dict(own | shared)
    with closing(_open_pool(options)) as pool:
        student = Student(options, teacher, network, pool)
        loop.run(student, options.loop, options.steps, options.work, recipe=options, on_step=on_step)
    return network


class Student:
    """The network that learns, and its teacher."""

    def __init__(self, options: DistilOptions, teacher: WarpMask, network: WarpMask, pool: Pool) -> None:
        self._options, self._pool = options, pool
        self._teacher, self._network = (part.to(options.loop.device) for part in (teacher, network))
        self._optimiser = torch.optim.Adam(network.parameters(), lr=options.loop.learning_rate)
        self.networks = {"generator": network}
        self.optimisers = {"generator": self._optimiser}

    def step(self, number: int) -> dict[str, float]:
        """Correct the network once; returns how far its heads are from the teacher's."""
        loss = _step_loss(self._options, self._teacher, self._network, self._pool, number)
        return loop.correct(self._optimiser, {"difference": loss})


def _open_pool(options: DistilOptions) -> Pool:
    return open_pool(
        options.content, options.exclude, options.crops, options.side, options.clip_share, options.loop.seed
    )


def _step_loss(options: DistilOptions, teacher: WarpMask, network: WarpMask, pool: Pool, step: int) -> Tensor:
    rng = np.random.default_rng([options.loop.seed, 4, step])
    factor = draw_factor(options.factors, rng)
    rgb_B3SS = _pictures(pool, factor, options.side, rng).to(options.loop.device)
    factor_1 = torch.tensor([factor], device=options.loop.device)
    with options.loop.precision():
        reduced_B3hw = reduce(rgb_B3SS, factor).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            wanted_B7hw = teacher.translate(reduced_B3hw, factor_1).float()
        found_B7hw = network.translate(reduced_B3hw, factor_1).float()
    return losses.same_heads(found_B7hw, wanted_B7hw, _LOWEST, _HIGHEST)


def _pictures(pool: Pool, factor: float, side: int, rng: np.random.Generator) -> Tensor:
    """Pictures B3SS for a step: more and larger ones where the network sees less of each."""
    count, share = (3, 0.5) if factor < 1.5 else (3, 0.75) if factor < 2 else (4, 1) if factor < 3 else (8, 1)
    wanted = int(side * share // (4 * factor) * (4 * factor))
    pictures = []
    for index in rng.integers(0, len(pool), count):
        picture = pool.crop(int(index)).picture
        top, left = (int(rng.integers(0, length - wanted + 1)) for length in picture.shape[:2])
        rgb_3SS = to_tensor(picture[top : top + wanted, left : left + wanted])
        pictures.append(rgb_3SS.flip(2) if rng.random() < 0.5 else rgb_3SS)
    return torch.stack(pictures)
