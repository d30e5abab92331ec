"""Depthwise convolutions: the strip kernel and the portable one."""

from __future__ import annotations

import dataclasses

from fbcompile.lowering.kernels.candidate import (
    SIMD,
    Candidate,
    Predicate,
    activations_of_8_bits,
    channels_in_fours,
    kernel_is_3x3,
    narrow_output,
    stride_1_or_2,
)
from fbcompile.lowering.kernels.model import Cost, Kernel, Tile, is_depthwise, portable_kernel, weighted
from fbcompile.lowering.network import Layer, WeightedLayer

_PLANES_BYTES = 3072
"""What the planes of a core's band of four channels may take, if a row of them does not take more."""


@dataclasses.dataclass(frozen=True)
class Bands:
    """How a tile is cut into units, a band of output rows of four channels, one per core at a time.

    The sizes are those of ``kernels/micro/fbc_depthwise_3x3.h``.

    Attributes:
        groups: Groups of four channels.
        bands: Bands of output rows.
        rows: Output rows of a band; the last may have fewer.
        quads: Words of a row of a plane.
        input_rows: Rows of a plane, borders included.
    """

    groups: int
    bands: int
    rows: int
    quads: int
    input_rows: int

    @classmethod
    def of(cls, tile: Tile, kernel: int, stride: int, cores: int) -> Bands:
        """The cut of a tile for a square kernel."""
        width, height = tile.output_width, tile.output_height
        groups = tile.output_channels // 4
        quads = -(-(max(width, 2) * stride + kernel - 1) // 4)
        most_input_rows = _PLANES_BYTES // (16 * quads)
        most_rows = 1 if most_input_rows < kernel else (most_input_rows - kernel) // stride + 1
        fewest = -(-height // most_rows)
        best, rows = None, height
        for bands in range(fewest, min(fewest + 8, height + 1)):
            band_rows = -(-height // bands)
            cost = -(-groups * bands // cores) * ((band_rows + kernel - 1) * width + 20)
            if best is None or cost < best:
                best, rows = cost, band_rows
            if groups * bands % cores == 0:
                break
        return cls(groups, -(-height // rows), rows, quads, (rows - 1) * stride + kernel)


@dataclasses.dataclass(frozen=True)
class DepthwiseKernel(Kernel):
    """The depthwise convolution that writes bordered planes into scratch and walks down strips of them.

    Attributes:
        unit: Cycles per unit (a band of four channels).
        group: Cycles per group of four channels that a core begins: filters and parameters.
        strip: Cycles per strip of two output columns and two channels.
        quad: Cycles per column of quads of a unit, whatever its rows.
        quad_row: Cycles per quad and row of HWC input.
        plane_quad_row: Likewise of channel-first input.
        output: Per output element, by stride.
        clamp: More per output element if sums are clamped.
        general: More instead, if outputs are clipped to anything else than all unsigned numbers of their width.
    """

    unit: float = 300
    group: float = 400
    strip: float = 45
    quad: float = 25
    quad_row: float = 18.5
    plane_quad_row: float = 9
    output: tuple[float, float] = (8.3, 11.3)
    clamp: float = 1.5
    general: float = 3.5

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Planes of each core, and a word between the cores."""
        cut = self._cut(layer, tile, cores)
        return cores * (16 * cut.quads * cut.input_rows + 4)

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Units of the slowest core."""
        cut = self._cut(layer, tile, cores)
        units = -(-cut.groups * cut.bands // cores)
        groups = -(-units // cut.bands)
        quad_row = self.plane_quad_row if tile.input_channel_first else self.quad_row
        output = self.output[layer.shape.stride_width - 1] + self._requantization(weighted(layer))
        strips = 2 * -(-tile.output_width // 2)
        per_unit = self.unit + cut.quads * (self.quad + quad_row * cut.input_rows)
        per_unit += strips * (self.strip + output * 4 * cut.rows)
        return self.cost.call + groups * self.group + units * per_unit

    def _cut(self, layer: Layer, tile: Tile, cores: int) -> Bands:
        return Bands.of(tile, layer.shape.kernel_height, layer.shape.stride_height, cores)

    def _requantization(self, layer: WeightedLayer) -> float:
        """Cycles per output element beyond the plain requantization."""
        parameters = layer.requantization
        if parameters.low != 0 or parameters.high != (1 << layer.output.bits) - 1:
            return self.general
        return 0 if parameters.clamp is None else self.clamp


def _output_has(bits: int) -> Predicate:
    def holds(layer: Layer) -> bool:
        return layer.output.bits == bits

    return holds


def _strip_candidates(output_bits: int) -> tuple[Candidate, Candidate]:
    """Of layers with outputs of that width: those with 8-bit activations, which may be channel-first, and the rest."""
    function = f"fbc_depthwise_3x3_to_{output_bits}"
    kernel = DepthwiseKernel(
        function, "fbc_conv_args", "depthwise", 4, f"kernels/{function}.c", Cost(500, 0, 0, 0)
    )
    predicates = (is_depthwise, kernel_is_3x3, stride_1_or_2, channels_in_fours, narrow_output)
    predicates = (*predicates, _output_has(output_bits))
    planes = dataclasses.replace(kernel, takes_channel_first=True)
    return Candidate(planes, SIMD, (*predicates, activations_of_8_bits)), Candidate(kernel, SIMD, predicates)


PORTABLE = portable_kernel("depthwise", "fbc_conv_args", "depthwise", Cost(200, 60, 60, 18))

CANDIDATES = (
    *(candidate for bits in (8, 4, 2) for candidate in _strip_candidates(bits)),
    Candidate(PORTABLE, predicates=(is_depthwise,)),
)
"""Of depthwise layers whose channels are not multiplied; others are dense convolutions with zeros."""
