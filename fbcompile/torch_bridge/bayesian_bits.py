"""Gated quantizers: a tensor as a random mix of its 2-, 4- and 8-bit versions, in the two published forms.

*Paper* (van Baalen et al., arXiv 2005.07093): ``x2 + z4 (e4 + z8 e8)``, where each residual ``e`` is rounded
on a grid that divides the one before (s4 = s2 / 5, s8 = s4 / 17). Because the factors are odd, coarse points
lie on the fine grid, so ``x2 + e4`` is the rounding of x on the 4-bit grid and ``x2 + e4 + e8`` the one on
the 8-bit grid (up to the choice at exact ties). Signed grids are symmetric: 3, 15 and 255 steps across
[-range, range]. The range is learned.

*Free Bits* (the authors' implementation in pulp-platform/quantlib): ``Q2 + z4 (Q4 - Q2) + z4 z8 (Q8 - Q4)``
with each Q rounded by itself over one clip range, differences detached. Signed grids have 2^b steps, like the
integer types; a weight's range is max|w| of its channel, read anew in every step; an activation's range is
fixed by calibration.

Both are ``w2 V2 + w4 V4 + w8 V8`` with the weights of ``gates.Mix``, and both pass a value's gradient
straight through inside the range. A level with weight 0 in the whole batch is not computed: it adds nothing,
and the gates behind a zero weight are saturated, so they have no gradient there either.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fbcompile.errors import InternalError
from fbcompile.graph.qdq import QuantizedTensor
from fbcompile.torch_bridge.gates import FREE_BITS_CONSTANTS, LEVELS, PAPER_CONSTANTS, GateConstants, Mix
from fbcompile.torch_bridge.quantizers import broadcast_scale, pass_inside, quantize_dequantize

_EDGE = 1 + 1e-6
"""Widens the range by rounding noise: the largest weight, which defines a range, must keep its gradient."""


class Variant(enum.StrEnum):
    """The two published forms of Bayesian Bits."""

    PAPER = "paper"
    FREE_BITS = "free_bits"

    @property
    def constants(self) -> GateConstants:
        """Gate constants of the variant."""
        return PAPER_CONSTANTS if self is Variant.PAPER else FREE_BITS_CONSTANTS

    @property
    def samples_per_image(self) -> bool:
        """Whether activations draw their gates anew for each image of a batch."""
        return self is Variant.FREE_BITS


@dataclasses.dataclass(frozen=True)
class Grid:
    """Quantization points of one level over a range r: ``step * r * {lowest..highest}``.

    Attributes:
        step: Step as a fraction of the range's upper end.
        lowest: Smallest integer.
        highest: Largest integer.
    """

    step: float
    lowest: int
    highest: int


def grid(variant: Variant, bits: int, signed: bool) -> Grid:
    """The grid of a level."""
    if not signed:
        return Grid(1 / (2**bits - 1), 0, 2**bits - 1)
    half = 2 ** (bits - 1)
    if variant is Variant.PAPER:
        return Grid(2 / (2**bits - 1), 1 - half, half - 1)
    return Grid(2 / 2**bits, -half, half - 1)


class _MixedLevels(torch.autograd.Function):
    """Sum of the active levels; gradients for x, the mix, and the range's logarithm."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mix_weights: Tensor,
        log_offset: Tensor,
        top: Tensor,
        grids: tuple[Grid, ...],
        mix: Mix,
    ) -> Tensor:
        y: Tensor | None = None
        kept: list[Tensor] = []
        for number, level in enumerate(grids):
            if not mix.active[number]:
                continue
            value = quantize_dequantize(x, top * level.step, level.lowest, level.highest)
            weight = _column(mix_weights, number, x.ndim)
            if mix.fractional:
                kept.append(value)
                y = value * weight if y is None else y.addcmul_(value, weight)
            elif sum(mix.active) == 1:
                y = value
            else:  # each sample takes exactly one level
                y = value.mul_(weight) if y is None else y.addcmul_(value, weight)
        if y is None:
            raise InternalError("no level of a tensor is active; the weights of a mix sum to 1")
        ctx.save_for_backward(x, y, top, *kept)
        ctx.mix, ctx.signed = mix, grids[0].lowest < 0
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None, None, None]:
        x, y, top, *kept = ctx.saved_tensors
        edge = top * _EDGE
        x_gradient = pass_inside(gradient, x, -edge if ctx.signed else torch.zeros_like(top), edge)
        mix_gradient = log_gradient = None
        if ctx.mix.fractional and ctx.needs_input_grad[1]:
            mix_gradient = torch.zeros_like(ctx.mix.weights)
            numbers = [number for number, used in enumerate(ctx.mix.active) if used]
            for number, value in zip(numbers, kept, strict=True):
                product = value * gradient
                mix_gradient[:, number] = (
                    product.flatten(1).sum(1) if len(mix_gradient) > 1 else product.sum()
                )
        if ctx.needs_input_grad[2]:
            # Every level scales with the range: d V / d log(range) is V outside the range and V - x inside.
            log_gradient = (gradient * y).sub_(x_gradient * x).sum_to_size(top.shape)
        return x_gradient, mix_gradient, log_gradient, None, None, None


