"""Pass ``import-qdq``: takes the quantization of a QDQ model out again and keeps the ranges it carried."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from fbcompile.graph.ranges import ActivationRange, read_range, write_range
from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import (
    FloatArray,
    bypass,
    constant,
    float_constant,
    input_of,
    new_initializer,
    nodes_of,
)

_NON_NEGATIVE = frozenset({"Relu", "Softmax", "Sigmoid"})
_KEEPS_SIGN = frozenset(
    {
        "Add",
        "AveragePool",
        "Concat",
        "DequantizeLinear",
        "Flatten",
        "GlobalAveragePool",
        "Identity",
        "MaxPool",
        "QuantizeLinear",
        "ReduceMean",
        "Reshape",
        "Squeeze",
        "Transpose",
    }
)


@dataclasses.dataclass
class ImportQdqPass(ReportingPass):
    """Turns a quantized model in QDQ form (e.g. of onnxruntime's quantizer) into the float model behind it.

    Requires: Constants are initializers.
    Does:
        1. A constant behind DequantizeLinear (weight, bias; per tensor or per channel) becomes a float
           constant.
        2. A float constant behind QuantizeLinear → DequantizeLinear stays, the pair goes.
        3. An activation's QuantizeLinear → DequantizeLinear goes; the range of real numbers that its type,
           scale and zero point can hold is recorded in the float value's metadata (``RANGE_LOW``,
           ``RANGE_HIGH``).
        4. If that range starts at 0 and the value may be negative, a Relu takes the pair's place, because
           quantizers drop a Relu that the saturation makes redundant.
    Ensures: No pair of these forms is left.
    """

    name: ClassVar[str] = "import-qdq"

    def transform(self, model: ir.Model) -> list[Change]:
        """Removes the pairs."""
        changes = []
        for node in nodes_of(model.graph, "DequantizeLinear"):
            if constant(node.inputs[0]) is not None:
                changes += _dequantize_constant(model.graph, node)
        for node in nodes_of(model.graph, "QuantizeLinear"):
            changes += _remove_pair(model.graph, node)
        return changes


def _dequantize_constant(graph: ir.Graph, node: ir.Node) -> list[Change]:
    source, integers, parameters = node.inputs[0], constant(node.inputs[0]), _scale_and_zero_point(node)
    if source is None or integers is None or parameters is None:
        return []
    scale, zero_point = parameters
    if scale.ndim == 1 and integers.ndim:
        shape = [1] * integers.ndim
        shape[node.attributes.get_int("axis", 1) if integers.ndim > 1 else 0] = -1
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    floats = ((integers.astype(np.float64) - zero_point) * scale).astype(np.float32)
    base = str(source.name).removesuffix("_quantized")
    bypass(node, new_initializer(graph, base, floats))
    return [Change(base, "constant dequantized to float")]


def _remove_pair(graph: ir.Graph, quantize: ir.Node) -> list[Change]:
    source, parameters = quantize.inputs[0], _scale_and_zero_point(quantize)
    readers = quantize.outputs[0].consumers()
    if source is None or parameters is None or quantize.outputs[0].is_graph_output():
        return []
    if any(node.op_type != "DequantizeLinear" for node in readers):
        return []
    low, high = _range(quantize, *parameters)
    replacement, reason = source, f"it carried the range [{low:g}, {high:g}]"
    if source.const_value is None:
        if low == 0 and source.producer() is not None and not _is_non_negative(source):
            replacement = _insert_relu(graph, quantize, source)
            reason += "; its saturation at 0 is kept as a Relu"
        if read_range(replacement) is None:
            write_range(replacement, ActivationRange(low, high))
    for node in readers:
        bypass(node, replacement)
    graph.remove(quantize, safe=True)
    return [Change(str(replacement.name), "quantizer removed", reason)]


def _insert_relu(graph: ir.Graph, quantize: ir.Node, source: ir.Value) -> ir.Value:
    relu = ir.node("Relu", [source], name=f"{source.name}_saturation")
    relu.outputs[0].name = f"{source.name}_saturated"
    relu.outputs[0].type, relu.outputs[0].shape = source.type, source.shape
    graph.insert_before(quantize, relu)
    return relu.outputs[0]


def _scale_and_zero_point(node: ir.Node) -> tuple[FloatArray, FloatArray] | None:
    """Scale and zero point of one shape, () or (channels,); None if not constant, or quantized in blocks."""
    scale = float_constant(input_of(node, 1))
    if scale is None or scale.ndim > 1 or "block_size" in node.attributes:
        return None
    zero_point = np.zeros(scale.shape)
    if input_of(node, 2) is not None:
        array = constant(node.inputs[2])
        if array is None:
            return None
        zero_point = array.astype(np.float64)
    if scale.size == 1:
        return scale.reshape(()), zero_point.reshape(())
    return scale, zero_point


def _range(quantize: ir.Node, scale: FloatArray, zero_point: FloatArray) -> tuple[float, float]:
    zero_point_value = input_of(quantize, 2)
    tensor = None if zero_point_value is None else zero_point_value.const_value
    bits, signed = (8, False) if tensor is None else (tensor.dtype.bitwidth, tensor.dtype.is_signed())
    lowest = -(1 << (bits - 1)) if signed else 0
    low = float(((lowest - zero_point) * scale).min())
    high = float(((lowest + (1 << bits) - 1 - zero_point) * scale).max())
    return low, high


def _is_non_negative(value: ir.Value) -> bool:
    producer = value.producer()
    if producer is None:
        array = float_constant(value)
        return array is not None and bool((array >= 0).all())
    if producer.op_type == "Clip":
        low = float_constant(input_of(producer, 1))
        return low is not None and float(low.reshape(())) >= 0
    if producer.op_type in _KEEPS_SIGN:
        inputs = producer.inputs if producer.op_type in ("Add", "Concat") else producer.inputs[:1]
        return all(item is not None and _is_non_negative(item) for item in inputs)
    return producer.op_type in _NON_NEGATIVE
