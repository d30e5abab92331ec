"""Linear layers: one output pixel, all weights used once."""

from __future__ import annotations

import dataclasses

from fbcompile.lowering.kernels.blocked import PORTABLE, BlockedKernel, blocked_candidates
from fbcompile.lowering.kernels.candidate import Candidate
from fbcompile.lowering.kernels.model import Cost, Tile, kernel_size, weighted
from fbcompile.lowering.network import Layer
from fbcompile.lowering.requantization_form import RequantizationForm, narrow_form


@dataclasses.dataclass(frozen=True)
class LinearCost:
    """Cycles of a linear kernel on one core, fitted to GVSOC measurements with bank contention on.

    Attributes:
        call: Per call.
        pair: Per two groups of four output channels, beside their words; half of it for one.
        clamped_pair: More for sums with a clamp, or values with another lower bound than 0.
        pair_word: Per word that two groups multiply.
        group_word: Per word that one group multiplies.
        gather: Per call that gathers or widens activations.
        gather_word: Per word of these.
        expand: Per call that widens weights.
        expand_word: Per word of weights that is widened.
    """

    call: float = 215
    pair: float = 101
    clamped_pair: float = 39
    pair_word: float = 9
    group_word: float = 5
    gather: float = 280
    gather_word: float = 3.2
    expand: float = 500
    expand_word: float = 3.1


@dataclasses.dataclass(frozen=True)
class LinearKernel(BlockedKernel):
    """Four or eight output channels of one pixel at a time; weights and scratch as the blocked convolution's.

    Attributes:
        linear_cycles: Cost model on the target it was chosen for.
    """

    linear_cycles: LinearCost = LinearCost()
    by_columns: bool = False

    def form(self, layer: Layer) -> RequantizationForm:
        """The layer's own numbers."""
        return narrow_form(weighted(layer).requantization)

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Channels of the slowest core, plus gathering and widening."""
        layer = weighted(layer)
        cost, words = self.linear_cycles, self.column_words(layer)
        given = layer.requantization
        groups = -(-tile.output_channels // 4)
        pairs, rest = divmod(-(-groups // cores), 2)
        pair = cost.pair + (cost.clamped_pair if given.low != 0 or given.clamp is not None else 0)
        cycles = cost.call + pairs * (pair + cost.pair_word * words)
        cycles += rest * (pair / 2 + cost.group_word * words)
        if not self.reads_in_place(layer, tile):
            cycles += cost.gather + cost.gather_word * words
        if layer.weight_bits < self.width:
            cycles += cost.expand + cost.expand_word * 4 * groups * words / cores
        return cycles


_VARIANTS = (
    ("xpulpnn", "macload", 2, LinearCost()),
    ("xpulpnn", "macload", 4, LinearCost()),
    ("xpulpnn", "macload", 8, LinearCost()),
    ("xpulpv2", "blocked", 8, LinearCost(pair_word=17.5, group_word=9)),
)


def _one_pixel(layer: Layer) -> bool:
    shape = layer.shape
    padded = shape.pad_top or shape.pad_left or shape.pad_bottom or shape.pad_right
    covers = kernel_size(weighted(layer)) == (layer.inputs[0].height, layer.inputs[0].width)
    return covers and layer.output.height * layer.output.width == 1 and not padded


def _linear(variant: str, width: int, cost: LinearCost) -> LinearKernel:
    function = f"fbc_linear_{variant}_{width}"
    return LinearKernel(
        function,
        "fbc_conv_args",
        "blocked4",
        4,
        f"kernels/{function}.c",
        Cost(0, 0, 0, 0),
        width=width,
        linear_cycles=cost,
    )


ONE_PIXEL = tuple(
    dataclasses.replace(candidate, predicates=(*candidate.predicates, _one_pixel))
    for isa, variant, width, cost in _VARIANTS
    for candidate in blocked_candidates(_linear(variant, width, cost), isa)
)
"""Of layers with one output pixel: the narrowest dot product that holds activations and weights."""

CANDIDATES = (*ONE_PIXEL, Candidate(PORTABLE, isas=("portable",)))
"""Of linear layers."""
