"""The training loop: rates, resuming, terms that are not finite."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.training.interruption import Interruption, interrupt_after
from training.loop import LoopOptions, correct, rate_share, run

OPTIONS = LoopOptions(learning_rate=0.1, warm_up_steps=2, checkpoint_every=2, bfloat16=False, threads=1)


class Two:
    """Two networks with an optimiser each, corrected in turn."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.networks = {"one": nn.Linear(3, 2), "other": nn.Linear(2, 1)}
        self.optimisers: Mapping[str, torch.optim.Optimizer] = {
            "one": torch.optim.Adam(self.networks["one"].parameters(), lr=0.1),
            "other": torch.optim.SGD(self.networks["other"].parameters(), lr=0.2, momentum=0.9),
        }

    def step(self, number: int) -> dict[str, float]:
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(number))
        ahead = self.networks["other"](self.networks["one"](x))
        terms = correct(self.optimisers["one"], {"near": ahead.square().mean()})
        back = self.networks["other"](self.networks["one"](x).detach())
        return terms | correct(self.optimisers["other"], {"far": (back - 1).square().mean()})


class Interrupted(Two):
    """The same, to which Ctrl-C comes in the middle of steps."""

    def __init__(self, at: tuple[int, ...]) -> None:
        super().__init__()
        self.at, self.steps = at, 0

    def step(self, number: int) -> dict[str, float]:
        for _ in range(self.at.count(number)):
            signal.raise_signal(signal.SIGINT)
        terms = super().step(number)
        self.steps += 1
        return terms


def weights(trainee: Two) -> list[torch.Tensor]:
    return [tensor for network in trainee.networks.values() for tensor in network.state_dict().values()]


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, begun, resumed = Two(), Two(), Two()
    run(whole, OPTIONS, 7, tmp_path / "whole", recipe=OPTIONS, phase_starts=(0, 3))

    with pytest.raises(Interruption):
        run(
            begun,
            OPTIONS,
            7,
            tmp_path / "parts",
            recipe=OPTIONS,
            phase_starts=(0, 3),
            on_step=interrupt_after(5),
        )
    run(resumed, OPTIONS, 7, tmp_path / "parts", recipe=OPTIONS, phase_starts=(0, 3))
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(whole), weights(begun), strict=True))
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) == 1


def test_ctrl_c_keeps_the_step_at_work_and_a_second_one_stops_at_once(tmp_path: Path) -> None:
    whole, stopped, resumed = Two(), Interrupted(at=(4,)), Two()
    often = OPTIONS.model_copy(update={"checkpoint_every": 100})
    run(whole, often, 7, tmp_path / "whole", recipe=OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, often, 7, tmp_path / "parts", recipe=OPTIONS)
    assert stopped.steps == 5
    run(resumed, often, 7, tmp_path / "parts", recipe=OPTIONS)
    assert all(map(torch.equal, weights(whole), weights(resumed)))
    twice = Interrupted(at=(4, 4))
    with pytest.raises(KeyboardInterrupt):
        run(twice, often, 7, tmp_path / "twice", recipe=OPTIONS)
    assert twice.steps == 4
    assert not list((tmp_path / "twice").glob("*.safetensors"))


def test_each_optimiser_keeps_its_own_rate_times_the_schedule(tmp_path: Path) -> None:
    trainee = Two()
    run(trainee, OPTIONS, 1, tmp_path, recipe=OPTIONS)
    rates = {name: each.param_groups[0]["lr"] for name, each in trainee.optimisers.items()}
    assert rates == pytest.approx({"one": 0.05, "other": 0.1})


def test_every_term_of_every_step_is_logged(tmp_path: Path) -> None:
    run(Two(), OPTIONS, 3, tmp_path, recipe=OPTIONS)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all({"near", "far"} <= line.keys() for line in lines)


def test_a_term_that_is_not_finite_ends_the_training_and_changes_nothing(tmp_path: Path) -> None:
    class Broken(Two):
        def step(self, number: int) -> dict[str, float]:
            if number == 2:
                return correct(
                    self.optimisers["one"], {"near": torch.tensor(1.0), "far": torch.tensor(torch.nan)}
                )
            return super().step(number)

    trainee = Broken()
    with pytest.raises(FloatingPointError, match="step 2: not finite: far; lower learning_rate"):
        run(trainee, OPTIONS, 4, tmp_path, recipe=OPTIONS)
    assert all(tensor.isfinite().all() for tensor in weights(trainee))


def test_the_rate_share_warms_up_and_falls() -> None:
    options = LoopOptions(warm_up_steps=10, tail=0.5)
    assert rate_share(options, 0, 100) == pytest.approx(0.1)
    assert rate_share(options, 30, 100) == 1.0
    assert rate_share(options, 75, 100) == pytest.approx(0.5)


def test_a_device_that_is_not_there_is_named_with_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert LoopOptions(device="cuda:0").device == "cuda:0"
    with pytest.raises(ValueError, match=r"cuda:1 is not there: torch .* sees 1 NVIDIA GPUs"):
        LoopOptions(device="cuda:1")
