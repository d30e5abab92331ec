"""What the compiler knows of a C kernel: its name, layouts, scratch memory, weight bytes and cost.

The sizes are those of ``runtime_c/kernels``; tests compare them with what the C side says. Costs are affine
models fitted to measurements on GVSOC with TCDM bank contention on (warm second call, slowest core). Against
the measured calls, the blocked convolution is within 10 % (ragged channels up to 20 % too low; linear layers
up to 15 % too high), the fast depthwise kernels within 12 % (of 4 bits on XpulpV2 up to 16 % too low), the
portable ones within 19 % (too high: 5x5 depthwise 28 %, 4-bit depthwise 37 %).
"""

from __future__ import annotations

import dataclasses

from fbcompile.errors import InternalError
from fbcompile.lowering.network import Layer, WeightedLayer
from fbcompile.lowering.requantization_form import RequantizationForm

WIDTHS = (8, 4, 2)
"""Widths of activations and weights that kernels read."""

OUTPUT_WIDTHS = (8, 4, 2, 32)
"""Widths of tensors that kernels write."""


ROW_TAPS = 4
"""Taps of a row of a depthwise filter in ``filter_rows``, zeros included."""


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
        input_channel_first: The input tile is channel-first.
        output_channel_first: The output tile is channel-first.
    """

    input_height: int
    input_width: int
    input_channels: int
    output_height: int
    output_width: int
    output_channels: int
    input_channel_first: bool = False
    output_channel_first: bool = False


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
        weight_layout: ``dense``, ``blocked4``, ``depthwise``, ``filter_rows`` or ``none``; see
            ``packing.pack_weights``.
        channel_block: Output channels of a tile are a multiple of this, unless they are the rest.
        source: Its C file, relative to ``runtime_c``.
        cost: Its cost model on the target it was chosen for.
        prepare: C function that must run first, on the same arguments, through its own ``fbc_parallel``
            (kernels hold no barrier); empty if there is none.
        takes_channel_first: It also reads a channel-first input tile.
        writes_channel_first: It also writes a channel-first output tile.
        whole_rows: Tiles have the rows of the layer.
        activation_widths: Bits of activations that it reads.
        weight_widths: Bits of weights that it reads.
        output_widths: Bits of outputs that it writes.
        wide: It requantizes in 64 bits where a layer needs it.
    """

    function: str
    arguments: str
    weight_layout: str
    channel_block: int
    source: str
    cost: Cost
    prepare: str = ""
    takes_channel_first: bool = False
    writes_channel_first: bool = False
    whole_rows: bool = False
    activation_widths: tuple[int, ...] = WIDTHS
    weight_widths: tuple[int, ...] = WIDTHS
    output_widths: tuple[int, ...] = OUTPUT_WIDTHS
    wide: bool = True

    @property
    def reads_one_channel(self) -> bool:
        """Every output channel reads the input channel of its number."""
        return self.weight_layout in ("depthwise", "filter_rows", "plane_rows", "stacked_rows")

    @property
    def functions(self) -> tuple[str, ...]:
        """C functions that a layer with this kernel calls."""
        return (self.function, self.prepare) if self.prepare else (self.function,)

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Bytes of scratch memory that one call needs; equals what the C side's size functions say."""
        return 0

    def extra_buffers(self, layer: Layer, tile: Tile, cores: int) -> dict[str, int]:
        """L1 buffers beside operands and scratch, by name: none, unless the kernel is fused of two."""
        return {}

    def weight_bytes(self, layer: Layer, output_channels: int) -> int:
        """Bytes of the weights of that many output channels, which lie together; 0 without weights."""
        if not isinstance(layer, WeightedLayer):
            return 0
        height, width = kernel_size(layer)
        if self.weight_layout in ("filter_rows", "plane_rows"):
            return lane_bytes(output_channels * height * ROW_TAPS, layer.weight_bits)
        if self.weight_layout == "stacked_rows":
            return lane_bytes(output_channels * ROW_TAPS * ROW_TAPS, layer.weight_bits)
        if self.weight_layout == "depthwise":
            return output_channels * lane_bytes(height * width, layer.weight_bits)
        return output_channels * height * width * lane_bytes(dense_input_channels(layer), layer.weight_bits)

    def form(self, layer: Layer) -> RequantizationForm:
        """The form in which it takes the layer's requantization."""
        return RequantizationForm.OWN

    def addend_bytes(self, layer: WeightedLayer) -> int:
        """Bytes of what it adds per output channel."""
        return 8 if layer.requantization.wide or self.form(layer) == RequantizationForm.FOLDED else 4

    def resident_bytes(self, layer: Layer) -> int:
        """Bytes of weights that stay in L1 for all tiles, in front of the blocks: 0, unless it is fused."""
        return 0

    def plane_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Cycles once per tile of the plane, whatever its tiles of channels: 0, unless it is fused."""
        return 0.0

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Estimated cycles of one call on ``cores`` cores, operands in L1."""
        pixels = tile.output_height * tile.output_width
        outputs = pixels * tile.output_channels
        macs = outputs * macs_per_output(layer, tile)
        cost, bits = self.cost, layer.bits
        narrow = min(bits.activation_bits, bits.weight_bits or 8) < 8
        work = cost.pixel * pixels + cost.output * outputs + cost.mac * macs
        return cost.call + work * (cost.narrow if narrow else 1) / cores


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


def portable_kernel(name: str, arguments: str, layout: str, cost: Cost) -> Kernel:
    """The kernel ``fbc_<name>_portable`` in a file of its own."""
    function = f"fbc_{name}_portable"
    return Kernel(function, arguments, layout, 4, f"kernels/{function}.c", cost)
