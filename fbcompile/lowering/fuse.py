"""Fusion: a depthwise convolution and the pointwise one behind it become one layer.

The fused layer computes tile by tile: the depthwise output of a tile stays in L1, where the pointwise kernel
reads it, and never becomes a tensor in L2. Whether that is faster is the tiler's question
(``lower.lower`` asks it for every pair); here is only what may be fused.
"""

from __future__ import annotations

import dataclasses

from fbcompile.lowering.kernels import is_depthwise
from fbcompile.lowering.network import FusedLayer, Layer, Network, WeightedLayer


def fusible_pairs(network: Network) -> list[tuple[int, int]]:
    """Positions of depthwise layers and of the pointwise layers that may be fused with them.

    A pair may be fused if the pointwise layer follows directly, reads the depthwise output, and nobody else
    does: the tensor is no output of the network.
    """
    readers: dict[str, int] = {}
    for layer in network.layers:
        for tensor in layer.inputs:
            readers[tensor.name] = readers.get(tensor.name, 0) + 1
    pairs = []
    for position, (first, second) in enumerate(zip(network.layers, network.layers[1:], strict=False)):
        name = first.output.name
        alone = readers.get(name) == 1 and name != network.output.name
        if alone and _is_depthwise_convolution(first) and _is_pointwise(second, name):
            pairs.append((position, position + 1))
    return pairs


def fuse(first: Layer, second: Layer) -> FusedLayer:
    """One layer that computes ``second`` of ``first``; ``fusible_pairs`` says for which layers."""
    assert isinstance(first, WeightedLayer) and isinstance(second, WeightedLayer)
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
