"""The weights of a tile of output channels as they lie in every memory."""

from __future__ import annotations

import dataclasses

from fbcompile.lowering.kernels.model import Kernel
from fbcompile.lowering.network import Layer, WeightedLayer


@dataclasses.dataclass(frozen=True)
class WeightBlock:
    """What a tile of output channels needs, contiguous in L3, L2 and L1: weights | scales | addends.

    Attributes:
        scales_at: Offset of the scales.
        addends_at: Offset of the addends.
        bytes: Size, a multiple of 8, as both offsets are: addends may take 8 bytes.
    """

    scales_at: int = 0
    addends_at: int = 0
    bytes: int = 0


def weight_block(layer: Layer, kernel: Kernel, channels: int) -> WeightBlock:
    """Layout of the block of ``channels`` output channels; all zeros for layers without weights."""
    if not isinstance(layer, WeightedLayer) or channels == 0:
        return WeightBlock()
    scales_at = _multiple_of_8(kernel.weight_bytes(layer, channels))
    addends_at = scales_at + 8 * channels
    addends = kernel.addend_bytes(layer) * channels
    return WeightBlock(scales_at, addends_at, _multiple_of_8(addends_at + addends))


def _multiple_of_8(size: int) -> int:
    return -(-size // 8) * 8
