"""Depthwise convolutions: the fast kernels, which cut a tile into bands, and the portable one."""

from __future__ import annotations

import dataclasses

from fbcompile.lowering.kernels.candidate import (
    SIMD,
    Candidate,
    Predicate,
    activations_of_8_bits,
    channels_in_fours,
    kernel_is_3x3,
    kernel_is_5x5,
    narrow_output,
    stride_1_or_2,
)
from fbcompile.lowering.kernels.model import Cost, Kernel, Tile, is_depthwise, portable_kernel, weighted
from fbcompile.lowering.network import Layer, WeightedLayer
from fbcompile.lowering.requantization_form import RequantizationForm, fold_requantization

PLANES_BYTES = 3072
"""What the planes of a core's band of four channels may take, if a row of them does not take more."""

_TOGETHER_BYTES = 2048
"""What the planes of several such bands may take."""


@dataclasses.dataclass(frozen=True)
class BandCosts:
    """What a band costs a kernel, in any unit: how it weighs numbers of bands.

    Attributes:
        kernel: Rows and columns of its window.
        pixel: Per output pixel.
        column: Per column of outputs.
        unit: Per band.
        at_once: Groups of channels whose planes a core holds at once, at most.
    """

    kernel: int
    pixel: int
    column: int
    unit: int
    at_once: int = 1

    def fewest(self, input_rows: int, height: int, stride: int) -> int:
        """Bands of a tile of so many output rows, if the planes of one have room for ``input_rows``."""
        most_rows = 1 if input_rows < self.kernel else (input_rows - self.kernel) // stride + 1
        return -(-height // most_rows)

    def cut(self, groups: int, fewest: int, width: int, height: int, cores: int) -> tuple[int, int, int]:
        """Bands, their rows, and how many numbers were compared: the cheapest for the slowest core."""
        best, rows, compared = None, height, 0
        for bands in range(fewest, min(fewest + 8, height + 1)):
            band_rows = -(-height // bands)
            units = -(-groups * bands // cores)
            cost = units * ((self.pixel * band_rows + self.column) * width + self.unit)
            compared += 1
            if best is None or cost < best:
                best, rows = cost, band_rows
            if groups * bands % cores == 0:
                break
        return -(-height // rows), rows, compared


@dataclasses.dataclass(frozen=True)
class Bands:
    """How a tile is cut into units, a band of output rows of four channels, one per core at a time.

    The sizes are those of ``kernels/micro/fbc_depthwise_bands.h``.

    Attributes:
        groups: Groups of four channels.
        bands: Bands of output rows.
        rows: Output rows of a band; the last may have fewer.
        quads: Words of a row of a plane, its border included.
        input_rows: Rows of a plane, borders included.
        at_once: Groups whose planes lie in a core's scratch.
        compared: Numbers of bands that were compared, 0 if one band fits and all cores have as much to do.
    """

    groups: int
    bands: int
    rows: int
    quads: int
    input_rows: int
    at_once: int
    compared: int

    @classmethod
    def of(cls, tile: Tile, costs: BandCosts, stride: int, cores: int) -> Bands:
        """The cut of a tile for a square kernel."""
        width, height = tile.output_width, tile.output_height
        groups = tile.output_channels // 4
        quads = 1 + -(-tile.input_width // 4)
        fewest = costs.fewest(PLANES_BYTES // (16 * quads), height, stride)
        bands, rows, compared = costs.cut(groups, fewest, width, height, cores)
        whole = fewest == 1 and groups % cores == 0
        input_rows = (rows - 1) * stride + costs.kernel
        room, most = _TOGETHER_BYTES // (16 * quads * input_rows), -(-groups * bands // cores)
        at_once = max(1, min(costs.at_once, room, most))
        return cls(groups, bands, rows, quads, input_rows, at_once, 0 if whole else compared)


@dataclasses.dataclass(frozen=True)
class BandKernel(Kernel):
    """A depthwise convolution that writes the bordered planes of a unit into scratch, and reads them there.

    Attributes:
        band_costs: Its window, and what a band costs.
    """

    band_costs: BandCosts = BandCosts(0, 0, 0, 0)

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Planes of each core, and a word between the cores."""
        cut = self._cut(layer, tile, cores)
        return cores * (16 * cut.quads * cut.input_rows * cut.at_once + 4)

    def _cut(self, layer: Layer, tile: Tile, cores: int) -> Bands:
        return Bands.of(tile, self.band_costs, layer.shape.stride_height, cores)


@dataclasses.dataclass(frozen=True)
class StripKernel(BandKernel):
    """The 3x3 depthwise convolution, down strips of two columns.

    Attributes:
        compare: Cycles per number of bands that is compared.
        begin: Cycles per call for a requantization that is not plain: code that is not in the cache.
        begin_halves: Likewise for outputs of 2 bits.
        together: Cycles per units (bands of four channels) that are computed at once.
        unit: Cycles per unit, by whether the input is channel-first.
        taps: More per unit if weights have less than 8 bits.
        strip: Cycles per strip of two output columns and two channels.
        quad: Cycles per unit and column of quads (four columns of four channels).
        quad_row: Cycles per quad of one row, by whether the input is channel-first.
        output: Per output element, by stride.
        bytes: More per unit, and per output element, if the requantization is folded to outputs of 8 bits.
        short: Likewise to narrower ones.
        clamped: Likewise if sums are clamped.
        general: More per output element, if outputs are not clipped to all unsigned numbers of their width.
        halves: More per units computed at once, and per output element, if outputs have 2 bits.
    """

    compare: float = 85
    begin: float = 50
    begin_halves: float = 780
    together: float = 275
    unit: tuple[float, float] = (180, 135)
    taps: float = 34
    strip: float = 14
    quad: float = 20
    quad_row: tuple[float, float] = (19.5, 11)
    output: tuple[float, float] = (8.36, 10.2)
    bytes: tuple[float, float] = (25, 1.7)
    short: tuple[float, float] = (15, 0.0)
    clamped: tuple[float, float] = (20, 3.1)
    general: float = 7.3
    halves: tuple[float, float] = (150, 0.8)

    def form(self, layer: Layer) -> RequantizationForm:
        """Folded where that is faster."""
        folded = fold_requantization(weighted(layer).requantization, layer.output.bits)
        return RequantizationForm.LESS_ONE if folded is None else RequantizationForm.FOLDED

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Units of the slowest core."""
        cut, first = self._cut(layer, tile, cores), tile.input_channel_first
        more_per_unit, more_per_output = self._requantization(weighted(layer))
        narrow, halves = weighted(layer).weight_bits < 8, layer.output.bits == 2
        unusual = (more_per_unit, more_per_output) != (0.0, 0.0)
        call = self.cost.call + self.begin * unusual + self.begin_halves * halves
        call += 0.0 if cut.compared == 0 else self.compare * (cut.compared + 2)
        per_unit = self.unit[first] + self.taps * narrow + more_per_unit
        per_output = self.output[layer.shape.stride_width - 1] + more_per_output + self.halves[1] * halves
        rows = min(cut.input_rows, tile.input_height)
        work = (
            per_unit
            + (cut.quads - 1) * (self.quad + rows * self.quad_row[first])
            + 2 * -(-tile.output_width // 2) * (self.strip + 4 * cut.rows * per_output)
        )
        units = -(-cut.groups * cut.bands // cores)
        call += -(-units // cut.at_once) * (self.together + self.halves[0] * halves)
        return call + units * work

    def _requantization(self, layer: WeightedLayer) -> tuple[float, float]:
        """Cycles per unit and per output element beyond the plain kind."""
        parameters, bits = layer.requantization, layer.output.bits
        if parameters.low != 0 or parameters.high != (1 << bits) - 1:
            return 0.0, self.general
        if self.form(layer) == RequantizationForm.FOLDED:
            return self.short if bits < 8 else self.bytes
        return (0.0, 0.0) if parameters.clamp is None else self.clamped


@dataclasses.dataclass(frozen=True)
class ColumnKernel(BandKernel):
    """The 5x5 depthwise convolution, down single columns of one channel.

    Attributes:
        compare: Cycles per number of bands that is compared.
        begin: Cycles per call for each of weights and outputs narrower than 8 bits: code that is not in the
            cache.
        unit: Cycles per unit (a band of four channels).
        taps: More per unit if weights have less than 8 bits.
        chains: More per unit if outputs have less than 8 bits.
        column: Cycles per column of outputs of one channel, by stride.
        quad: Cycles per unit and column of quads (four columns of four channels).
        quad_row: Cycles per quad of one row, by whether the input is channel-first.
        output: Per output element, by stride.
        general: More per output element, if sums are clamped or the lower bound is not 0.
        inserted: More per output element that does not begin a byte.
    """

    compare: float = 68
    begin: float = 75
    unit: float = 680
    taps: float = 350
    chains: float = 275
    column: tuple[float, float] = (19, 11.4)
    quad: float = 54
    quad_row: tuple[float, float] = (20, 12.3)
    output: tuple[float, float] = (15.15, 18.9)
    general: float = 2.14
    inserted: float = 2.15

    def form(self, layer: Layer) -> RequantizationForm:
        """Never in 64 bits."""
        return RequantizationForm.LESS_ONE

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Units of the slowest core."""
        cut, first, stride = self._cut(layer, tile, cores), tile.input_channel_first, layer.shape.stride_width
        parameters, bits = weighted(layer).requantization, layer.output.bits
        narrow_taps, narrow_outputs = weighted(layer).weight_bits < 8, bits < 8
        per_output = self.output[stride - 1] + self.inserted * (1 - bits / 8)
        if parameters.clamp is not None or parameters.low != 0:
            per_output += self.general
        rows = min(cut.input_rows, tile.input_height)
        work = (
            self.unit
            + self.taps * narrow_taps
            + self.chains * narrow_outputs
            + (cut.quads - 1) * (self.quad + rows * self.quad_row[first])
            + 4 * tile.output_width * (self.column[stride - 1] + cut.rows * per_output)
        )
        comparing = 0.0 if cut.compared == 0 else self.compare * (cut.compared + 2)
        call = self.cost.call + comparing + self.begin * (narrow_taps + narrow_outputs)
        return call + -(-cut.groups * cut.bands // cores) * work


def _padding_below_kernel(layer: Layer) -> bool:
    """No row or column of outputs lies wholly beside the input."""
    shape = layer.shape
    rows, columns = (shape.pad_top, shape.pad_bottom), (shape.pad_left, shape.pad_right)
    return max(rows) < shape.kernel_height and max(columns) < shape.kernel_width


def _output_has(bits: int) -> Predicate:
    def holds(layer: Layer) -> bool:
        return layer.output.bits == bits

    return holds


BAND_PREDICATES: tuple[Predicate, ...] = (
    is_depthwise,
    stride_1_or_2,
    channels_in_fours,
    narrow_output,
    _padding_below_kernel,
)
"""Of all layers that kernels compute which cut tiles into bands."""


def _with_channel_first(kernel: Kernel, *predicates: Predicate) -> tuple[Candidate, Candidate]:
    """With activations of 8 bits, which may be channel-first, and with all others."""
    planes = dataclasses.replace(kernel, takes_channel_first=True)
    needs = (*BAND_PREDICATES, *predicates)
    return Candidate(planes, SIMD, (*needs, activations_of_8_bits)), Candidate(kernel, SIMD, needs)


def _strip_candidates(output_bits: int) -> tuple[Candidate, Candidate]:
    """For outputs of that width."""
    function = f"fbc_depthwise_3x3_to_{output_bits}"
    kernel = StripKernel(
        function,
        "fbc_conv_args",
        "filter_rows",
        4,
        f"kernels/{function}.c",
        Cost(990, 0, 0, 0),
        output_widths=(output_bits,),
        wide=False,
        band_costs=BandCosts(kernel=3, pixel=8, column=5, unit=70, at_once=4),
    )
    return _with_channel_first(kernel, kernel_is_3x3, _output_has(output_bits))


_COLUMNS = ColumnKernel(
    "fbc_depthwise_5x5",
    "fbc_conv_args",
    "depthwise",
    4,
    "kernels/fbc_depthwise_5x5.c",
    Cost(1110, 0, 0, 0),
    output_widths=(8, 4, 2),
    wide=False,
    band_costs=BandCosts(kernel=5, pixel=20, column=30, unit=220),
)

PORTABLE = portable_kernel("depthwise", "fbc_conv_args", "depthwise", Cost(200, 60, 60, 18))

CANDIDATES = (
    *(candidate for bits in (8, 4, 2) for candidate in _strip_candidates(bits)),
    *_with_channel_first(_COLUMNS, kernel_is_5x5),
    Candidate(PORTABLE, predicates=(is_depthwise,)),
)
"""Of depthwise layers whose channels are not multiplied; others are dense convolutions with zeros."""
