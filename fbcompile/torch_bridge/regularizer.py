"""The price of bits in the search's loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fbcompile.torch_bridge.gates import LEVELS, GateBank


class BitOperationsRegularizer(nn.Module):
    """Expected bit operations: sum over tensors k and levels b of cost_k * b * P(level b is reached).

    The first level is always reached, so its term is a constant. Weights and activations count separately,
    not as the product of their widths, as in the paper's code (``--reg-type bop``) and the Free Bits authors'
    default.

    Args:
        costs: Cost of one bit of each tensor (``bit_operations.tensor_costs``), in the order of the gate
            bank.
    """

    costs: Tensor

    def __init__(self, costs: Sequence[float]) -> None:
        super().__init__()
        per_bit = torch.tensor(costs, dtype=torch.float32)[:, None]
        self.register_buffer("costs", per_bit * torch.tensor(LEVELS, dtype=torch.float32))

    def forward(self, gates: GateBank) -> Tensor:
        """Scalar penalty with gradients to the gates."""
        reached = gates.probability_open().cumprod(1)
        return self.costs[:, 0].sum() + (self.costs[:, 1:] * reached).sum()
