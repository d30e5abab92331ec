"""The per-layer table: one row per layer with its precisions, cycles, tile and verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from fbcompile.graph.layers import GraphLayer, graph_layers, layer_bits
from fbcompile.graph.qdq import QuantizedTensor, quantized_tensors
from fbcompile.latency.estimate import estimate
from fbcompile.pipeline.state import RunState


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer of the report.

    Attributes:
        name: Name of the ONNX node.
        op: Kind of layer.
        shape: ``HxWxCin -> HxWxCout`` and the kernel.
        macs: Multiply-accumulates.
        searched_bits: Precisions before Free Bits, activation/weight; empty if there was no search.
        bits: Final precisions, activation/weight/output.
        cycles: Predicted cycles with the final precisions.
        source: ``measured`` or ``modelled``.
        cycles_at_8_bit: Predicted cycles with all precisions at 8 bit.
        share: Part of the network's predicted cycles.
        reason: Why the precisions are what they are.
    """

    name: str
    op: str
    shape: str
    macs: int
    searched_bits: str
    bits: str
    cycles: float
    source: str
    cycles_at_8_bit: float
    share: float
    reason: str


def layer_rows(state: RunState) -> list[LayerRow]:
    """The table's rows for the run's annotated (QDQ) model; empty before the quantize stage."""
    model = state.annotated if state.annotated is not None else state.model
    tensors = quantized_tensors(model)
    if not tensors:
        return []
    now = estimate(model, state.table, state.target)
    eight = estimate(model, state.table, state.target, bits=8)
    rows = []
    for layer, latency, wide in zip(graph_layers(model), now.layers, eight.layers, strict=True):
        final = layer_bits(layer, tensors)
        rows.append(
            LayerRow(
                name=layer.name,
                op=layer.shape.op,
                shape=_shape(layer),
                macs=layer.shape.macs,
                searched_bits=_searched(layer, state.bits_before_raising),
                bits=f"{final.activation_bits}/{final.weight_bits or '-'}/{final.output_bits}",
                cycles=latency.latency.cycles,
                source=latency.latency.source,
                cycles_at_8_bit=wide.latency.cycles,
                share=latency.latency.cycles / now.cycles if now.cycles else 0.0,
                reason=_reason(layer, tensors),
            )
        )
    return rows


def _shape(layer: GraphLayer) -> str:
    shape = layer.shape
    kernel = (
        f" {shape.kernel_height}x{shape.kernel_width}" if shape.kernel_height * shape.kernel_width > 1 else ""
    )
    return (
        f"{shape.input_height}x{shape.input_width}x{shape.input_channels} -> "
        f"{shape.output_height}x{shape.output_width}x{shape.output_channels}{kernel}"
    )


def _searched(layer: GraphLayer, before: Mapping[str, int]) -> str:
    first = before.get(layer.inputs[0])
    if first is None:
        return ""
    weight = before.get(layer.weight) if layer.weight is not None else None
    return f"{first}/{weight or '-'}"


def _reason(layer: GraphLayer, tensors: Mapping[str, QuantizedTensor]) -> str:
    names = (*layer.inputs, *([layer.weight] if layer.weight is not None else []))
    texts = []
    for name in names:
        if name in tensors:
            precision = tensors[name].precision
            detail = f": {precision.reason}" if precision.reason else ""
            texts.append(f"{name} {precision} by {precision.decided_by.value}{detail}")
    return "; ".join(texts)
