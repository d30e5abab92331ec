"""Depthwise 3x3 kernels of HWC activations that write planes without borders into scratch."""

from __future__ import annotations

import dataclasses

from fbcompile.lowering.kernels.candidate import SIMD, Candidate
from fbcompile.lowering.kernels.depthwise import PLANES_BYTES, BandCosts
from fbcompile.lowering.kernels.depthwise_in_place import (
    CHANNELS_8,
    PAIRS_4,
    PREDICATES,
    InPlaceKernel,
    StripCosts,
    clips_to_all_bytes,
    rows_beside,
    shifts_by_an_immediate,
)
from fbcompile.lowering.kernels.model import Cost, Tile, weighted
from fbcompile.lowering.network import Layer

_ROWS_OF_WINDOW = 3


@dataclasses.dataclass(frozen=True)
class PixelBands:
    """How a tile is cut into units, a band of output rows of four channels, one per core at a time.

    The sizes are those of ``kernels/micro/fbc_depthwise_pixels.h``.

    Attributes:
        groups: Groups of four channels.
        bands: Bands of output rows.
        rows: Output rows of a band; the last may have fewer.
        pixels: Of a band's planes, at most.
        weighed: Numbers of bands were compared: one does not fit, or leaves cores with less to do.
    """

    groups: int
    bands: int
    rows: int
    pixels: int
    weighed: bool

    @classmethod
    def of(cls, layer: Layer, tile: Tile, costs: BandCosts, cores: int) -> PixelBands:
        """The cut of a tile."""
        stride, height, groups = layer.shape.stride_width, tile.output_height, tile.output_channels // 4
        fewest = costs.fewest(PLANES_BYTES // _row_bytes(tile.input_width, layer), height, stride)
        bands, rows, _ = costs.cut(groups, fewest, tile.output_width, height, cores)
        read = min((rows - 1) * stride + costs.kernel, tile.input_height)
        weighed = fewest > 1 or groups % cores != 0
        return cls(groups, bands, rows, read * tile.input_width, weighed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelKernel(InPlaceKernel):
    """The kernel that reads planes in place, on planes that it has transposed.

    Attributes:
        pixel: Cycles per pixel of four channels that is transposed.
    """

    pixel: float

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Planes of each core, and a word beside each."""
        plane_bytes = self._cut(layer, tile, cores).pixels * layer.inputs[0].bits // 8
        return cores * (4 * ((plane_bytes + 3) // 4 * 4 + 4) + 4)

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Units of the slowest core."""
        layer, costs, cut = weighted(layer), self.costs_of(layer), self._cut(layer, tile, cores)
        strips = 4 // costs.at_once * costs.unit_cycles(layer, cut.rows, rows_beside(tile, cut.bands))
        work = self.pixel * cut.pixels + strips
        call = costs.call_cycles(layer, weighed=cut.weighed)
        return call + -(-cut.groups * cut.bands // cores) * work

    def _cut(self, layer: Layer, tile: Tile, cores: int) -> PixelBands:
        return PixelBands.of(layer, tile, self.costs_of(layer).bands, cores)


def _row_bytes(width: int, layer: Layer) -> int:
    """Of a row of four planes."""
    return 4 * width * layer.inputs[0].bits // 8


def _window_fits_planes(layer: Layer) -> bool:
    """The rows of a window do not make the planes larger than those of bands; tiles have whole rows."""
    return _row_bytes(layer.inputs[0].width, layer) * _ROWS_OF_WINDOW <= PLANES_BYTES


_PIXELS_8 = PixelKernel(
    "fbc_depthwise_pixels_8",
    "fbc_conv_args",
    CHANNELS_8.weight_layout,
    4,
    "kernels/fbc_depthwise_pixels_8.c",
    Cost(0, 0, 0, 0),
    whole_rows=True,
    activation_widths=(8,),
    output_widths=(8,),
    wide=False,
    channels_of_unit=4,
    costs=(
        StripCosts(
            at_once=1,
            bands=BandCosts(kernel=_ROWS_OF_WINDOW, pixel=37, column=38, unit=300),
            call=1025,
            weighed=1260,
            unit=86,
            strip=13,
            output=7.35,
            clamped=1.17,
            taps=26,
        ),
        StripCosts(
            at_once=1,
            bands=BandCosts(kernel=_ROWS_OF_WINDOW, pixel=64, column=20, unit=300),
            call=900,
            weighed=1100,
            unit=72,
            strip=13,
            output=9.8,
            clamped=1.17,
            taps=26,
        ),
    ),
    pixel=4.6,
)

_PIXELS_4 = dataclasses.replace(
    _PIXELS_8,
    function="fbc_depthwise_pixels_4",
    source="kernels/fbc_depthwise_pixels_4.c",
    weight_layout=PAIRS_4.weight_layout,
    activation_widths=(4,),
    weight_widths=(4,),
    output_widths=(4,),
    costs=(
        StripCosts(
            at_once=2,
            bands=BandCosts(kernel=_ROWS_OF_WINDOW, pixel=37, column=22, unit=430),
            call=1020,
            weighed=790,
            unit=186,
            strip=11.4,
            output=6.98,
        ),
    ),
    pixel=4.4,
)


def _stride_is_1(layer: Layer) -> bool:
    return layer.shape.stride_width == 1


def _has_two_rows(layer: Layer) -> bool:
    """Every band reads eight pixels, a word of each plane."""
    return layer.inputs[0].height >= 2


CANDIDATES = (
    Candidate(_PIXELS_8, SIMD, (*PREDICATES, clips_to_all_bytes, _window_fits_planes)),
    Candidate(
        _PIXELS_4,
        ("xpulpnn",),
        (*PREDICATES, shifts_by_an_immediate, _stride_is_1, _has_two_rows, _window_fits_planes),
    ),
)
"""In order of preference."""
