"""Plans of single layers, as the lowering makes them first."""

from __future__ import annotations

from fbcompile.lowering.kernels import choose_kernel
from fbcompile.lowering.layer_plan import LayerPlan, pack_weight_blocks
from fbcompile.lowering.network import Layer, Network
from fbcompile.lowering.tiling import tile_layer
from fbcompile.targets.target import Target


def layer_plan(layer: Layer, target: Target) -> LayerPlan:
    kernel = choose_kernel(layer, target)
    tiling = tile_layer(layer, kernel, target)
    return LayerPlan(layer, kernel, tiling, pack_weight_blocks(layer, kernel, tiling))


def layer_plans(network: Network, target: Target) -> list[LayerPlan]:
    return [layer_plan(layer, target) for layer in network.layers]
