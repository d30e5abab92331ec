"""Depthwise 3x3 kernels that read channel-first activations in place, without scratch."""

from __future__ import annotations

import dataclasses

from fbcompile.lowering.kernels.candidate import (
    SIMD,
    Candidate,
    channels_in_fours,
    kernel_is_3x3,
    stride_1_or_2,
)
from fbcompile.lowering.kernels.depthwise import BandCosts
from fbcompile.lowering.kernels.model import (
    Cost,
    Kernel,
    Tile,
    is_depthwise,
    weighted,
)
from fbcompile.lowering.network import Layer, WeightedLayer
from fbcompile.lowering.requantization_form import PLANE_SHIFT, RequantizationForm


@dataclasses.dataclass(frozen=True, kw_only=True)
class InPlaceKernel(Kernel):
    """A 3x3 depthwise convolution down strips of two columns of one channel, or of a pair of channels.

    Strips come in phases: those inside, where they are not alike, and those at each edge with a column of
    padding. Pairs are by stride.

    Attributes:
        channels_at_once: Channels of a strip.
        channels_of_unit: A unit is a band of output rows of so many channels, for one core at a time.
        band_costs: How it weighs numbers of bands.
        edges: Strips at the edges with stride 1.
        inside: Phases of the strips inside; with 0 they are in that of an edge.
        call: Cycles per call.
        begin: Cycles per call and phase.
        banded: More of them, if there are several bands.
        unit: Cycles per strip's channels and band.
        phase: Cycles per phase of strips in them.
        strip: Cycles per strip, less what rows of padding spare.
        beside: More, with stride 1, per row above or below the outputs that is no padding.
        output: Cycles per output element.
        clamped: More per output element, if sums are clamped.
        narrow: More per call, if weights are narrower than activations.
        taps: Likewise per strip's channels and band.
    """

    channels_at_once: int
    channels_of_unit: int
    band_costs: BandCosts
    edges: int = 2
    inside: tuple[int, int] = (1, 1)
    call: tuple[float, float]
    begin: tuple[float, float] = (0, 0)
    banded: tuple[float, float]
    unit: tuple[float, float]
    phase: tuple[float, float]
    strip: tuple[float, float]
    beside: float = 0.0
    output: tuple[float, float]
    clamped: float = 0.0
    narrow: float = 0.0
    taps: tuple[float, float] = (0, 0)

    def form(self, layer: Layer) -> RequantizationForm:
        """It multiplies in place."""
        return RequantizationForm.LESS_ONE

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Units of the slowest core."""
        layer = weighted(layer)
        stride = layer.shape.stride_width - 1
        units, bands, rows = tile.output_channels // self.channels_of_unit, 1, tile.output_height
        if units % cores != 0:
            bands, rows, _ = self.band_costs.cut(units, 1, tile.output_width, rows, cores)
        strips, phases = self._strips(layer)
        clamped = self.clamped if layer.requantization.clamp is not None else 0.0
        per_row = 2 * self.channels_at_once * (self.output[stride] + clamped)
        beside = 2 - (2 - tile.input_height + tile.output_height) / bands
        strip = self.strip[stride] + self.beside * beside * (stride == 0) + rows * per_row
        narrower = layer.weight_bits < layer.inputs[0].bits
        work = self.unit[stride] + phases * self.phase[stride] + strips * strip + self.taps[stride] * narrower
        slowest = -(-units * bands // cores) * self.channels_of_unit // self.channels_at_once
        call = self.call[stride] + phases * self.begin[stride] + self.banded[stride] * (bands > 1)
        return call + self.narrow * narrower + slowest * work

    def _strips(self, layer: WeightedLayer) -> tuple[int, int]:
        """Strips of a row, and how many phases they are."""
        shape, width = layer.shape, layer.output.width
        edges = self.edges if shape.stride_width == 1 else shape.pad_left + columns_behind(layer)
        inside = max(0, -(-(width - 2 * edges) // 2))
        return edges + inside, edges + min(self.inside[shape.stride_width - 1], inside)


def columns_behind(layer: Layer) -> int:
    """Columns of the last window behind the tensor."""
    shape = layer.shape
    read = (layer.output.width - 1) * shape.stride_width + shape.kernel_width
    return read - shape.pad_left - layer.inputs[0].width


def fits_in_place(layer: Layer) -> bool:
    """Rows are whole bytes, with a column of padding at most on each side and one at all; so are columns.

    The C side is ``common/fbc_in_place.h``.
    """
    shape, source, behind = layer.shape, layer.inputs[0], columns_behind(layer)
    return (
        source.channel_first
        and source.width >= 4
        and source.width * source.bits % 8 == 0
        and max(shape.pad_top, shape.pad_bottom, shape.pad_left) <= 1
        and behind in (0, 1)
        and shape.pad_left + behind + shape.stride_width >= 3
    )


def _clips_to_all_bytes(layer: Layer) -> bool:
    given = weighted(layer).requantization
    return (given.low, given.high) == (0, 255)


def _shifts_by_an_immediate(layer: Layer) -> bool:
    given = weighted(layer).requantization
    bounds = (given.low, given.high) == (0, (1 << layer.output.bits) - 1)
    return bounds and given.shift == PLANE_SHIFT and given.clamp is None


_PREDICATES = (is_depthwise, kernel_is_3x3, stride_1_or_2, channels_in_fours, fits_in_place)


_CHANNELS_8 = InPlaceKernel(
    "fbc_depthwise_channels_8",
    "fbc_conv_args",
    "filter_rows",
    4,
    "kernels/fbc_depthwise_channels_8.c",
    Cost(0, 0, 0, 0),
    takes_channel_first=True,
    whole_rows=True,
    activation_widths=(8,),
    output_widths=(8,),
    wide=False,
    channels_at_once=1,
    channels_of_unit=1,
    band_costs=BandCosts(kernel=3, pixel=8, column=7, unit=100),
    edges=1,
    inside=(1, 0),
    call=(680, 0),
    begin=(0, 522),
    banded=(255, 600),
    unit=(48, 0),
    phase=(0, 33.6),
    strip=(-3, 8.4),
    beside=8.8,
    output=(8.0, 10.44),
    clamped=1.17,
    narrow=75,
    taps=(64, 26),
)
_PAIRS_4 = dataclasses.replace(
    _CHANNELS_8,
    function="fbc_depthwise_pairs_4",
    source="kernels/fbc_depthwise_pairs_4.c",
    weight_layout="plane_rows",
    activation_widths=(4,),
    weight_widths=(4,),
    output_widths=(4,),
    channels_at_once=2,
    channels_of_unit=4,
    band_costs=BandCosts(kernel=3, pixel=33, column=37, unit=700),
    edges=2,
    inside=(1, 1),
    call=(700, 700),
    begin=(0, 0),
    banded=(525, 525),
    unit=(0, 0),
    phase=(117, 117),
    strip=(44, 44),
    beside=0.0,
    output=(7.9, 8.9),
    clamped=0.0,
    narrow=0.0,
    taps=(0, 0),
)
_PAIRS_2 = dataclasses.replace(
    _PAIRS_4,
    function="fbc_depthwise_pairs_2",
    source="kernels/fbc_depthwise_pairs_2.c",
    activation_widths=(2,),
    weight_widths=(2,),
    output_widths=(2,),
    inside=(2, 1),
    call=(1430, 1430),
    banded=(1300, 1300),
    phase=(127, 127),
    strip=(38, 38),
    output=(8.95, 9.5),
)

CANDIDATES = (
    Candidate(_CHANNELS_8, SIMD, (*_PREDICATES, _clips_to_all_bytes)),
    Candidate(_PAIRS_4, ("xpulpnn",), (*_PREDICATES, _shifts_by_an_immediate)),
    Candidate(_PAIRS_2, ("xpulpnn",), (*_PREDICATES, _shifts_by_an_immediate)),
)
"""In order of preference."""
