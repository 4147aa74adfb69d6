"""The training loop of every generator: rates, steps, log, checkpoints.

A resumed training equals an uninterrupted one.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn
from torch.optim import Optimizer

from streamfx.pipeline.interrupts import interrupts_call
from training import checkpoint, record
from training.errors import WrongOptions

log = logging.getLogger(__name__)

_LEAST_SHARE = 0.02  # of the rate, at the end of the tail


class LoopOptions(BaseModel):
    """Settings of the loop, section `loop` of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float = Field(default=1e-3, gt=0, description="learning rate of the generator")
    warm_up_steps: int = Field(
        default=40, ge=1, description="number of steps at the start of every phase in which the rate rises"
    )
    tail: float = Field(
        default=0.5, gt=0, le=1, description="share of all steps in which the rate falls to zero"
    )
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="cpu, cuda or cuda:1")
    bfloat16: bool = Field(default=True, description="networks compute in bfloat16, weights stay float32")
    threads: int = Field(default=2, ge=1)
    seed: int = 7
    checkpoint_every: int = Field(default=50, ge=1)

    @field_validator("device")
    @classmethod
    def _is_there(cls, device: str) -> str:
        count = torch.cuda.device_count()
        if device != "cpu" and int(device.partition(":")[2] or 0) >= count:
            raise ValueError(f"{device} is not there: torch {torch.__version__} sees {count} NVIDIA GPUs")
        return device

    def precision(self) -> torch.autocast:
        """Context in which networks run."""
        return torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16)


class Trainee(Protocol):
    """What is trained: networks with their optimisers, and a step that corrects them.

    A step must take its random choices from the seed and its own number, so that these two are the state of
    all random generators. The rate of an optimiser is the one it was made with times what the schedule says.
    """

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Every network that changes, by name."""

    @property
    def optimisers(self) -> Mapping[str, Optimizer]:
        """Every optimiser, by name."""

    def step(self, number: int) -> Mapping[str, float]:
        """Correct the networks once; return every weighted term of the losses, by name."""


def run(
    trainee: Trainee,
    options: LoopOptions,
    steps: int,
    work: Path,
    *,
    recipe: BaseModel,
    phase_starts: Sequence[int] = (0,),
    on_step: Callable[[int], None] | None = None,
) -> None:
    """Train to the end; goes on from the checkpoint in `work`, if any. Networks end in evaluation mode.

    Args:
        trainee: Networks, and the step that trains them.
        options: Rates, device, checkpoints.
        steps: Number of steps of the whole training.
        work: Folder for checkpoint and log.jsonl.
        recipe: All settings, kept with the checkpoint: it goes on with the same ones only, see
            `training.record`.
        phase_starts: Steps at which the losses change: moments start anew there, and the rate warms up.
        on_step: Callback after each step, with the number of those done.

    Raises:
        WrongOptions: The checkpoint in `work` was made with other settings, or has more steps.
        FloatingPointError: A term of the loss is not finite; names step and terms.
        KeyboardInterrupt: Ctrl-C; the step that was at work is finished and kept.
    """
    torch.set_num_threads(options.threads)
    for optimiser in trainee.optimisers.values():
        for group in optimiser.param_groups:
            group.setdefault("initial_lr", group["lr"])
    made_with = record.of(recipe, phase_starts)
    done = first = checkpoint.load(work, trainee.networks, trainee.optimisers, made_with)
    _say_where(work, done, steps)
    started = time.monotonic()
    for network in trainee.networks.values():
        network.train()
    stop = _Stop()
    with interrupts_call(stop.ask):
        while done < steps:
            share = rate_share(options, done, steps, phase_starts)
            _set_rates(trainee, share, anew=done in phase_starts)
            try:
                terms = trainee.step(done)
            except FloatingPointError as error:
                raise FloatingPointError(f"step {done}: {error}; lower learning_rate") from error
            done += 1
            _report(work, done, steps, terms, (time.monotonic() - started) / (done - first))
            if done % options.checkpoint_every == 0 or done == steps or stop.asked:
                checkpoint.save(work, trainee.networks, trainee.optimisers, made_with, done)
            if on_step is not None:
                on_step(done)
            if stop.asked and done < steps:
                raise KeyboardInterrupt
    for network in trainee.networks.values():
        network.eval()


class _Stop:
    """Notes that a stop was asked for: the step at work is finished and kept; a second request stops at once.

    Attributes:
        asked: Whether a stop was asked for.
    """

    def __init__(self) -> None:
        self.asked = False

    def ask(self) -> None:
        """Ask for it."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def _set_rates(trainee: Trainee, share: float, *, anew: bool) -> None:
    """Give every optimiser its share of its rate; `anew` clears its moments."""
    for optimiser in trainee.optimisers.values():
        if anew:
            optimiser.state.clear()  # the scale of the losses changes: old moments would make huge steps
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] * share


def _say_where(work: Path, done: int, steps: int) -> None:
    if done > steps:
        raise WrongOptions(
            f"{work} holds a training of {done} steps, more than the {steps} of these settings; give another "
            "folder as work, or more steps"
        )
    if done == steps:
        log.info("all %d steps are done already, in %s: nothing is left to train", steps, work)
    elif done:
        log.info("going on from step %d of %d, in %s", done, steps, work)


def rate_share(options: LoopOptions, step: int, steps: int, phase_starts: Sequence[int] = (0,)) -> float:
    """Share of the learning rate at a step: a short warm-up in every phase, 1, then a linear tail."""
    remaining = (steps - step) / max(1, round(options.tail * steps))
    since = step - max(start for start in phase_starts if start <= step)
    return min(1.0, (since + 1) / options.warm_up_steps, max(remaining, _LEAST_SHARE))


def correct(optimiser: Optimizer, terms: Mapping[str, Tensor]) -> dict[str, float]:
    """Take one step down the gradient of the sum of the terms (scalars); return them as numbers.

    Raises:
        FloatingPointError: A term is not finite; nothing was changed.
    """
    values = {name: term.item() for name, term in terms.items()}
    if broken := [name for name, value in values.items() if not math.isfinite(value)]:
        raise FloatingPointError(f"not finite: {', '.join(broken)}")
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return values


def _report(work: Path, done: int, steps: int, terms: Mapping[str, float], seconds: float) -> None:
    """Append the step's terms to log.jsonl; say them every 20 steps."""
    work.mkdir(parents=True, exist_ok=True)
    line = {"step": done, **{name: round(value, 6) for name, value in terms.items()}}
    with (work / "log.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")
    if done % 20 == 0:
        words = " ".join(f"{name} {value:.4f}" for name, value in terms.items())
        log.info("step %d/%d %.2f s/step: %s", done, steps, seconds, words)
