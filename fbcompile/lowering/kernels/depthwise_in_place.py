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
class InPlaceKernel(Kernel):
    """A 3x3 depthwise convolution down strips of two columns of one channel, or of some channels.

    Strips come in phases: those inside, and those at each edge with a column of padding. Pairs of costs are
    by stride.

    Attributes:
        channels_at_once: Channels of a strip.
        channels_of_unit: A unit is a band of output rows of so many channels, for one core at a time.
        band_costs: How it weighs numbers of bands.
        call: Cycles per call.
        banded: More of them, if bands are weighed, because the cores cannot share the channels evenly.
        unit: Cycles per strip's channels and band.
        phase: Cycles per phase of strips in them.
        strip: Cycles per strip.
        output: Cycles per output element.
        clamped: More per output element, if sums are clamped.
        narrow: More per call, if weights are narrower than activations.
        taps: Likewise per strip's channels and band.
    """

    channels_at_once: tuple[int, int]
    channels_of_unit: int
    band_costs: tuple[BandCosts, BandCosts]
    call: tuple[float, float]
    banded: tuple[float, float]
    unit: tuple[float, float]
    phase: tuple[float, float]
    strip: tuple[float, float]
    output: tuple[float, float]
    clamped: float = 0.0
    narrow: float = 0.0
    taps: float = 0.0

    def form(self, layer: Layer) -> RequantizationForm:
        """It multiplies in place, or compares."""
        narrowest = self.output_widths == (2,)
        return RequantizationForm.THRESHOLDS if narrowest else RequantizationForm.LESS_ONE

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Units of the slowest core."""
        stride = layer.shape.stride_width - 1
        units, bands, rows = tile.output_channels // self.channels_of_unit, 1, tile.output_height
        banded, at_once = units % cores != 0, self.channels_at_once[stride]
        if banded:
            bands, rows, _ = self.band_costs[stride].cut(units, 1, tile.output_width, rows, cores)
        work = self.strips_cycles(weighted(layer), rows)
        slowest = -(-units * bands // cores) * self.channels_of_unit // at_once
        call = self.call[stride] + self.banded[stride] * banded + self.narrow * _is_narrower(weighted(layer))
        return call + slowest * work

    def strips_cycles(self, layer: WeightedLayer, rows: int) -> float:
        """Cycles of all strips of a band of so many output rows, of the channels of a strip."""
        stride = layer.shape.stride_width - 1
        strips, phases = self._strips(layer)
        clamped = self.clamped if layer.requantization.clamp is not None else 0.0
        per_row = 2 * self.channels_at_once[stride] * (self.output[stride] + clamped)
        work = self.unit[stride] + phases * self.phase[stride] + self.taps * _is_narrower(layer)
        return work + strips * (self.strip[stride] + rows * per_row)

    def _strips(self, layer: WeightedLayer) -> tuple[int, int]:
        """Strips of a row, and how many phases they are."""
        shape, width = layer.shape, layer.output.width
        if shape.stride_width == 1:
            edges, classes = 2, 2 if layer.inputs[0].bits == 2 else 1
        else:
            edges, classes = shape.pad_left + columns_behind(layer), 1
        inside = max(0, -(-(width - 2 * edges) // 2))
        return edges + inside, edges + min(classes, inside)


def _is_narrower(layer: WeightedLayer) -> bool:
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
    channels_at_once=(1, 1),
    channels_of_unit=1,
    band_costs=(BandCosts(kernel=3, pixel=8, column=7, unit=100),) * 2,
    call=(700, 700),
    banded=(600, 600),
    unit=(60, 60),
    phase=(11, 11),
    strip=(13, 13),
    output=(7.9, 10.7),
    clamped=1.17,
    narrow=75,
    taps=26,
)
PAIRS_4 = dataclasses.replace(
    CHANNELS_8,
    function="fbc_depthwise_pairs_4",
    source="kernels/fbc_depthwise_pairs_4.c",
    weight_layout="plane_rows",
    activation_widths=(4,),
    weight_widths=(4,),
    output_widths=(4,),
    channels_at_once=(2, 2),
    channels_of_unit=4,
    band_costs=(
        BandCosts(kernel=3, pixel=33, column=11, unit=330),
        BandCosts(kernel=3, pixel=33, column=37, unit=700),
    ),
    call=(300, 700),
    banded=(1080, 525),
    unit=(141, 0),
    phase=(0, 117),
    strip=(11.4, 44),
    output=(7.19, 8.9),
    clamped=0.0,
    narrow=0.0,
    taps=0.0,
)
_PAIRS_2 = dataclasses.replace(
    PAIRS_4,
    function="fbc_depthwise_pairs_2",
    source="kernels/fbc_depthwise_pairs_2.c",
    activation_widths=(2,),
    weight_widths=(2,),
    output_widths=(2,),
    channels_at_once=(4, 2),
    band_costs=(
        BandCosts(kernel=3, pixel=33, column=22, unit=560),
        BandCosts(kernel=3, pixel=33, column=37, unit=700),
    ),
    call=(290, 1430),
    banded=(1020, 1300),
    unit=(315, 0),
    phase=(0, 127),
    strip=(28, 38),
    output=(4.6, 9.5),
)

CANDIDATES = (
    Candidate(CHANNELS_8, SIMD, (*_IN_PLACE, clips_to_all_bytes)),
    Candidate(PAIRS_4, ("xpulpnn",), (*_IN_PLACE, shifts_by_an_immediate)),
    Candidate(_PAIRS_2, ("xpulpnn",), (*_IN_PLACE, shifts_by_an_immediate, _rises)),
)
"""In order of preference."""
