"""Inserts QuantizeLinear/DequantizeLinear pairs at every tensor that the target holds in integers."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from fbcompile.annotation import Decider, Precision, annotate
from fbcompile.errors import UnsupportedModelError
from fbcompile.graph.activations import Activation, activations
from fbcompile.graph.qdq import QDQ_OPSET, dtype_of, quantized_tensors, weight_scale, zero_tensor
from fbcompile.graph.ranges import read_range
from fbcompile.passes.base import Change, ReportingPass

INPUT_BITS = 8
"""Width of the graph input: what sensors and memory interfaces deliver."""


@dataclasses.dataclass
class InsertQuantizersPass(ReportingPass):
    """Normal form → QDQ form (docs/architecture.md).

    Requires: the normal form, with a range on each activation (``CalibratePass``).
    Does: puts a Q/DQ pair behind the graph input (always 8 bit), behind each layer's output after its
    Relu/Clip, and on each weight of Conv and Gemm (per output channel, symmetric). Unsigned where the graph
    proves a value non-negative. The output of a last Conv or Gemm stays raw; MaxPool and Flatten pass on
    their input's pair.
    Ensures: opset 25, every pair annotated; tensors that have a pair already are left as they are.

    Attributes:
        activation_bits: Width of activations: 8, 4 or 2.
        weight_bits: Width of weights: 8, 4 or 2.
    """

    name: ClassVar[str] = "insert-quantizers"
    activation_bits: int = 8
    weight_bits: int = 8

    def transform(self, model: ir.Model) -> list[Change]:
        """See the class; raises UnsupportedModelError if ranges are missing, naming all such tensors."""
        present = quantized_tensors(model)
        input_range = read_range(model.graph.inputs[0])
        wanted = activations(model, -np.inf if input_range is None else input_range.low)
        missing = [
            str(activation.value.name)
            for activation in wanted
            if activation.value.name not in present and read_range(activation.value) is None
        ]
        if missing:
            raise UnsupportedModelError(
                f"no range is known for {', '.join(missing)}",
                where=self.name,
                hint="run the pass 'calibrate' first",
            )
        changes = [
            self._quantize_activation(model, activation)
            for activation in wanted
            if activation.value.name not in present
        ]
        changes += [
            self._quantize_weight(model, weight) for weight in _weights(model) if weight.name not in present
        ]
        if changes:
            model.graph.opset_imports[""] = QDQ_OPSET
        return changes

    def _quantize_activation(self, model: ir.Model, activation: Activation) -> Change:
        value = activation.value
        found = read_range(value)
        if found is None:
            raise UnsupportedModelError(f"no range is known for {value.name}", where=self.name)
        precision = Precision(self.activation_bits, signed=activation.low < 0)
        if activation.is_input:
            precision = Precision(INPUT_BITS, precision.signed, Decider.INPUT, "graph inputs are 8 bit")
        producer = value.producer()
        _insert_pair(model.graph, value, precision, found.scale(precision), None, after=producer)
        return Change(
            str(value.name), f"quantized as {precision}", f"range [{found.low:.4g}, {found.high:.4g}]"
        )

    def _quantize_weight(self, model: ir.Model, weight: ir.Value) -> Change:
        if weight.const_value is None:
            raise UnsupportedModelError(f"weight '{weight.name}' is not a constant", where=self.name)
        precision = Precision(self.weight_bits, signed=True)
        scale = weight_scale(weight.const_value.numpy(), self.weight_bits, 0)
        _insert_pair(model.graph, weight, precision, scale, 0, after=None)
        return Change(str(weight.name), f"quantized as {precision}", f"{scale.size} channels")


def _weights(model: ir.Model) -> list[ir.Value]:
    """Weights of Conv and Gemm, each once, in graph order."""
    values = (node.inputs[1] for node in model.graph if node.op_type in ("Conv", "Gemm"))
    return list(dict.fromkeys(value for value in values if value is not None and value.is_initializer()))


def _insert_pair(
    graph: ir.Graph,
    value: ir.Value,
    precision: Precision,
    scale: np.ndarray,
    axis: int | None,
    after: ir.Node | None,
) -> None:
    """Inserts a Q/DQ pair at ``value`` behind ``after`` (None: at the start) and rewires all other uses."""
    name, dtype = str(value.name), dtype_of(precision.bits, precision.signed)
    zero = zero_tensor(precision.bits, precision.signed, scale.shape, f"{name}_zero_point")
    parameters = [
        ir.val(
            f"{name}_scale",
            ir.DataType.FLOAT,
            scale.shape,
            const_value=ir.tensor(scale, name=f"{name}_scale"),
        ),
        ir.val(f"{name}_zero_point", dtype, scale.shape, const_value=zero),
    ]
    for parameter in parameters:
        graph.register_initializer(parameter)
    attributes = {} if axis is None else {"axis": axis}
    quantized = ir.val(f"{name}_quantized", dtype, value.shape)
    dequantized = ir.val(f"{name}_dequantized", ir.DataType.FLOAT, value.shape)
    nodes = [
        ir.node(
            "QuantizeLinear",
            [value, *parameters],
            attributes,
            outputs=[quantized],
            name=f"{name}_QuantizeLinear",
        ),
        ir.node(
            "DequantizeLinear",
            [quantized, *parameters],
            attributes,
            outputs=[dequantized],
            name=f"{name}_DequantizeLinear",
        ),
    ]
    value.replace_all_uses_with(dequantized, replace_graph_outputs=True)
    nodes[0].replace_input_with(0, value)
    if after is not None:
        graph.insert_after(after, nodes)
    elif len(graph) > 0:
        graph.insert_before(graph[0], nodes)
    annotate(value, precision)
