"""Two kernels in one layer function: a depthwise tile is computed, then the pointwise tile that reads it."""

from __future__ import annotations

import dataclasses

from fbcompile.errors import InternalError
from fbcompile.lowering.kernels.model import Kernel, Tile
from fbcompile.lowering.kernels.weight_block import weight_block
from fbcompile.lowering.network import FusedLayer, Layer
from fbcompile.lowering.requantization_form import RequantizationForm

SWITCH_CYCLES = 850.0
"""More that the kernels of a fused layer take per tile of the plane than each alone: neither finds its code
in the instruction caches. On GVSOC 370 to 1,870 for 80 % of 160 fused layers, 1,150 in the mean; of 600, 850
and 1,100 this one gave the fastest MLPerf Tiny networks and small MobileNets."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusedKernel(Kernel):
    """The kernels of a ``FusedLayer``; function, arguments and weight layout are the second one's.

    Tiles are those of the fused layer: input tile of the first kernel, output tile of the second one. The
    first kernel computes all its channels once per tile of the plane, whatever the second one's tiles of
    channels.

    Attributes:
        first: Kernel of the depthwise layer.
        second: Kernel of the pointwise layer.
    """

    first: Kernel
    second: Kernel

    @property
    def functions(self) -> tuple[str, ...]:
        """C functions of both kernels."""
        return (*self.first.functions, *self.second.functions)

    def scratch_bytes(self, layer: Layer, tile: Tile, cores: int) -> int:
        """Scratch of the second kernel, which may hold widened weights from tile to tile."""
        return self.second.scratch_bytes(fused(layer).second, second_tile(layer, tile), cores)

    def extra_buffers(self, layer: Layer, tile: Tile, cores: int) -> dict[str, int]:
        """The tensor between the kernels, and weights and scratch of the first one."""
        first = fused(layer).first
        return {
            "middle": tile.output_height * tile.output_width * first.output.pixel_bytes,
            "first_weights": self.resident_bytes(layer),
            "first_scratch": self.first.scratch_bytes(first, first_tile(layer, tile), cores),
        }

    def weight_bytes(self, layer: Layer, output_channels: int) -> int:
        """Weights of the second kernel."""
        return self.second.weight_bytes(fused(layer).second, output_channels)

    def form(self, layer: Layer) -> RequantizationForm:
        """That of the second kernel."""
        return self.second.form(fused(layer).second)

    def compute_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Cycles of the second kernel."""
        return self.second.compute_cycles(fused(layer).second, second_tile(layer, tile), cores)

    def resident_bytes(self, layer: Layer) -> int:
        """Weights, scales and addends of the first kernel."""
        first = fused(layer).first
        return weight_block(first, self.first, first.output.channels).bytes

    def plane_cycles(self, layer: Layer, tile: Tile, cores: int) -> float:
        """Cycles of the first kernel, and of both for coming into the instruction caches in turn."""
        return SWITCH_CYCLES + self.first.compute_cycles(fused(layer).first, first_tile(layer, tile), cores)


def fuse_kernels(first: Kernel, second: Kernel) -> FusedKernel:
    """The kernel of a layer fused of two."""
    values = {field.name: getattr(second, field.name) for field in dataclasses.fields(Kernel)}
    values["takes_channel_first"] = first.takes_channel_first
    values["whole_rows"] = first.whole_rows or second.whole_rows
    return FusedKernel(**values, first=first, second=second)


def fused(layer: Layer) -> FusedLayer:
    """The layer, which must be fused.

    Raises:
        InternalError: It is not.
    """
    if not isinstance(layer, FusedLayer):
        raise InternalError(f"layer {layer.name} is not fused, but has a fused kernel", where="lower")
    return layer


def first_tile(layer: Layer, tile: Tile) -> Tile:
    """What the first kernel computes for a tile of the fused layer."""
    channels = fused(layer).first.output.channels
    return dataclasses.replace(tile, output_channels=channels, output_channel_first=False)


def second_tile(layer: Layer, tile: Tile) -> Tile:
    """What the second kernel computes: its input is the first one's output tile."""
    return dataclasses.replace(
        tile, input_height=tile.output_height, input_width=tile.output_width, input_channel_first=False
    )
