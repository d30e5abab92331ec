"""Bit operations (BOPs) of a network: multiply-accumulates times the widths of both factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fbcompile.graph.layers import GraphLayer


def bit_operations(layers: Sequence[GraphLayer], bits: Mapping[str, int]) -> int:
    """Sum over the layers of MACs * bits of the input * bits of the weight.

    Args:
        layers: Layers of the network; those without multiply-accumulates count 0.
        bits: Width per tensor name.
    """
    return sum(
        layer.shape.macs * bits[layer.inputs[0]] * bits[layer.weight]
        for layer in layers
        if layer.weight is not None and layer.weight in bits and layer.inputs[0] in bits
    )


def tensor_costs(layers: Sequence[GraphLayer]) -> dict[str, float]:
    """What one bit of each tensor costs: its MACs over the largest layer's MACs.

    A tensor that feeds several layers has the sum of theirs, as in both published implementations of Bayesian
    Bits; a tensor that feeds no layer with weights is not in the result.
    """
    largest = max((layer.shape.macs for layer in layers), default=0)
    costs: dict[str, float] = {}
    for layer in layers:
        if not layer.shape.macs:
            continue
        names = [layer.inputs[0]] if layer.weight is None else [layer.inputs[0], layer.weight]
        for name in names:
            costs[name] = costs.get(name, 0.0) + layer.shape.macs / largest
    return costs
