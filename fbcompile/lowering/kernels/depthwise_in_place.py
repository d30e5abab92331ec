"""Depthwise 3x3 kernels that read channel-first activations in place, without scratch."""

from __future__ import annotations

import dataclasses

import numpy as np

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
class StripCosts:
    """What strips of two output columns cost, at one stride, in cycles.

    Attributes:
        at_once: Channels of a strip.
        bands: How the kernel weighs numbers of bands.
        call: Per call and pass.
        weighed: More per call, if the kernel weighs numbers of bands.
        unit: Per strip's channels, band and pass.
        strip: Per strip, less what rows of padding spare.
        beside: More per row above or below a strip's band that is no padding.
        output: Per output element.
        clamped: More per output element, if sums are clamped.
        narrow: More per call, if weights are narrower than activations.
        taps: Likewise per strip's channels and band.
    """

    at_once: int
    bands: BandCosts
    call: float
    weighed: float
    unit: float
    strip: float
    beside: float = 0.0
    output: float
    clamped: float = 0.0
    narrow: float = 0.0
    taps: float = 0.0

    def unit_cycles(self, layer: WeightedLayer, rows: int, beside: float) -> float:
        """Of the channels of a strip, in a band of so many rows; ``beside`` rows around it are no padding."""
        strips, passes, narrower = strips_of_row(layer), passes_of(layer), is_narrower(layer)
        output = self.output + self.clamped * (layer.requantization.clamp is not None)
        strip = self.strip + self.beside * beside + 2 * self.at_once * rows * output
        return passes * self.unit + strips * strip + self.taps * narrower

    def call_cycles(self, layer: WeightedLayer, *, weighed: bool) -> float:
        """Of a call, besides the units."""
        return passes_of(layer) * self.call + self.weighed * weighed + self.narrow * is_narrower(layer)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InPlaceKernel(Kernel):
    """A 3x3 depthwise convolution down strips of two columns of one channel, or of some channels.

    Attributes:
        channels_of_unit: A unit is a band of output rows of so many channels, for one core at a time.
        costs: By stride, from 1 on.
    """

    channels_of_unit: int
    costs: tuple[StripCosts, ...]

    def form(self, layer: Layer) -> RequantizationForm:
        """It multiplies in place, or compares."""
        narrowest = self.output_widths == (2,)
        return RequantizationForm.THRESHOLDS if narrowest else RequantizationForm.LESS_ONE

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Units of the slowest core."""
        layer, costs = weighted(layer), self.costs_of(layer)
        units, bands, rows = tile.output_channels // self.channels_of_unit, 1, tile.output_height
        weighed = units % cores != 0
        if weighed:
            bands, rows, _ = costs.bands.cut(units, 1, tile.output_width, rows, cores)
        slowest = -(-units * bands // cores) * self.channels_of_unit // costs.at_once
        work = costs.unit_cycles(layer, rows, rows_beside(tile, bands))
        return costs.call_cycles(layer, weighed=weighed) + slowest * work

    def costs_of(self, layer: Layer) -> StripCosts:
        """Those of a layer's stride."""
        return self.costs[layer.shape.stride_width - 1]


