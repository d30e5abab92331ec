"""Latency of a whole QDQ model: the sum over its layers, each with its source."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import onnx_ir as ir

from fbcompile.graph.layers import RAW_BITS, GraphLayer, graph_layers, layer_bits
from fbcompile.graph.qdq import QuantizedTensor, quantized_tensors
from fbcompile.latency.key import LatencyKey, LayerBits
from fbcompile.latency.table import Coverage, Latency, LatencyTable, Source
from fbcompile.targets.target import Target

INPUT_BITS = 8
"""Width of the network's input, whatever the other tensors have."""


@dataclasses.dataclass(frozen=True)
class LayerLatency:
    """One layer of the estimate.

    Attributes:
        name: Name of the layer's main ONNX node.
        key: What was looked up.
        latency: What was found.
    """

    name: str
    key: LatencyKey
    latency: Latency


@dataclasses.dataclass(frozen=True)
class NetworkLatency:
    """Predicted latency of a network, layer by layer with HWC tensors; reads from L3 are not in it.

    Attributes:
        layers: In graph order.
        clock_hz: The target's nominal clock.
    """

    layers: tuple[LayerLatency, ...]
    clock_hz: int

    @property
    def cycles(self) -> int:
        """Cycles of one inference."""
        return sum(layer.latency.cycles for layer in self.layers)

    @property
    def seconds(self) -> float:
        """Seconds of one inference at the nominal clock."""
        return self.cycles / self.clock_hz

    @property
    def coverage(self) -> Coverage:
        """How many layers rest on measured rows."""
        measured = sum(layer.latency.source is Source.MEASURED for layer in self.layers)
        return Coverage(measured, len(self.layers) - measured)

    @property
    def error_band(self) -> float:
        """Relative half-width if the errors of all modelled layers had one sign."""
        if not self.cycles:
            return 0.0
        return sum(layer.latency.cycles * layer.latency.error_band for layer in self.layers) / self.cycles


def estimate(
    model: ir.Model, table: LatencyTable, target: Target, *, bits: int | None = None
) -> NetworkLatency:
    """Looks up every layer of a model.

    Args:
        model: A QDQ model; with ``bits`` also a model in normal form, whose activations then count as
            unsigned.
        table: Rows of the target.
        target: The machine, with the cores and L1 bytes to look up.
        bits: Look up all layers as if every tensor had this width (raw outputs stay at 32); None: as they
            are.

    Raises:
        UnsupportedModelError: The model is not in QDQ form.
    """
    tensors = quantized_tensors(model)
    layers = []
    for layer in graph_layers(model):
        widths = layer_bits(layer, tensors) if bits is None else _uniform(layer, tensors, bits, model)
        key = LatencyKey(layer.shape, widths, target.name, target.cores, target.l1_bytes)
        layers.append(LayerLatency(layer.name, key, table.lookup(key)))
    return NetworkLatency(tuple(layers), target.clock_hz)


def _uniform(
    layer: GraphLayer, tensors: Mapping[str, QuantizedTensor], bits: int, model: ir.Model
) -> LayerBits:
    """The layer's precisions if every tensor but the network's input and a raw output had ``bits``."""
    first = tensors.get(layer.inputs[0])
    from_outside = layer.inputs[0] in {value.name for value in model.graph.inputs}
    chosen = layer.weight is not None or len(layer.inputs) > 1
    raw = layer.weight is not None and layer.output in {value.name for value in model.graph.outputs}
    activation = INPUT_BITS if from_outside else bits
    return LayerBits(
        activation_bits=activation,
        activation_signed=first is not None and first.precision.signed,
        weight_bits=bits if chosen else layer_bits(layer, tensors).weight_bits,
        output_bits=RAW_BITS if raw else activation if layer.shape.op == "max_pool" else bits,
    )