def _column(weights: Tensor, level: int, rank: int) -> Tensor:
    return weights[:, level].reshape([-1] + [1] * (rank - 1))


class GatedQuantizer(nn.Module):
    """The quantizer of one tensor during the search.

    In training mode it mixes the levels by ``mix``, which the network draws before each step; in evaluation
    it applies the level ``bits`` that the gates stand for.

    Args:
        pair: The Q/DQ pair that it stands for; at its highest level the quantizer starts as this pair.
        variant: Form of the decomposition.
    """

    initial_top: Tensor

    def __init__(self, pair: QuantizedTensor, variant: Variant) -> None:
        super().__init__()
        precision = pair.precision
        self.variant = variant
        self.is_weight = pair.is_weight
        self.scale_shape = pair.scale.shape
        self.grids = tuple(grid(variant, bits, precision.signed) for bits in LEVELS)
        shape = pair.source.shape
        rank = len(shape) if shape is not None else 1
        step = self.grids[LEVELS.index(precision.bits)].step
        self.register_buffer("initial_top", broadcast_scale(pair.scale, pair.axis, rank) / step)
        learned = variant is Variant.PAPER
        self.log_offset = nn.Parameter(torch.zeros_like(self.initial_top), requires_grad=learned)
        self.bits = precision.bits
        self.mix: Mix | None = None

    def top(self, x: Tensor) -> Tensor:
        """Upper end of the range, detached: learned, fixed, or max|w| per channel."""
        if self.variant is Variant.FREE_BITS and self.is_weight:
            return self._largest(x.detach())
        result: Tensor = self.initial_top * self.log_offset.detach().exp()
        return result

    def _largest(self, weight: Tensor) -> Tensor:
        kept = [axis for axis, size in enumerate(self.initial_top.shape) if size != 1]
        reduced = [axis for axis in range(weight.ndim) if axis not in kept]
        return weight.abs().amax(reduced, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny * 2**20)

    def scale_array(self, x: Tensor, bits: int) -> npt.NDArray[np.float32]:
        """Scale of a level in the shape of the model's scale."""
        step = self.grids[LEVELS.index(bits)].step
        array: npt.NDArray[np.float32] = (self.top(x) * step).numpy().reshape(self.scale_shape)
        return array.copy()

    def forward(self, x: Tensor) -> Tensor:
        """Quantizes and dequantizes."""
        top = self.top(x)
        if not self.training or self.mix is None:
            level = self.grids[LEVELS.index(self.bits)]
            return quantize_dequantize(x, top * level.step, level.lowest, level.highest)
        inputs = (x, self.mix.weights, self.log_offset, top, self.grids, self.mix)
        result: Tensor = _MixedLevels.apply(*inputs)  # type: ignore[no-untyped-call]
        return result
