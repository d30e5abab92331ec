"""Depthwise 3x3 kernels of HWC activations of 4 or 2 bits that write planes whose bytes hold several rows."""

from __future__ import annotations

import dataclasses

from fbcompile.lowering.kernels.candidate import Candidate, kernel_is_3x3
from fbcompile.lowering.kernels.depthwise import BAND_PREDICATES, BandCosts, BandKernel, Bands
from fbcompile.lowering.kernels.model import Cost, Tile, weighted
from fbcompile.lowering.network import Layer
from fbcompile.lowering.requantization_form import RequantizationForm


@dataclasses.dataclass(frozen=True)
class StackedKernel(BandKernel):
    """The 3x3 depthwise convolution of elements of 4 or 2 bits, of which rows share a byte of a plane.

    Attributes:
        compare: Cycles per number of bands that is compared.
        together: Cycles per units (bands of four channels) that are computed at once.
        unit: Cycles per unit.
        quad: Cycles per unit and column of quads (four columns of four channels).
        word: Cycles per quad and word row.
        column: Cycles per column of outputs of four channels.
        output: Per output element.
    """

    compare: float = 85
    together: float = 515
    unit: float = 40
    quad: float = 102
    word: float = 38
    column: float = 7.6
    output: float = 5.9

    def form(self, layer: Layer) -> RequantizationForm:
        """It multiplies in place."""
        return RequantizationForm.LESS_ONE

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Planes of each core, and a word between the cores."""
        cut = self._cut(layer, tile, cores)
        return cores * (16 * cut.quads * self._word_rows(layer, cut) * cut.at_once + 4)

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Units of the slowest core."""
        cut = self._cut(layer, tile, cores)
        comparing = 0.0 if cut.compared == 0 else self.compare * (cut.compared + 2)
        work = (
            self.unit
            + (cut.quads - 1) * (self.quad + self._word_rows(layer, cut) * self.word)
            + tile.output_width * (self.column + 4 * cut.rows * self.output)
        )
        units = -(-cut.groups * cut.bands // cores)
        return self.cost.call + comparing + -(-units // cut.at_once) * self.together + units * work

    def _word_rows(self, layer: Layer, cut: Bands) -> int:
        steps = (cut.rows + 1) // 2 if layer.shape.stride_height == 1 else cut.rows
        return steps + (layer.inputs[0].bits == 4)


def _clips_to_all_without_clamp(layer: Layer) -> bool:
    given = weighted(layer).requantization
    return (given.low, given.high) == (0, (1 << layer.output.bits) - 1) and given.clamp is None


def _pads_a_row_at_most(layer: Layer) -> bool:
    return max(layer.shape.pad_top, layer.shape.pad_bottom) <= 1


_STACKED_PREDICATES = (*BAND_PREDICATES, kernel_is_3x3, _clips_to_all_without_clamp, _pads_a_row_at_most)

_STACKED_2 = StackedKernel(
    "fbc_depthwise_stacked_2",
    "fbc_conv_args",
    "stacked_rows",
    4,
    "kernels/fbc_depthwise_stacked_2.c",
    Cost(970, 0, 0, 0),
    activation_widths=(2,),
    weight_widths=(2,),
    output_widths=(2,),
    wide=False,
    band_costs=BandCosts(kernel=3, pixel=6, column=3, unit=60, at_once=4),
)

_STACKED_4 = dataclasses.replace(
    _STACKED_2,
    function="fbc_depthwise_stacked_4",
    source="kernels/fbc_depthwise_stacked_4.c",
    cost=Cost(1030, 0, 0, 0),
    activation_widths=(4,),
    weight_widths=(4,),
    output_widths=(4,),
    together=405,
    unit=107,
    quad=96,
    column=24.6,
    output=7.1,
)

CANDIDATES = tuple(
    Candidate(kernel, ("xpulpnn",), _STACKED_PREDICATES) for kernel in (_STACKED_4, _STACKED_2)
)
"""In order of preference."""
