"""What is decided about one layer of the generated program, and its weights as they lie in L3 and L2."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from fbcompile.lowering.kernels import FusedKernel, Kernel, weight_block
from fbcompile.lowering.memory import LayerLoad
from fbcompile.lowering.network import FusedLayer, Layer, WeightedLayer
from fbcompile.lowering.packing import pack_parameters, pack_weights
from fbcompile.lowering.tile_geometry import Span
from fbcompile.lowering.tiling import LayerTiling


@dataclasses.dataclass(frozen=True)
class LayoutChoice:
    """The layout of a layer's first input in L2, and why.

    Attributes:
        channel_first: True if it is channel-first.
        gain: Cycles that this is, or would be, predicted to spare the layers on both sides together; 0 if it
            is not possible.
        obstacle: Why it is HWC; empty if it is channel-first.
    """

    channel_first: bool
    gain: float
    obstacle: str


@dataclasses.dataclass(frozen=True)
class WeightPart:
    """Weights that are loaded at once.

    Attributes:
        buffer: The L1 buffer: ``weights``, or ``first_weights`` of a fused layer's depthwise part.
        l1_offset: Where they go.
        block_offset: Bytes from the beginning of the layer's first block in L2.
        bytes: Size.
    """

    buffer: str
    l1_offset: int
    block_offset: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Beginning:
    """What of a layer is in L1 before it begins.

    Attributes:
        weights: Weights that the layer before loads while it computes its last tile.
        input: Number of the input that lies where the layer before wrote it; None if there is none.
        spares: Cycles that the layer is predicted to wait less for both.
        spares_input: What of these the input spares.
        spares_before: Cycles that the layer before waits less for the copy of its output to L2.
    """

    weights: tuple[WeightPart, ...] = ()
    input: int | None = None
    spares: float = 0.0
    spares_input: float = 0.0
    spares_before: float = 0.0

    def loads(self, buffer: str) -> bool:
        """Whether the layer before loads that buffer."""
        return any(part.buffer == buffer for part in self.weights)


@dataclasses.dataclass(frozen=True)
class LayerPlan:
    """Everything decided about one layer.

    Attributes:
        layer: The layer.
        kernel: Its C kernel.
        tiling: Its tiles.
        weights: Its packed weight blocks, one a channel tile; empty for layers without weights.
        spares: Cycles that its parts are predicted to take more, each for itself; 0 for a layer that is not
            fused.
        layout: Layout of its first input; None before layouts are chosen.
        beginning: What of it is in L1 before it begins.
        spares_to_row: Cycles that it is predicted to take less than where latency tables are measured: alone,
            with its first weights in L1. Below 0 if it takes more.
    """

    layer: Layer
    kernel: Kernel
    tiling: LayerTiling
    weights: tuple[bytes, ...]
    spares: float = 0.0
    layout: LayoutChoice | None = None
    beginning: Beginning = Beginning()
    spares_to_row: float = 0.0


def pack_weight_blocks(layer: Layer, kernel: Kernel, tiling: LayerTiling) -> tuple[bytes, ...]:
    """Packs what a layer reads from L3: for each channel tile its weights | scales | addends.

    Those of a fused layer's depthwise part stand in front of the first block.
    """
    if isinstance(layer, FusedLayer) and isinstance(kernel, FusedKernel):
        first, *others = pack_weight_blocks(layer.second, kernel.second, tiling)
        (resident,) = _pack_blocks(layer.first, kernel.first, [Span(0, layer.first.output.channels)])
        return (resident + first, *others)
    if not isinstance(layer, WeightedLayer):
        return ()
    return tuple(_pack_blocks(layer, kernel, tiling.channel_spans()))


def _pack_blocks(layer: WeightedLayer, kernel: Kernel, spans: Sequence[Span]) -> list[bytes]:
    weights = pack_weights(layer, kernel)
    scales, addends = pack_parameters(layer, kernel)
    addend = kernel.addend_bytes(layer)
    blocks = []
    for span in spans:
        end = span.first + span.count
        layout = weight_block(layer, kernel, span.count)
        block = bytearray(layout.bytes)
        parts = (
            (0, weights[kernel.weight_bytes(layer, span.first) : kernel.weight_bytes(layer, end)]),
            (layout.scales_at, scales[8 * span.first : 8 * end]),
            (layout.addends_at, addends[addend * span.first : addend * end]),
        )
        for offset, data in parts:
            block[offset : offset + len(data)] = data
        blocks.append(bytes(block))
    return blocks


def layer_loads(plans: Sequence[LayerPlan]) -> list[LayerLoad]:
    """What the memory plan must know of each layer."""
    return [
        LayerLoad(tuple(map(len, plan.weights)), _streams(plan), plan.tiling.cycles.total) for plan in plans
    ]


def _streams(plan: LayerPlan) -> bool:
    """True if L2 need not hold all weights at once; those of a fused layer come together."""
    return plan.tiling.weights_once and plan.kernel.resident_bytes(plan.layer) == 0
