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
from fbcompile.lowering.requantization_form import RequantizationForm, narrow_form, short_form


@dataclasses.dataclass(frozen=True)
class BlockCost:
    """Cycles of the blocked convolution on one core, fitted to GVSOC measurements with bank contention on.

    Attributes:
        call: Per call.
        block: Per block of 4 pixels x 4 channels of 8 bits, beside its words.
        word: Per word of a block's columns.
        narrow: More per block if outputs have less than 8 bits.
        short: More if the requantization is short.
        short_bytes: The same if what it clips fits a byte.
        clamp: More per block if the requantization clamps accumulators.
        beside: And if outputs have less than 8 bits then: they are written as bytes first.
        sums: More per block of which runs write no more than sums.
        lanes: And if outputs are written one by one: of 32 bits, or computed in 64.
        wide: And in 64 bits.
        single_block: Per pixel of a block that no run computes.
        single_word: Likewise per word.
        split: Per call if cores share quads.
        direct: Per call of a pointwise convolution of whole words.
        direct_split: More if cores share quads.
        direct_run: Of such a call per run: a part of a quad's groups, or whole quads.
        direct_quad: And per quad.
        widen_run: More per run of quads that are widened.
        quad: Per quad of pixels.
        run: Per quad or quads that are gathered and multiplied together.
        part: Per further part of a row of the output in it.
        row: Per kernel row of such a part.
        tap: Per tap that is copied.
        copy_word: Per word of it.
        column: Per column whose taps are no whole words.
        border: More if some of its taps lie left or right of the tile.
        column_word: Per word of it.
        widen_tap: Per tap that is widened.
        widen_word: Per word of it, as widened.
        widen_lane: Per lane if taps are no whole words.
        expand: Per call that widens weights.
        expand_word: Per word of weights that is widened.
    """

    call: float = 1650
    block: float = 87.5
    word: float = 17.0
    narrow: float = 5
    short: float = -1
    short_bytes: float = -6
    clamp: float = 33
    beside: float = 105
    sums: float = 540
    lanes: float = 900
    wide: float = 700
    single_block: float = 170
    single_word: float = 16.3
    split: float = 700
    direct: float = 250
    direct_split: float = 140
    direct_run: float = 210
    direct_quad: float = 28
    widen_run: float = 110
    quad: float = 55
    run: float = 330
    part: float = 230
    row: float = 25
    tap: float = 2
    copy_word: float = 2.5
    column: float = 10
    border: float = 60
    column_word: float = 4
    widen_tap: float = 40
    widen_word: float = 3.0
    widen_lane: float = 25
    expand: float = 400
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

    def form(self, layer: Layer) -> RequantizationForm:
        """A short one where the numbers allow it."""
        layer = weighted(layer)
        short = short_form(layer)
        return narrow_form(layer.requantization) if short == RequantizationForm.OWN else short

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

    def columns_overlap(self, layer: WeightedLayer) -> bool:
        """True if taps are whole words, so that the columns of neighbouring pixels overlap in scratch."""
        return self.by_columns and lane_bytes(dense_input_channels(layer), layer.inputs[0].bits) % 4 == 0

    def quads_of_scratch(self, layer: WeightedLayer) -> int:
        """Groups of four columns that a core's scratch holds if they do not overlap."""
        words = self.column_words(layer)
        return 4 if words <= 16 else 2 if words <= 40 else 1

    def reads_in_place(self, layer: WeightedLayer, tile: Tile) -> bool:
        """True if every column lies in the input tile as it is, so that nothing is gathered."""
        return layer.inputs[0].bits == self.width and self._columns_adjoin(layer, tile)

    def is_direct(self, layer: WeightedLayer, tile: Tile) -> bool:
        """True if the call has the short set-up of ``micro/fbc_conv_direct.h``."""
        shape = layer.shape
        one_tap = kernel_size(layer) == (shape.stride_height, shape.stride_width) == (1, 1)
        whole = tile.output_channels % 4 == 0 and tile.output_height * tile.output_width >= 4
        return one_tap and whole and _runs_write(layer) and self._columns_adjoin(layer, tile)

    def _columns_adjoin(self, layer: WeightedLayer, tile: Tile) -> bool:
        """True if every column lies in the input tile, in one piece of whole words."""
        shape, (height, width) = layer.shape, kernel_size(layer)
        padded = shape.pad_top or shape.pad_left or shape.pad_bottom or shape.pad_right
        rows = (tile.output_height - 1) * shape.stride_height + height
        columns = (tile.output_width - 1) * shape.stride_width + width
        inside = not padded and rows <= tile.input_height and columns <= tile.input_width
        whole_rows = width == tile.input_width and (width == 1 or not self.by_columns)
        adjoining = height == 1 or whole_rows
        return inside and adjoining and lane_bytes(tile.input_channels, layer.inputs[0].bits) % 4 == 0

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Widened weights of the tile, and four or more columns per core."""
        layer = weighted(layer)
        weights = 0
        if layer.weight_bits < self.width:
            words = self.group_words(layer) * (self.width // layer.weight_bits)
            weights = -(-tile.output_channels // 4) * 16 * words
        columns = 4 * 4 * self.column_words(layer) * self.quads_of_scratch(layer) + 4
        return weights + (0 if self.reads_in_place(layer, tile) else cores * columns)

    def weight_bytes(self, layer: Layer, output_channels: int) -> int:
        """Whole groups of four channels."""
        return -(-output_channels // 4) * 16 * self.group_words(weighted(layer))

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Blocks of the slowest core, plus gathering and widening."""
        layer = weighted(layer)
        cost, words = self.cycles, self.column_words(layer)
        pixels, groups = tile.output_height * tile.output_width, -(-tile.output_channels // 4)
        shared = -(-pixels // 4) % cores != 0
        runs, quads, blocks = slowest_share(-(-pixels // 4), groups, cores)
        if pixels < 4:
            per_block = pixels * (cost.single_block + cost.single_word * words)
        else:
            per_block = cost.block + cost.word * max(words, 2) + self._extra_cycles(layer)
        gathers = not self.reads_in_place(layer, tile)
        if self.is_direct(layer, tile):
            if gathers:
                runs = max(runs, -(-quads // self.quads_of_scratch(layer)))
                cycles = runs * cost.widen_run + 4 * quads * words * cost.widen_word
            else:
                cycles = 0.0
            cycles += cost.direct + shared * cost.direct_split
            cycles += runs * cost.direct_run + quads * cost.direct_quad
        else:
            cycles = cost.call + shared * cost.split + quads * cost.quad
            cycles += self._gather_cycles(layer, tile, quads) if gathers else 0.0
        cycles += blocks * per_block
        if layer.weight_bits < self.width:
            cycles += cost.expand + cost.expand_word * 4 * groups * words / cores
        return cycles

    def _extra_cycles(self, layer: WeightedLayer) -> float:
        """What the requantization of a block costs beside one to 8 bits without a clamp."""
        cost, parameters, narrow = self.cycles, layer.requantization, layer.output.bits < 8
        if not _has_run(layer):
            lanes = parameters.wide or layer.output.bits > 8
            return cost.sums + cost.lanes * lanes + cost.wide * parameters.wide
        if parameters.clamp is not None:
            return cost.clamp + cost.beside * narrow
        forms = {
            RequantizationForm.SHORT: cost.short,
            RequantizationForm.SHORT_BYTES: cost.short_bytes,
        }
        return forms.get(self.form(layer), cost.narrow * narrow)

    def _gather_cycles(self, layer: WeightedLayer, tile: Tile, quads: int) -> float:
        cost, shape, (height, width) = self.cycles, layer.shape, kernel_size(layer)
        runs, rows = self._runs(layer, tile, quads)
        per_run = cost.run * runs + cost.part * (rows - runs) + cost.row * rows * height
        pixels = min(4 * quads, tile.output_height * tile.output_width)
        narrower = layer.inputs[0].bits < self.width
        if not self.columns_overlap(layer):
            per_column = cost.column + cost.column_word * self.column_words(layer)
            cycles = per_run + per_column * pixels
            outside = -(-shape.pad_left // shape.stride_width) - (-shape.pad_right // shape.stride_width)
            cycles += cost.border * pixels * min(1.0, outside / tile.output_width)
            lanes = pixels * height * width * dense_input_channels(layer)
            return cycles + (cost.widen_lane * lanes if narrower else 0)
        stride = min(shape.stride_width, width)
        taps = height * (pixels * stride + rows * (width - stride))
        tap_words = self.tap_bytes(layer) // 4
        if not narrower:
            return per_run + taps * (cost.tap + cost.copy_word * tap_words)
        calls = rows if height == 1 else taps
        return per_run + calls * cost.widen_tap + taps * cost.widen_word * tap_words

    def _runs(self, layer: WeightedLayer, tile: Tile, quads: int) -> tuple[float, float]:
        """Runs of quads that are gathered together, and parts of rows of pixels in them."""
        shape, width = layer.shape, kernel_size(layer)[1]
        most = self.quads_of_scratch(layer)
        if layer.shape.output_channels % 4:
            return quads, quads
        if not self.columns_overlap(layer):
            return quads / most, quads / most + 4 * quads / tile.output_width
        if kernel_size(layer) == (shape.stride_height, shape.stride_width) == (1, 1):
            return quads / most, quads / most
        if shape.stride_width > width:
            return quads / most, 4 * quads
        room = (4 * most * width - width + shape.stride_width) // (4 * shape.stride_width)
        whole, cut = tile.output_width // 4, tile.output_width % 4 != 0
        runs = (-(-whole // max(most, room)) + cut) / (tile.output_width / 4)
        return quads * runs, quads * (runs + 4 * cut / tile.output_width)


def slowest_share(quads: int, groups: int, cores: int) -> tuple[int, int, int]:
    """Most runs, quads and blocks that a core has; a run is a part of a quad's groups, or whole quads."""
    runs, touched, blocks = 0, 0, 0
    for core in range(cores):
        begin, end = (quads * groups * (core + i) // cores for i in range(2))
        if begin == end:
            continue
        first, last = begin // groups, -(-end // groups)
        parts = (begin % groups != 0) + (end % groups != 0)
        runs = max(runs, 1 if last - first == 1 else parts + (last - first > parts))
        touched, blocks = max(touched, last - first), max(blocks, end - begin)
    return runs, touched, blocks


def _has_run(layer: WeightedLayer) -> bool:
    """True if runs do more than sums: 32-bit arithmetic, and outputs from 0 or from -high - 1."""
    parameters = layer.requantization
    return not parameters.wide and layer.output.bits <= 8 and parameters.low in (0, -parameters.high - 1)


def _runs_write(layer: WeightedLayer) -> bool:
    """True if runs write the outputs where they belong."""
    return _has_run(layer) and (layer.output.bits == 8 or layer.requantization.clamp is None)


PORTABLE = portable_kernel("conv", "fbc_conv_args", "dense", Cost(200, 60, 60, 11))

_VARIANTS = (
    ("xpulpnn", "macload", 2, BlockCost()),
    ("xpulpnn", "macload", 4, BlockCost()),
    ("xpulpnn", "macload", 8, BlockCost()),
    ("xpulpv2", "blocked", 8, BlockCost(block=85.5, word=24.7)),
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
