"""What the compiler knows of a C kernel: its name, layouts, scratch memory, weight bytes and cost.

The sizes are those of ``runtime_c/kernels``; tests compare them with what the C side says. Costs are affine
models fitted to measurements on GVSOC with TCDM bank contention on (warm second call, slowest core). Against
the measured calls, the blocked convolution is within 10 % (ragged channels up to 20 % too low), the 3x3
depthwise within 3 %, the portable kernels within 19 % (too high: 5x5 depthwise 28 %, 4-bit depthwise 37 %).
"""

from __future__ import annotations

import dataclasses

from fbcompile.errors import InternalError
from fbcompile.lowering.network import Layer, WeightedLayer


@dataclasses.dataclass(frozen=True)
class Tile:
    """What one kernel call computes.

    Attributes:
        input_height: Rows of the input tile.
        input_width: Columns of the input tile.
        input_channels: Channels of the input tile.
        output_height: Rows of the output tile.
        output_width: Columns of the output tile.
        output_channels: Channels of the output tile.
    """

    input_height: int
    input_width: int
    input_channels: int
    output_height: int
    output_width: int
    output_channels: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cycles of one kernel call, affine in what it computes; the constants are fitted to GVSOC measurements.

    Attributes:
        call: Per call.
        pixel: Per output pixel, whatever its channels.
        output: Per output element.
        mac: Per multiply-accumulate (per tap for pools).
        narrow: Factor if an operand has less than 8 bits.
    """

    call: float
    pixel: float
    output: float
    mac: float
    narrow: float = 1.7


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A C function and what the compiler must know about it.

    Attributes:
        function: C name, called through ``fbc_parallel(function, &args)``.
        arguments: C struct type of its arguments.
        weight_layout: ``dense``, ``blocked4``, ``depthwise`` or ``none``; see ``packing.pack_weights``.
        channel_block: Output channels of a tile are a multiple of this, unless they are the rest.
        source: Its C file, relative to ``runtime_c``.
        cost: Its cost model on the target it was chosen for.
        prepare: C function that must run first, on the same arguments, through its own ``fbc_parallel``
            (kernels hold no barrier); empty if there is none.
    """

    function: str
    arguments: str
    weight_layout: str
    channel_block: int
    source: str
    cost: Cost
    prepare: str = ""

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Bytes of scratch memory that one call needs; equals what the C side's size functions say."""
        return 0

    def weight_bytes(self, layer: Layer, output_channels: int) -> int:
        """Bytes of the weights of that many output channels, which lie together; 0 without weights."""
        if not isinstance(layer, WeightedLayer):
            return 0
        height, width = kernel_size(layer)
        if self.weight_layout == "depthwise":
            return output_channels * lane_bytes(height * width, layer.weight_bits)
        return output_channels * height * width * lane_bytes(dense_input_channels(layer), layer.weight_bits)

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Estimated cycles of one call on ``cores`` cores, operands in L1."""
        pixels = tile.output_height * tile.output_width
        outputs = pixels * tile.output_channels
        macs = outputs * macs_per_output(layer, tile)
        cost, bits = self.cost, layer.bits
        narrow = min(bits.activation_bits, bits.weight_bits or 8) < 8
        work = cost.pixel * pixels + cost.output * outputs + cost.mac * macs
        return cost.call + work * (cost.narrow if narrow else 1) / cores


@dataclasses.dataclass(frozen=True)
class DepthwiseStripKernel(Kernel):
    """The 3x3 depthwise convolution that transposes strips of four input columns and walks down them.

    A strip is two output columns (stride 2: one) of four channels; a core works on up to ``at_once`` of them.
    The sizes are those of ``kernels/fbc_depthwise_3x3.c``.

    Attributes:
        at_once: Strips that one core transposes before it convolves them.
        run: Cycles per run of strips, and per core and group of four channels (filters, parameters).
        strip: Cycles per strip.
        input_row: Per input row of a strip: transposition.
        output: Per output element of a strip.
        clamp: More per output element if sums are clamped.
        general: More instead, if outputs are clipped to anything else than [0, 255].
        staged: More per output element if outputs go through scratch.
    """

    at_once: int = 4
    run: float = 770
    strip: float = 61
    input_row: float = 20.9
    output: float = 8.45
    clamp: float = 2.75
    general: float = 8.7
    staged: float = 2.5

    def columns(self, layer: Layer) -> int:
        """Output columns of a strip."""
        return 2 if layer.shape.stride_width == 1 else 1

    def is_staged(self, layer: Layer, tile: Tile) -> bool:
        """True if outputs go through scratch: sub-byte ones, and odd widths in strips of two columns."""
        return layer.output.bits < 8 or tile.output_width % self.columns(layer) != 0

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Transposed strips of each core, their outputs if those are staged, and a word between the cores."""
        columns = self.columns(layer)
        strips = min(self.at_once, -(-tile.output_width // columns))
        rows = (tile.output_height - 1) * layer.shape.stride_height + 3
        staged = 4 * columns * tile.output_height if self.is_staged(layer, tile) else 0
        return cores * (strips * (16 * rows + staged) + 4)

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Strips of the slowest core."""
        columns = self.columns(layer)
        per_group = -(-tile.output_width // columns)
        strips = -(-(tile.output_channels // 4) * per_group // cores)
        groups = -(-strips // per_group)
        runs = max(groups, -(-strips // self.at_once))
        rows = (tile.output_height - 1) * layer.shape.stride_height + 3
        output = self.output + self._requantization(weighted(layer))
        output += self.staged if self.is_staged(layer, tile) else 0
        per_strip = self.strip + self.input_row * rows + output * 4 * columns * tile.output_height
        return self.cost.call + (groups + runs) * self.run + strips * per_strip

    def _requantization(self, layer: WeightedLayer) -> float:
        """Cycles per output element beyond the plain requantization."""
        parameters = layer.requantization
        if parameters.low != 0 or parameters.high != 255:
            return self.general
        return 0 if parameters.clamp is None else self.clamp


@dataclasses.dataclass(frozen=True)
class BlockCost:
    """Cycles of the blocked convolution on one core, fitted to GVSOC measurements with bank contention on.

    Attributes:
        call: Per call.
        block: Per block of 4 pixels x 4 channels, beside its words.
        word: Per word of a block's columns.
        clamp: More per block if the requantization clamps accumulators.
        general: More per block if its low is not 0.
        single_block: Per pixel of a block with fewer than four.
        single_word: Likewise per word.
        quad: Per four pixels.
        row: Per kernel row of a gathered column.
        copy_word: Per word that is gathered as it is.
        widen_word: Per word of a column that is gathered from narrower activations.
        expand_word: Per word of weights that is widened.
    """

    call: float = 900
    block: float = 119
    word: float = 17.0
    clamp: float = 37
    general: float = 73
    single_block: float = 200
    single_word: float = 5.1
    quad: float = 440
    row: float = 60
    copy_word: float = 1.75
    widen_word: float = 5.5
    expand_word: float = 15.5


@dataclasses.dataclass(frozen=True)
class BlockedKernel(Kernel):
    """The convolution in blocks of 4 pixels x 4 channels; the sizes of ``kernels/common/fbc_blocked_plan.h``.

    Attributes:
        width: Bits of the dot products: activations and weights are widened to it.
        cycles: Cost model on the target it was chosen for.
    """

    width: int = 8
    cycles: BlockCost = BlockCost()

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
        return -(-self.column_words(layer) * layer.weight_bits // self.width)

    def reads_in_place(self, layer: WeightedLayer, tile: Tile) -> bool:
        """True if every column lies in the input tile as it is, so that nothing is gathered."""
        shape, (height, width) = layer.shape, kernel_size(layer)
        padded = shape.pad_top or shape.pad_left or shape.pad_bottom or shape.pad_right
        rows = (tile.output_height - 1) * shape.stride_height + height
        columns = (tile.output_width - 1) * shape.stride_width + width
        inside = not padded and rows <= tile.input_height and columns <= tile.input_width
        adjoining = height == 1 or width == tile.input_width
        whole_words = lane_bytes(tile.input_channels, layer.inputs[0].bits) % 4 == 0
        return inside and adjoining and whole_words and layer.inputs[0].bits == self.width

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Widened weights of the tile and four columns per core."""
        layer = weighted(layer)
        weights = 0
        if layer.weight_bits < self.width:
            words = self.group_words(layer) * (self.width // layer.weight_bits)
            weights = -(-tile.output_channels // 4) * 16 * words
        columns = 4 * 4 * self.column_words(layer) + 4
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
        per_block = cost.block + cost.word * words + _extra_cycles(layer, cost)
        cycles = cost.call + blocks * per_block + cost.quad * quads
        if pixels % 4:  # the last core computes the last quad pixel by pixel
            per_quad = (pixels % 4) * (cost.single_block + cost.single_word * words)
            cycles += (
                min(blocks, groups) * (per_quad - per_block) if pixels < 4 or per_quad > per_block else 0
            )
        if not self.reads_in_place(layer, tile):
            per_word = cost.copy_word if layer.inputs[0].bits == self.width else cost.widen_word
            column = cost.row * kernel_size(layer)[0] + per_word * words
            cycles += min(4, pixels) * quads * column
        if layer.weight_bits < self.width:
            cycles += cost.expand_word * 4 * groups * words / cores
        return cycles


def _extra_cycles(layer: WeightedLayer, cost: BlockCost) -> float:
    """What a block's requantization costs beside that which needs no clamp and clips to [0, high]."""
    parameters = layer.requantization
    if parameters.low != 0:
        return cost.general
    return 0 if parameters.clamp is None else cost.clamp


def weighted(layer: Layer) -> WeightedLayer:
    """The layer, which must have weights.

    Raises:
        InternalError: It has none.
    """
    if not isinstance(layer, WeightedLayer):
        raise InternalError(
            f"layer {layer.name} has no weights, but a convolution kernel was chosen", where="lower"
        )
    return layer


def lane_bytes(count: int, bits: int) -> int:
    """Bytes of ``count`` packed elements."""
    return -(-count * bits // 8)


def kernel_size(layer: WeightedLayer) -> tuple[int, int]:
    """Rows and columns of the weights; a linear layer's cover the whole input tensor."""
    _, _, height, width = layer.weights.shape
    return int(height), int(width)


def dense_input_channels(layer: WeightedLayer) -> int:
    """Input channels that the weights of one output channel span when groups are filled up with zeros."""
    channels: int = layer.weights.shape[1]
    return channels * layer.shape.groups


def macs_per_output(layer: Layer, tile: Tile) -> int:
    """Multiply-accumulates (or taps) that one output element of the layer costs its kernel."""
    if isinstance(layer, WeightedLayer):
        height, width = kernel_size(layer)
        return height * width * (1 if is_depthwise(layer) else dense_input_channels(layer))
    if layer.shape.op == "max_pool":
        return layer.shape.kernel_height * layer.shape.kernel_width
    if layer.shape.op == "average_pool":
        return tile.input_height * tile.input_width
    return 1


def is_depthwise(layer: Layer) -> bool:
    """True if every output channel reads exactly the input channel of the same number."""
    shape = layer.shape
    return shape.op == "depthwise" and shape.groups == shape.input_channels == shape.output_channels
