"""Fusion: a depthwise convolution and the pointwise one behind it become one layer.

The fused layer computes tile by tile: the depthwise output of a tile stays in L1, where the pointwise kernel
reads it, and never becomes a tensor in L2. It is done where the cost model of the tiler, which also judges
all other tilings, says that it is faster, waits for weights from L3 included.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

from fbcompile.errors import DoesNotFitError
from fbcompile.lowering.kernels import fuse_kernels, is_depthwise
from fbcompile.lowering.kernels.model import weighted
from fbcompile.lowering.layer_plan import LayerPlan, pack_weight_blocks
from fbcompile.lowering.network import FusedLayer, Layer, Network, WeightedLayer
from fbcompile.lowering.tiling import tile_layer
from fbcompile.targets.target import Target

SMALL_WEIGHTS_BYTES = 32_768
"""A fused layer waits for all its weights before its first tile: with more it may wait for too long."""


Variant: TypeAlias = tuple[Network, list[LayerPlan]]
"""The layers that are to be computed, and their plans."""


@dataclasses.dataclass(frozen=True)
class FusedVariants:
    """The network with some pairs fused.

    Attributes:
        faster: Plan of each pair that is predicted to be faster together, by the position of its first layer.
        for_speed: With these: those with few weights, and all.
        for_space: With more and more others as well, the largest middle tensors first: for networks that else
            do not fit L2.
    """

    faster: dict[int, LayerPlan]
    for_speed: list[Variant]
    for_space: list[Variant]


def fused_variants(network: Network, plans: list[LayerPlan], target: Target) -> FusedVariants:
    """Variants of a network whose layers are tiled each for itself.

    Args:
        network: The layers.
        plans: One per layer.
        target: L1, L2, L3.
    """
    faster: dict[int, LayerPlan] = {}
    slower: dict[int, LayerPlan] = {}
    for first, second in fusible_pairs(network):
        plan = _fused_plan(plans[first], plans[second], target)
        if plan is None:
            continue
        (faster if plan.spares > 0 else slower)[first] = plan
    small = {i: plan for i, plan in faster.items() if sum(map(len, plan.weights)) <= SMALL_WEIGHTS_BYTES}
    largest = sorted(slower, key=lambda i: -network.layers[i].output.bytes)
    more = [faster | {i: slower[i] for i in largest[:count]} for count in range(1, len(largest) + 1)]
    return FusedVariants(
        faster=faster,
        for_speed=[_replace(network, plans, chosen) for chosen in (small, faster) if chosen],
        for_space=[_replace(network, plans, chosen) for chosen in more],
    )


def fused_where_still_faster(
    network: Network, plans: list[LayerPlan], faster: dict[int, LayerPlan], apart: Sequence[LayerPlan]
) -> Variant | None:
    """The network with the pairs fused that stay faster together when the others have what they may have.

    Args:
        network: The layers, none of them fused.
        plans: One per layer, each tiled for itself.
        faster: Plans of pairs, from ``fused_variants``.
        apart: One per layer, in the layouts that are best for them, and with what they begin with in L1.

    Returns:
        The variant; None if it fuses the same pairs, or none.
    """
    chosen = {
        first: plan
        for first, plan in faster.items()
        if plan.tiling.cycles.total
        < sum(half.tiling.cycles.total + half.beginning.spares for half in apart[first : first + 2])
        - apart[first + 1].beginning.spares_input
    }
    return _replace(network, plans, chosen) if chosen and len(chosen) < len(faster) else None


def _fused_plan(first: LayerPlan, second: LayerPlan, target: Target) -> LayerPlan | None:
    layer, kernel = fuse(first.layer, second.layer), fuse_kernels(first.kernel, second.kernel)
    try:
        tiling = tile_layer(layer, kernel, target)
    except DoesNotFitError:
        return None  # the pair stays as it is, and that fits
    apart = first.tiling.cycles.total + second.tiling.cycles.total
    weights = pack_weight_blocks(layer, kernel, tiling)
    return LayerPlan(layer, kernel, tiling, weights, spares=apart - tiling.cycles.total)


def _replace(network: Network, plans: list[LayerPlan], fused: dict[int, LayerPlan]) -> Variant:
    """The plans with each fused one in the place of the two from its position on."""
    kept = [fused.get(i, plan) for i, plan in enumerate(plans) if i - 1 not in fused]
    return dataclasses.replace(network, layers=tuple(plan.layer for plan in kept)), kept


def fusible_pairs(network: Network) -> list[tuple[int, int]]:
    """Positions of depthwise layers and of the pointwise layers that may be fused with them.

    A pair may be fused if the pointwise layer follows directly, reads the depthwise output, and nobody else
    does: the tensor is no output of the network.
    """
    pairs = []
    for position, (first, second) in enumerate(zip(network.layers, network.layers[1:], strict=False)):
        name = first.output.name
        alone = network.readers(name) == 1 and name != network.output.name
        if alone and _is_depthwise_convolution(first) and _is_pointwise(second, name):
            pairs.append((position, position + 1))
    return pairs


def fuse(depthwise: Layer, pointwise: Layer) -> FusedLayer:
    """One layer that computes ``pointwise`` of ``depthwise``; ``fusible_pairs`` says for which layers.

    Raises:
        InternalError: A layer has no weights.
    """
    first, second = weighted(depthwise), weighted(pointwise)
    shape = dataclasses.replace(
        first.shape, op="depthwise_pointwise", output_channels=second.shape.output_channels
    )
    return FusedLayer(
        name=second.name,
        inputs=first.inputs,
        output=second.output,
        shape=shape,
        weights=second.weights,
        weight_bits=second.weight_bits,
        requantization=second.requantization,
        first=first,
        second=second,
    )


def _is_depthwise_convolution(layer: Layer) -> bool:
    return isinstance(layer, WeightedLayer) and is_depthwise(layer) and layer.output.bits <= 8


def _is_pointwise(layer: Layer, source: str) -> bool:
    if not isinstance(layer, WeightedLayer) or layer.shape.op != "conv" or layer.inputs[0].name != source:
        return False
    shape = layer.shape
    sizes = (shape.kernel_height, shape.kernel_width, shape.stride_height, shape.stride_width, shape.groups)
    pads = (shape.pad_top, shape.pad_left, shape.pad_bottom, shape.pad_right)
    return sizes == (1, 1, 1, 1, 1) and not any(pads)
