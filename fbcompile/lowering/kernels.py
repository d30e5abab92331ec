"""Which C kernel computes a layer on a target, what it needs, and what it costs.

The C side is ``runtime_c/kernels``: one kernel a file. How each kernel's arguments follow from a layer:

* A convolution's tile holds all its input channels; a depthwise tile as many input as output channels.
* A linear layer is a convolution whose kernel covers its whole input tensor (``kernel_height`` and
  ``kernel_width`` are the tensor's height and width, no padding) and whose output is one pixel.
* A grouped convolution that is not depthwise runs as a dense one: ``packing.pack_weights`` writes the zeros
  between the groups.
* Every pointer of an argument struct is 4-byte aligned.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fbcompile.errors import InternalError, UnsupportedModelError
from fbcompile.lowering.network import Layer, WeightedLayer
from fbcompile.targets.target import Target

WIDTHS = (8, 4, 2)
"""Widths of activations and weights that kernels read."""

OUTPUT_WIDTHS = (8, 4, 2, 32)
"""Widths of tensors that kernels write."""


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
    """

    call: float
    pixel: float
    output: float
    mac: float


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
        cost = self.cost
        return cost.call + (cost.pixel * pixels + cost.output * outputs + cost.mac * macs) / cores


@dataclasses.dataclass(frozen=True)
class BlockedKernel(Kernel):
    """The convolution in blocks of 4 pixels x 4 channels; the sizes of ``kernels/common/fbc_blocked_plan.h``.

    Attributes:
        width: Bits of the dot products: activations and weights are widened to it.
        block: Cycles of a block beside its words: requantization, packing, call.
        word: Cycles of a block per word of its columns.
        gather: Cycles per word to gather one column.
        narrow: Cycles per word that is widened, of activations or weights.
    """

    width: int = 8
    block: float = 0.0
    word: float = 0.0
    gather: float = 0.0
    narrow: float = 0.0

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
        layer = _weighted(layer)
        weights = 0
        if layer.weight_bits < self.width:
            words = self.group_words(layer) * (self.width // layer.weight_bits)
            weights = -(-tile.output_channels // 4) * 16 * words
        columns = 4 * 4 * self.column_words(layer) + 4
        return weights + (0 if self.reads_in_place(layer, tile) else cores * columns)

    def weight_bytes(self, layer: Layer, output_channels: int) -> int:
        """Whole groups of four channels."""
        return -(-output_channels // 4) * 16 * self.group_words(_weighted(layer))

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Blocks of the slowest core, plus gathering and widening."""
        layer = _weighted(layer)
        words, bits = self.column_words(layer), layer.inputs[0].bits
        pixels, groups = tile.output_height * tile.output_width, -(-tile.output_channels // 4)
        blocks = -(-(-(-pixels // 4) * groups) // cores)
        cycles = self.cost.call + blocks * (self.block + self.word * words * (1 if pixels > 1 else 0.3))
        if not self.reads_in_place(layer, tile):
            per_word = self.gather if bits == self.width else self.narrow
            cycles += 4 * -(-blocks // groups) * (self.cost.pixel + per_word * words)
        if layer.weight_bits < self.width:
            cycles += self.narrow * 4 * groups * words / cores
        return cycles


def _weighted(layer: Layer) -> WeightedLayer:
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


def _portable(name: str, arguments: str, layout: str, channel_block: int, cost: Cost) -> Kernel:
    function = f"fbc_{name}_portable"
    return Kernel(function, arguments, layout, channel_block, f"kernels/{function}.c", cost)


CONV_PORTABLE = _portable("conv", "fbc_conv_args", "dense", 4, Cost(200, 60, 60, 11))
DEPTHWISE_PORTABLE = _portable("depthwise", "fbc_conv_args", "depthwise", 4, Cost(200, 60, 60, 18))
ADD_PORTABLE = _portable("add", "fbc_add_args", "none", 4, Cost(200, 20, 0, 40))
MAX_POOL_PORTABLE = _portable("max_pool", "fbc_pool_args", "none", 4, Cost(200, 40, 20, 20))
AVERAGE_POOL_PORTABLE = _portable("average_pool", "fbc_pool_args", "none", 4, Cost(200, 0, 60, 12))
CONCAT_PORTABLE = _portable("concat", "fbc_concat_args", "none", 4, Cost(200, 20, 0, 50))


def _blocked(width: int, block: float, word: float, prepare: str = "") -> BlockedKernel:
    function = f"fbc_conv_blocked_{width}"
    return BlockedKernel(
        function,
        "fbc_conv_args",
        "blocked4",
        4,
        f"kernels/{function}.c",
        Cost(call=300, pixel=60, output=0, mac=0),
        prepare,
        width,
        block,
        word,
        gather=2.5,
        narrow=9.0,
    )


_BLOCKED_CYCLES = {
    # (block, word) of each instruction set and width
    ("xpulpnn", 8): (150.0, 17.2),
    ("xpulpnn", 4): (155.0, 17.2),
    ("xpulpnn", 2): (155.0, 17.2),
    ("xpulpv2", 8): (150.0, 25.3),
}

_PORTABLE_BY_OP = {
    "conv": CONV_PORTABLE,
    "linear": CONV_PORTABLE,
    "add": ADD_PORTABLE,
    "max_pool": MAX_POOL_PORTABLE,
    "average_pool": AVERAGE_POOL_PORTABLE,
    "requantize": CONCAT_PORTABLE,
    "concat": CONCAT_PORTABLE,
}


def choose_kernel(layer: Layer, target: Target) -> Kernel:
    """The kernel that computes ``layer`` on ``target``.

    Raises:
        UnsupportedModelError: No kernel of the target computes this operator at these precisions.
    """
    _check_precisions(layer, target)
    op = layer.shape.op
    if isinstance(layer, WeightedLayer) and not is_depthwise(layer) and target.isa != "portable":
        return _choose_blocked(layer, target)
    if op == "depthwise":
        return DEPTHWISE_PORTABLE if is_depthwise(layer) else CONV_PORTABLE
    if op in _PORTABLE_BY_OP:
        return _PORTABLE_BY_OP[op]
    raise UnsupportedModelError(
        f"layer {layer.name}: no kernel computes the operator {op!r} on target {target.name}",
        why=f"kernels exist for {', '.join(sorted({*_PORTABLE_BY_OP, 'depthwise'}))}",
        where="lower",
        hint="use an operator of this list; `fbcompile ops` shows all of them",
    )


def runtime_sources(target: Target) -> list[Path]:
    """The C files of all kernels that layers can need on ``target``, relative to ``runtime_c``."""
    names = [kernel.source for kernel in {*_PORTABLE_BY_OP.values(), DEPTHWISE_PORTABLE}]
    widths = [width for isa, width in _BLOCKED_CYCLES if isa == target.isa]
    names += [f"kernels/fbc_conv_blocked_{width}.c" for width in widths]
    names += [f"kernels/fbc_expand_weights_{width}.c" for width in widths if width > min(WIDTHS)]
    return sorted(Path(name) for name in names)


def _choose_blocked(layer: WeightedLayer, target: Target) -> BlockedKernel:
    """The narrowest dot product of the instruction set that holds activations and weights."""
    widths = [width for isa, width in _BLOCKED_CYCLES if isa == target.isa]
    width = min(width for width in widths if width >= max(layer.inputs[0].bits, layer.weight_bits))
    prepare = f"fbc_expand_weights_{width}" if layer.weight_bits < width else ""
    return _blocked(width, *_BLOCKED_CYCLES[target.isa, width], prepare)


def _check_precisions(layer: Layer, target: Target) -> None:
    reads = [tensor.bits for tensor in layer.inputs]
    if isinstance(layer, WeightedLayer):
        reads.append(layer.weight_bits)
    problems = [f"reads {bits} bit" for bits in reads if bits not in WIDTHS]
    if layer.output.bits not in OUTPUT_WIDTHS:
        problems.append(f"writes {layer.output.bits} bit")
    if problems:
        raise UnsupportedModelError(
            f"layer {layer.name} ({layer.shape.op}): no kernel of {target.name} {' and '.join(problems)}",
            why=f"kernels read {WIDTHS} and write {OUTPUT_WIDTHS} bits",
            where="lower",
            hint="choose one of these widths in the precision file",
        )
