from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fbcompile.torch_bridge.gates import (
    FREE_BITS_CONSTANTS,
    PAPER_CONSTANTS,
    GateBank,
    GateConstants,
    level_weights,
)

CONSTANTS = [PAPER_CONSTANTS, FREE_BITS_CONSTANTS]


def bank(phi: float, constants: GateConstants, tensors: int = 2000) -> GateBank:
    gates = GateBank([(2, 4, 8)] * tensors, constants)
    torch.nn.init.constant_(gates.phi, phi)
    return gates


@pytest.mark.parametrize("constants", CONSTANTS, ids=["paper", "free_bits"])
@pytest.mark.parametrize("phi", [-1.0, 0.5, 2.0])
def test_draws_follow_the_distribution(constants: GateConstants, phi: float) -> None:
    gates = bank(phi, constants)
    weights = torch.stack([mix.weights for mix in gates.draw(4, torch.Generator().manual_seed(0))])
    z4_closed = float((weights[..., 0] == 1).float().mean())  # 2 bit alone: z4 = 0
    z4_saturated = float((weights[..., 0] == 0).float().mean())
    closed = 1 / (1 + math.exp(phi - constants.tau * math.log(-constants.gamma / constants.zeta)))
    full = (1 - constants.gamma) / (constants.zeta - constants.gamma)
    saturated = 1 / (1 + math.exp(-(phi - constants.tau * math.log(full / (1 - full)))))
    assert z4_closed == pytest.approx(closed, abs=0.02)
    assert z4_saturated == pytest.approx(saturated, abs=0.02)
    assert gates.probability_open()[0, 0].item() == pytest.approx(1 - closed, abs=1e-6)


@pytest.mark.parametrize(
    ("constants", "switch"),
    [(PAPER_CONSTANTS, -0.935), (FREE_BITS_CONSTANTS, -0.536)],
    ids=["paper", "free_bits"],
)
def test_a_gate_is_read_as_open_above_the_published_phi(constants: GateConstants, switch: float) -> None:
    assert bank(switch + 0.01, constants, 1).chosen_bits() == [8]
    assert bank(switch - 0.01, constants, 1).chosen_bits() == [2]


def test_a_closed_gate_closes_the_ones_above() -> None:
    gates = bank(6.0, PAPER_CONSTANTS, 3)
    with torch.no_grad():
        gates.phi[:] = torch.tensor([[6.0, -6.0], [-6.0, 6.0], [6.0, 6.0]])
    assert gates.chosen_bits() == [4, 2, 8]


def test_the_papers_gates_are_disabled_below_minus_two() -> None:
    disabled = bank(-2.0, PAPER_CONSTANTS, 50).draw(1, torch.Generator().manual_seed(0))
    enabled = bank(-1.9, PAPER_CONSTANTS, 50).draw(1, torch.Generator().manual_seed(0))
    assert {mix.active for mix in disabled} == {(True, False, False)}
    assert any(mix.active[1] for mix in enabled)


def test_levels_outside_the_allowed_ones_are_never_drawn() -> None:
    gates = GateBank([(4, 8), (2, 4), (4,)], FREE_BITS_CONSTANTS)
    torch.nn.init.constant_(gates.phi, 0.0)
    weights = torch.stack([mix.weights for mix in gates.draw(500, torch.Generator().manual_seed(0))])
    assert weights[0, :, 0].max() == 0
    assert weights[1, :, 2].max() == 0
    assert weights[2].unique(dim=0).tolist() == [[0.0, 1.0, 0.0]]
    assert gates.chosen_bits() == [8, 4, 4]
    gates.probability_open().sum().backward()
    assert gates.phi.grad is not None
    assert (gates.phi.grad != 0).tolist() == [[False, True], [True, False], [False, False]]


def test_level_weights_sum_to_one() -> None:
    gates = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    weights = level_weights(gates)
    z4, z8 = gates.numpy().T
    np.testing.assert_allclose(weights.numpy(), np.stack([1 - z4, z4 * (1 - z8), z4 * z8], axis=1), rtol=1e-6)
    np.testing.assert_allclose(weights.sum(1).numpy(), 1, rtol=1e-6)


def test_the_same_seed_draws_the_same() -> None:
    gates = bank(0.0, PAPER_CONSTANTS, 20)
    first, second, third = (gates.draw(3, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    equal = [torch.equal(a.weights, b.weights) for a, b in zip(first, second, strict=True)]
    assert all(equal)
    assert not all(torch.equal(a.weights, b.weights) for a, b in zip(first, third, strict=True))
