"""Layouts: which tensors between two layers are channel-first in L2, and not HWC.

A depthwise kernel sorts an HWC tile into planes before it computes; channel-first ones it reads in place, or
copies their rows. A tensor becomes channel-first if the kernel of its producer writes that, there is a kernel
for its only reader that takes it, and both layers, tiled anew with it, are predicted to take fewer cycles
together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from fbcompile.errors import DoesNotFitError, UnsupportedModelError
from fbcompile.lowering.kernels import Kernel, choose_kernel, fuse_kernels
from fbcompile.lowering.layer_plan import LayerPlan, LayoutChoice, pack_weight_blocks
from fbcompile.lowering.network import FusedLayer, Layer, Network, with_channel_first
from fbcompile.lowering.tiling import tile_layer
from fbcompile.targets.target import Target


def choose_layouts(
    network: Network, plans: Sequence[LayerPlan], target: Target
) -> tuple[Network, list[LayerPlan]]:
    """Decides the layout of every layer's first input, one after the other.

    Args:
        network: The program's layers, fused or not, all of whose tensors are HWC.
        plans: One per layer.
        target: The machine.

    Returns:
        The network and the plans with the layouts that were chosen.
    """
    chosen = list(plans)
    producers = {layer.output.name: position for position, layer in enumerate(network.layers)}
    for reader, layer in enumerate(network.layers):
        producer = producers.get(layer.inputs[0].name)
        before = [chosen[reader]] if producer is None else [chosen[producer], chosen[reader]]
        obstacle = _obstacle(network, before, target)
        try:
            after = [] if obstacle else [_with_channel_first(p, layer.inputs[0].name, target) for p in before]
        except DoesNotFitError:
            after, obstacle = [], "channel-first, no tile fits L1"
        if not after or producer is None:
            chosen[reader] = dataclasses.replace(chosen[reader], layout=LayoutChoice(False, 0.0, obstacle))
            continue
        gain = sum(
            old.tiling.cycles.total - new.tiling.cycles.total for old, new in zip(before, after, strict=True)
        )
        if gain > 0:
            chosen[producer], chosen[reader] = after
        layout = LayoutChoice(gain > 0, gain, "" if gain > 0 else "it is not predicted to be faster")
        chosen[reader] = dataclasses.replace(chosen[reader], layout=layout)
    return dataclasses.replace(network, layers=tuple(plan.layer for plan in chosen)), chosen


def _obstacle(network: Network, plans: Sequence[LayerPlan], target: Target) -> str:
    """Why the tensor between producer and reader cannot be channel-first; empty if it can.

    Args:
        network: All layers.
        plans: Of the producer, if a layer produces the tensor, and of the reader.
        target: The machine.
    """
    producer, reader = plans[0], plans[-1]
    tensor = reader.layer.inputs[0]
    if tensor.name == network.input.name:
        return "it is the network's input"
    if tensor.name == network.output.name:
        return "it is the network's output"
    if network.readers(tensor.name) != 1:
        return "several layers read it"
    if tensor.width * tensor.bits % 8 != 0:
        return f"{tensor.width} elements of {tensor.bits} bits are no whole bytes"
    if not _has_kernel(with_channel_first(reader.layer, [tensor.name]), target):
        return f"{reader.kernel.function} reads HWC"
    if not producer.kernel.writes_channel_first:
        return f"{producer.kernel.function} writes HWC"
    return ""


def _with_channel_first(plan: LayerPlan, tensor: str, target: Target) -> LayerPlan:
    """The plan of the layer with one of its tensors channel-first."""
    layer = with_channel_first(plan.layer, [tensor])
    kernel = _choose_kernel(layer, target)
    tiling = tile_layer(layer, kernel, target)
    weights = pack_weight_blocks(layer, kernel, tiling)
    return dataclasses.replace(plan, layer=layer, kernel=kernel, tiling=tiling, weights=weights)


def _choose_kernel(layer: Layer, target: Target) -> Kernel:
    if isinstance(layer, FusedLayer):
        return fuse_kernels(choose_kernel(layer.first, target), choose_kernel(layer.second, target))
    return choose_kernel(layer, target)


def _has_kernel(layer: Layer, target: Target) -> bool:
    try:
        _choose_kernel(layer, target)
    except UnsupportedModelError:
        return False
    return True
