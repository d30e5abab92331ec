"""Hard-concrete gates: random switches in [0, 1] whose probability of being open is learned.

Louizos et al., "Learning Sparse Neural Networks through L0 Regularization" (ICLR 2018), as used by van Baalen
et al., "Bayesian Bits: Unifying Quantization and Pruning" (NeurIPS 2020, arXiv 2005.07093)::

    s = sigmoid((log u - log(1 - u) + phi) / tau),  u ~ U(0, 1)
    z = clamp(s * (zeta - gamma) + gamma, 0, 1)
    P(z > 0) = sigmoid(phi - tau * log(-gamma / zeta))

A tensor with levels 2, 4, 8 bit has one gate for 4 and one for 8 bit; 2 bit is always there. All gates of a
network are rows of one parameter, so that a training step draws and regularises them in a handful of torch
calls.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

LEVELS = (2, 4, 8)
"""Precisions in bits; each level after the first has a gate."""


@dataclasses.dataclass(frozen=True)
class GateConstants:
    """Constants of the hard-concrete distribution and how a decision is read from it.

    Attributes:
        zeta: Upper end of the stretched interval.
        gamma: Lower end of the stretched interval, below 0.
        tau: Temperature.
        threshold: A gate is read as open if P(z = 0) is below this.
        initial_phi: Location parameter at the start; larger is more open.
        disabled_below: A gate whose phi is at most this is closed in training too; None for never.
    """

    zeta: float
    gamma: float
    tau: float
    threshold: float
    initial_phi: float
    disabled_below: float | None

    @property
    def shift(self) -> float:
        """The shift in P(z > 0) = sigmoid(phi - shift): tau * log(-gamma / zeta)."""
        return self.tau * math.log(-self.gamma / self.zeta)


PAPER_CONSTANTS = GateConstants(
    zeta=1.1, gamma=-0.1, tau=2 / 3, threshold=0.34, initial_phi=6.0, disabled_below=-2.0
)
"""Of the paper's code (github.com/Qualcomm-AI-research/BayesianBits, quantization/straight_through.py)."""

FREE_BITS_CONSTANTS = GateConstants(
    zeta=1.1, gamma=-0.1, tau=0.5, threshold=0.34, initial_phi=2.0, disabled_below=None
)
"""Of the Free Bits authors' code (github.com/pulp-platform/quantlib, algorithms/bb): hc_stretch 1.2, hc_T
0.5."""


@dataclasses.dataclass(frozen=True)
class Mix:
    """How much of each level a tensor takes in one training step.

    Attributes:
        weights: (samples, levels), non-negative, rows sum to 1; samples is 1 or the batch size.
        active: Per level, whether any sample takes it; the other levels need not be computed.
        fractional: Whether any weight lies strictly between 0 and 1, so that gates get a gradient.
    """

    weights: Tensor
    active: tuple[bool, ...]
    fractional: bool


class GateBank(nn.Module):
    """The gates of all searched tensors.

    Args:
        allowed: Per tensor, the levels that it may have, ascending; a gate between allowed levels is learned,
            a gate at or below the lowest allowed level is open, a gate above the highest is closed.
        constants: Of the distribution.
    """

    learned: Tensor
    fixed: Tensor

    def __init__(self, allowed: Sequence[Sequence[int]], constants: GateConstants) -> None:
        super().__init__()
        self.constants = constants
        self.phi = nn.Parameter(torch.full((len(allowed), len(LEVELS) - 1), constants.initial_phi))
        self.register_buffer(
            "learned",
            torch.tensor([[min(bits) < level <= max(bits) for level in LEVELS[1:]] for bits in allowed]),
        )
        self.register_buffer(
            "fixed", torch.tensor([[float(level <= min(bits)) for level in LEVELS[1:]] for bits in allowed])
        )

    def draw(self, samples: int, generator: torch.Generator) -> list[Mix]:
        """Draws all gates.

        Args:
            samples: Independent draws, e.g. one per image.
            generator: Source of randomness.

        Returns:
            Per tensor, the mix of its levels; ``weights`` has gradients to ``phi``.
        """
        constants = self.constants
        uniform = torch.rand((samples, *self.phi.shape), generator=generator).clamp_(1e-6, 1 - 1e-6)
        smooth = torch.sigmoid((uniform.logit() + self.phi) / constants.tau)
        gates = (smooth * (constants.zeta - constants.gamma) + constants.gamma).clamp(0.0, 1.0)
        if constants.disabled_below is not None:
            gates = gates * (self.phi > constants.disabled_below)
        weights = level_weights(torch.where(self.learned, gates, self.fixed))
        used = weights.detach()
        active = (used != 0).any(0).tolist()
        fractional = ((used > 0) & (used < 1)).flatten(2).any(2).any(0).tolist()
        return [
            Mix(single, tuple(flags), some)
            for single, flags, some in zip(weights.unbind(1), active, fractional, strict=True)
        ]

    def probability_open(self) -> Tensor:
        """P(z > 0) of every gate, (tensors, levels - 1), 0 or 1 where it is not learned."""
        return torch.where(self.learned, torch.sigmoid(self.phi - self.constants.shift), self.fixed)

    def chosen_bits(self) -> list[int]:
        """Per tensor, the highest level whose gates are all open when read deterministically."""
        is_open = (1 - self.probability_open() < self.constants.threshold).cumprod(1)
        return [LEVELS[count] for count in is_open.sum(1).tolist()]


def level_weights(gates: Tensor) -> Tensor:
    """Weights of the levels from gates (..., levels - 1): w2 = 1 - z4, w4 = z4 (1 - z8), w8 = z4 z8."""
    reached = torch.cat([torch.ones_like(gates[..., :1]), gates.cumprod(-1)], dim=-1)
    taken = torch.cat([1 - gates, torch.ones_like(gates[..., :1])], dim=-1)
    return reached * taken
