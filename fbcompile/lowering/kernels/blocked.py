"""Dense convolutions: blocks of 4 pixels x 4 channels, and the portable kernel."""

from __future__ import annotations

import dataclasses
import functools

from fbcompile.lowering.kernels.candidate import Candidate
from fbcompile.lowering.kernels.model import (
    WIDTHS,
    Cost,
    Kernel,
    Tile,
    dense_input_channels,
    kernel_size,
    lane_bytes,
    portable_kernel,
    weighted,
)
from fbcompile.lowering.network import Layer, WeightedLayer


@dataclasses.dataclass(frozen=True)
class BlockCost:
    """Cycles of the blocked convolution on one core, fitted to GVSOC measurements with bank contention on.

    Attributes:
        call: Per call.
        block: Per block of 4 pixels x 4 channels, beside its words.
        word: Per word of a block's columns.
        clamp: More per block if the requantization clamps accumulators or its low is not 0.
        general: More per block if the shift leaves nothing to pack from upper halves or bytes.
        cut: More than these two if outputs have less than 8 bits.
        single_block: Per pixel of a block that no run computes.
        single_word: Likewise per word.
        run: Per quad or quads of columns that are gathered at once.
        row: Per kernel row of a gathered column.
        copy_word: Per word that is gathered as it is.
        misaligned_word: More per word if taps are no whole words.
        widen_row: Per kernel row that is widened.
        widen_word: Per word of a column that is gathered from narrower activations.
        expand: Per call that widens weights.
        expand_word: Per word of weights that is widened.
    """

    call: float = 2000
    block: float = 101
    word: float = 17.0
    clamp: float = 44
    cut: float = 11
    general: float = 81
    single_block: float = 170
    single_word: float = 16.3
    run: float = 440
    row: float = 43
    copy_word: float = 2.35
    misaligned_word: float = 10
    widen_row: float = 137
    widen_word: float = 3.0
    expand: float = 700
    expand_word: float = 3.1