def strips_of_row(layer: WeightedLayer) -> int:
    """Strips of two output columns."""
    return -(-layer.output.width // 2)


def passes_of(layer: WeightedLayer) -> int:
    """With stride 2, strips at padding on the left and on the right are of different passes."""
    return max(1, layer.shape.pad_left + columns_behind(layer)) if layer.shape.stride_width == 2 else 1


def rows_beside(tile: Tile, bands: int) -> float:
    """Rows above and below a band that are no padding, on average over the bands of a tile of stride 1."""
    return 2 - (2 - tile.input_height + tile.output_height) / bands


def is_narrower(layer: WeightedLayer) -> bool:
    """Weights have fewer bits than activations."""
    return layer.weight_bits < layer.inputs[0].bits


def columns_behind(layer: Layer) -> int:
    """Columns of the last window behind the tensor."""
    shape = layer.shape
    read = (layer.output.width - 1) * shape.stride_width + shape.kernel_width
    return read - shape.pad_left - layer.inputs[0].width


def fits_in_place(layer: Layer) -> bool:
    """Planes without borders do: rows are whole bytes, and there is little padding.

    A column of it at most on each side and one at all (stride 2: or more); so are columns.
    The C side is ``common/fbc_in_place.h``.
    """
    shape, source, behind = layer.shape, layer.inputs[0], columns_behind(layer)
    return (
        source.width >= 4
        and source.width * source.bits % 8 == 0
        and max(shape.pad_top, shape.pad_bottom, shape.pad_left) <= 1
        and behind in (0, 1)
        and shape.pad_left + behind + shape.stride_width >= 3
    )


def clips_to_all_bytes(layer: Layer) -> bool:
    """Outputs are clipped to all unsigned bytes."""
    given = weighted(layer).requantization
    return (given.low, given.high) == (0, 255)


def shifts_by_an_immediate(layer: Layer) -> bool:
    """Outputs are clipped to all unsigned numbers and shifted as narrow planes are; sums are not clamped."""
    given = weighted(layer).requantization
    bounds = (given.low, given.high) == (0, (1 << layer.output.bits) - 1)
    return bounds and given.shift == PLANE_SHIFT and given.clamp is None


def _rises(layer: Layer) -> bool:
    return not np.any(weighted(layer).requantization.multiplier < 0)


def _channel_first(layer: Layer) -> bool:
    return layer.inputs[0].channel_first


PREDICATES = (is_depthwise, kernel_is_3x3, stride_1_or_2, channels_in_fours, fits_in_place)
"""Of all layers that these kernels compute, whatever the input's layout."""

_IN_PLACE = (*PREDICATES, _channel_first)


_CHANNEL_BANDS = BandCosts(kernel=3, pixel=8, column=7, unit=100)

CHANNELS_8 = InPlaceKernel(
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
    channels_of_unit=1,
    costs=(
        StripCosts(
            at_once=1,
            bands=_CHANNEL_BANDS,
            call=680,
            weighed=255,
            unit=48,
            strip=-3,
            beside=8.8,
            output=8.0,
            clamped=1.17,
            narrow=75,
            taps=64,
        ),
        StripCosts(
            at_once=1,
            bands=_CHANNEL_BANDS,
            call=522,
            weighed=600,
            unit=33.6,
            strip=8.4,
            output=10.44,
            clamped=1.17,
            narrow=75,
            taps=26,
        ),
    ),
)
PAIRS_4 = dataclasses.replace(
    CHANNELS_8,
    function="fbc_depthwise_pairs_4",
    source="kernels/fbc_depthwise_pairs_4.c",
    weight_layout="plane_rows",
    activation_widths=(4,),
    weight_widths=(4,),
    output_widths=(4,),
    channels_of_unit=4,
    costs=(
        StripCosts(
            at_once=2,
            bands=BandCosts(kernel=3, pixel=33, column=11, unit=330),
            call=300,
            weighed=1080,
            unit=141,
            strip=11.4,
            output=7.19,
        ),
        StripCosts(
            at_once=2,
            bands=BandCosts(kernel=3, pixel=33, column=37, unit=700),
            call=558,
            weighed=640,
            unit=72,
            strip=31.7,
            output=8.6,
        ),
    ),
)
_PAIRS_2 = dataclasses.replace(
    PAIRS_4,
    function="fbc_depthwise_pairs_2",
    source="kernels/fbc_depthwise_pairs_2.c",
    activation_widths=(2,),
    weight_widths=(2,),
    output_widths=(2,),
    costs=(
        StripCosts(
            at_once=4,
            bands=BandCosts(kernel=3, pixel=33, column=22, unit=560),
            call=290,
            weighed=1020,
            unit=315,
            strip=28,
            output=4.6,
        ),
        StripCosts(
            at_once=2,
            bands=BandCosts(kernel=3, pixel=33, column=37, unit=700),
            call=782,
            weighed=749,
            unit=71,
            strip=27.6,
            output=8.38,
        ),
    ),
)

CANDIDATES = (
    Candidate(CHANNELS_8, SIMD, (*_IN_PLACE, clips_to_all_bytes)),
    Candidate(PAIRS_4, ("xpulpnn",), (*_IN_PLACE, shifts_by_an_immediate)),
    Candidate(_PAIRS_2, ("xpulpnn",), (*_IN_PLACE, shifts_by_an_immediate, _rises)),
)
"""In order of preference."""
