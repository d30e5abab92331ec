"""Depthwise convolutions: the strip kernel and the portable one."""

from __future__ import annotations

import dataclasses

from fbcompile.lowering.kernels.candidate import (
    SIMD,
    Candidate,
    activations_of_8_bits,
    channels_in_fours,
    kernel_is_3x3,
    narrow_output,
    stride_1_or_2,
)
from fbcompile.lowering.kernels.model import (
    WIDTHS,
    Cost,
    Kernel,
    Tile,
    is_depthwise,
    portable_kernel,
    weighted,
)
from fbcompile.lowering.network import Layer, WeightedLayer


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


STRIPS_3X3 = DepthwiseStripKernel(
    "fbc_depthwise_3x3",
    "fbc_conv_args",
    "depthwise",
    4,
    "kernels/fbc_depthwise_3x3.c",
    Cost(840, 0, 0, 0),
    activation_widths=(8,),
    output_widths=WIDTHS,
    wide=False,
)
PORTABLE = portable_kernel("depthwise", "fbc_conv_args", "depthwise", Cost(200, 60, 60, 18))

CANDIDATES = (
    Candidate(
        STRIPS_3X3,
        SIMD,
        (
            is_depthwise,
            kernel_is_3x3,
            stride_1_or_2,
            channels_in_fours,
            activations_of_8_bits,
            narrow_output,
        ),
    ),
    Candidate(PORTABLE, predicates=(is_depthwise,)),
)
"""Of depthwise layers whose channels are not multiplied; others are dense convolutions with zeros."""
