"""How weights that belong to several factors start, and learn together."""

from __future__ import annotations

import torch

from streamfx.engine.families.warp_mask import WarpMask
from training.anchors import forget_detail, spread, tie, wake


def step(network: WarpMask, factor: float) -> None:
    """One step of plain descent on pictures at one factor."""
    rgb = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(4))
    loss = network.translate(rgb, torch.tensor([factor])).square().mean()
    network.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.optim.SGD(network.parameters(), lr=0.1).step()


def test_tied_factors_learn_the_same_and_released_ones_their_own() -> None:
    torch.manual_seed(2)
    network = WarpMask(stem=4, width=8, blocks=1)
    tied = tie(network)
    start = network.heads.weight.detach().clone()
    step(network, 2.0)
    weight_A = network.heads.weight
    assert not torch.equal(weight_A, start)
    assert torch.equal(weight_A[0], weight_A[1])
    assert torch.equal(weight_A[1], weight_A[2])
    tied.on = False
    step(network, 2.0)
    assert torch.equal(weight_A[0], weight_A[2])
    assert not torch.equal(weight_A[0], weight_A[1])


def test_features_of_a_woken_network_do_not_fade() -> None:
    torch.manual_seed(2)
    asleep, awake = WarpMask(stem=16, width=32, blocks=3), WarpMask(stem=16, width=32, blocks=3)
    wake(awake)
    seen: dict[str, float] = {}
    for name, network in (("asleep", asleep), ("awake", awake)):
        network.narrow.register_forward_hook(
            lambda _, inputs, __, name=name: seen.update({name: inputs[0].detach().std().item()})
        )
        network.translate(torch.rand(1, 3, 32, 32), torch.tensor([1.0]))
    assert seen["asleep"] < 0.1 < 0.2 < seen["awake"] < 2


def test_spread_weights_are_those_of_factor_one_without_detail() -> None:
    torch.manual_seed(2)
    network = WarpMask(stem=4, width=8, blocks=1)
    with torch.no_grad():
        for values_A in network.parameters():
            values_A.copy_(torch.rand_like(values_A))
    rgb, factors = torch.rand(1, 3, 16, 16), (torch.tensor([1.0]), torch.tensor([4.0]))
    before = network.translate(rgb, factors[0])
    spread(network)
    forget_detail(network)
    one, four = (network.translate(rgb, factor) for factor in factors)
    assert torch.equal(one, four)
    assert torch.allclose(one[:, :6], before[:, :6])
    assert not one[:, 6].any()