@dataclasses.dataclass(frozen=True)
class BlockedKernel(Kernel):
    """The convolution in blocks of 4 pixels x 4 channels; the sizes of ``kernels/common/fbc_blocked_plan.h``.

    Attributes:
        width: Bits of the dot products: activations and weights are widened to it.
        cycles: Cost model on the target it was chosen for.
        macload: It multiplies with mac&load, which wants a channel's second word before its first.
        by_columns: Taps that are whole words follow each other by columns of the kernel, not by rows.
    """

    width: int = 8
    cycles: BlockCost = BlockCost()
    macload: bool = False
    by_columns: bool = True

    def column_words(self, layer: WeightedLayer) -> int:
        """Words that one output pixel and one output channel multiply."""
        height, width = kernel_size(layer)
        return -(-height * width * self.tap_bytes(layer) // 4)

    def tap_bytes(self, layer: WeightedLayer) -> int:
        """Bytes of one kernel tap in a column."""
        channels, bits = dense_input_channels(layer), layer.inputs[0].bits
        pixel = lane_bytes(channels, bits)
        return pixel * (self.width // bits) if pixel % 4 == 0 else lane_bytes(channels, self.width)

    def group_words(self, layer: WeightedLayer) -> int:
        """Words of one output channel as stored; one of narrower weights holds ``width / weight_bits``."""
        ratio = self.width // layer.weight_bits
        return max(-(-self.column_words(layer) // ratio), 2 // ratio, 1)

    def quads_at_once(self, layer: WeightedLayer) -> int:
        """Groups of four columns that a core gathers before it multiplies them."""
        words = self.column_words(layer)
        return 4 if words <= 16 else 2 if words <= 40 else 1

    def reads_in_place(self, layer: WeightedLayer, tile: Tile) -> bool:
        """True if every column lies in the input tile as it is, so that nothing is gathered."""
        shape, (height, width) = layer.shape, kernel_size(layer)
        padded = shape.pad_top or shape.pad_left or shape.pad_bottom or shape.pad_right
        rows = (tile.output_height - 1) * shape.stride_height + height
        columns = (tile.output_width - 1) * shape.stride_width + width
        inside = not padded and rows <= tile.input_height and columns <= tile.input_width
        whole_rows = width == tile.input_width and (width == 1 or not self.by_columns)
        adjoining = height == 1 or whole_rows
        whole_words = lane_bytes(tile.input_channels, layer.inputs[0].bits) % 4 == 0
        return inside and adjoining and whole_words and layer.inputs[0].bits == self.width

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Widened weights of the tile, and four or more columns per core."""
        layer = weighted(layer)
        weights = 0
        if layer.weight_bits < self.width:
            words = self.group_words(layer) * (self.width // layer.weight_bits)
            weights = -(-tile.output_channels // 4) * 16 * words
        columns = 4 * 4 * self.column_words(layer) * self.quads_at_once(layer) + 4
        return weights + (0 if self.reads_in_place(layer, tile) else cores * columns)

    def weight_bytes(self, layer: Layer, output_channels: int) -> int:
        """Whole groups of four channels."""
        return -(-output_channels // 4) * 16 * self.group_words(weighted(layer))

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Blocks of the slowest core, plus gathering and widening."""
        layer = weighted(layer)
        cost, words = self.cycles, self.column_words(layer)
        pixels, groups = tile.output_height * tile.output_width, -(-tile.output_channels // 4)
        quads = -(-pixels // 4)
        blocks = -(-quads * groups // cores)
        if quads * groups == blocks * cores and blocks % groups == 0:
            quads = blocks // groups
        else:  # a core can begin within a quad and end within another
            quads = min(quads, -(-(blocks - 1) // groups) + 1)
        if pixels < 4 or layer.requantization.wide or layer.output.bits > 8:
            per_block = min(4, pixels) * (cost.single_block + cost.single_word * words)
        else:
            per_block = cost.block + cost.word * words + _extra_cycles(layer, cost)
        cycles = cost.call + blocks * per_block
        if not self.reads_in_place(layer, tile):
            cycles += self._gather_cycles(layer, quads, min(4, pixels))
        if layer.weight_bits < self.width:
            cycles += cost.expand + cost.expand_word * 4 * groups * words / cores
        return cycles

    def _gather_cycles(self, layer: WeightedLayer, quads: int, pixels: int) -> float:
        cost, words, rows = self.cycles, self.column_words(layer), kernel_size(layer)[0]
        runs = quads / (1 if layer.shape.output_channels % 4 else self.quads_at_once(layer))
        if layer.inputs[0].bits < self.width:
            calls = runs if kernel_size(layer) == (1, 1) else pixels * quads * rows
            return cost.run * runs + cost.widen_row * calls + cost.widen_word * pixels * quads * words
        per_word = cost.copy_word + (cost.misaligned_word if self.tap_bytes(layer) % 4 else 0)
        return cost.run * runs + pixels * quads * (cost.row * rows + per_word * words)


def _extra_cycles(layer: WeightedLayer, cost: BlockCost) -> float:
    """What a requantization costs beside one that packs upper parts, does not clamp and whose low is 0."""
    parameters, narrow = layer.requantization, layer.output.bits < 8
    if not (24 <= parameters.shift <= 31 if narrow else 16 <= parameters.shift <= 24):
        return cost.general + cost.cut * narrow
    if parameters.clamp is None and parameters.low == 0:
        return 0
    return cost.clamp + cost.cut * narrow


PORTABLE = portable_kernel("conv", "fbc_conv_args", "dense", Cost(200, 60, 60, 11))

_VARIANTS = (
    ("xpulpnn", "macload", 2, BlockCost(block=92)),
    ("xpulpnn", "macload", 4, BlockCost(block=95)),
    ("xpulpnn", "macload", 8, BlockCost()),
    ("xpulpv2", "blocked", 8, BlockCost(block=121, word=24.7)),
)
"""Instruction sets, what they multiply with at which widths, narrowest first, and what it costs."""


def _activations_fit(layer: Layer, width: int) -> bool:
    return layer.inputs[0].bits <= width


def _weights_fit(layer: Layer, width: int) -> bool:
    return weighted(layer).weight_bits <= width


def _weights_are_narrower(layer: Layer, width: int) -> bool:
    return weighted(layer).weight_bits < width


def _convolution(variant: str, width: int, cost: BlockCost) -> BlockedKernel:
    function = f"fbc_conv_{variant}_{width}"
    return BlockedKernel(
        function,
        "fbc_conv_args",
        "blocked4",
        4,
        f"kernels/{function}.c",
        Cost(0, 0, 0, 0),
        writes_channel_first=True,
        width=width,
        cycles=cost,
        macload=variant == "macload",
        activation_widths=tuple(bits for bits in WIDTHS if bits <= width),
        weight_widths=tuple(bits for bits in WIDTHS if bits <= width),
    )


def blocked_candidates(kernel: BlockedKernel, isa: str) -> list[Candidate]:
    """With and without a preparing kernel that widens the weights."""
    width = kernel.width
    expanding = dataclasses.replace(kernel, prepare=f"fbc_expand_weights_{width}")
    activations_fit, weights_fit, narrower = (
        functools.partial(predicate, width=width)
        for predicate in (_activations_fit, _weights_fit, _weights_are_narrower)
    )
    candidates = [Candidate(kernel, (isa,), (activations_fit, weights_fit))]
    if width > 2:
        candidates.insert(0, Candidate(expanding, (isa,), (activations_fit, narrower)))
    return candidates


CANDIDATES = (
    *(
        candidate
        for isa, variant, width, cost in _VARIANTS
        for candidate in blocked_candidates(_convolution(variant, width, cost), isa)
    ),
    Candidate(PORTABLE, isas=("portable",)),
)
"""Of convolutions: the narrowest dot product that holds activations and weights."""
