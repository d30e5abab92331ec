"""Pools, Concat and Flatten in integers."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from fbcompile.annotation import Precision
from fbcompile.errors import UnsupportedModelError
from fbcompile.lowering.network import accumulator_bounds
from fbcompile.passes.integer_graph import Attributes, IntegerGraph, IntegerTensor, container
from fbcompile.passes.integer_requantization import (
    accumulator,
    emit_requantization,
    paired_target,
    stored_weights,
)
from fbcompile.passes.requantization import choose_requantization


def max_pool(graph: IntegerGraph, node: ir.Node) -> str:
    """Max pooling on integers, which keep their scale."""
    _check_window(node)
    return pass_on(graph, node)


def pass_on(graph: IntegerGraph, node: ir.Node) -> str:
    """Copies an operator that keeps scale and precision, with its attributes."""
    x = graph.tensor(node.inputs[0])
    result = graph.define(node.outputs[0], x.precision, x.scale)
    copy = graph.emit(node.op_type, [x.value], result.value, {}, str(node.name))
    for attribute in node.attributes.values():
        copy.attributes.add(attribute)
    return "keeps the precision of its input"


def reshape(graph: IntegerGraph, node: ir.Node) -> str:
    """Copies a Reshape to a constant shape; the batch in it is 0, the input's."""
    x = graph.tensor(node.inputs[0])
    target = node.inputs[1]
    if target is None or target.const_value is None:
        raise UnsupportedModelError("a Reshape to a shape that is not constant", hint="run normalize first")
    result = graph.define(node.outputs[0], x.precision, x.scale)
    shape = graph.constant(str(target.name), target.const_value.numpy())
    graph.emit("Reshape", [x.value, shape], result.value, {}, str(node.name))
    return "keeps the precision of its input"


def average_pool(graph: IntegerGraph, node: ir.Node) -> str:
    """A windowed average is a depthwise convolution with 2-bit weights 1; the scale divides."""
    _check_window(node)
    pads = tuple(node.attributes.get_ints("pads", (0, 0, 0, 0)))
    if any(pads) and not node.attributes.get_int("count_include_pad", 0):
        raise UnsupportedModelError(
            "padding that is not counted (count_include_pad=0)",
            why=f"pads {pads}: the divisor differs from element to element",
            hint="use count_include_pad=1 or a window without padding",
        )
    x = graph.tensor(node.inputs[0])
    kernel = tuple(node.attributes.get_ints("kernel_shape", ()))
    channels = _static(node.inputs[0], 1)
    integers = np.ones((channels, 1, *kernel), dtype=np.int64)
    stored = stored_weights(graph, f"{node.name}_ones", integers, Precision(2, signed=True))
    attributes: Attributes = {
        "kernel_shape": kernel,
        "pads": pads,
        "strides": tuple(node.attributes.get_ints("strides", (1, 1))),
        "group": channels,
    }
    acc = accumulator(graph, node)
    graph.emit("ConvInteger", [x.value, *stored], acc, attributes, str(node.name))
    target = paired_target(graph, node)
    bounds = accumulator_bounds(integers, x.precision.lowest, x.precision.highest)
    factor = np.full(channels, x.scale / math.prod(kernel) / target.scale)
    found = choose_requantization(factor, np.zeros(channels), *bounds, *target.limits)
    result = graph.define(target.output.value, target.precision, target.scale)
    return emit_requantization(graph, acc, result, found, (1, -1, 1, 1), str(node.name))


def global_average_pool(graph: IntegerGraph, node: ir.Node) -> str:
    """Sum over the plane in int32; the scale divides."""
    x, target = graph.tensor(node.inputs[0]), paired_target(graph, node)
    elements = _static(node.inputs[0], 2) * _static(node.inputs[0], 3)
    wide = _cast(graph, x.value, f"{target.output.value.name}_int32", str(node.name))
    acc = accumulator(graph, node)
    axes = graph.constant(f"{node.name}_axes", np.asarray([2, 3], dtype=np.int64))
    graph.emit("ReduceSum", [wide, axes], acc, {"keepdims": 1}, str(node.name))
    bounds = accumulator_bounds(np.ones((1, elements), np.int64), x.precision.lowest, x.precision.highest)
    factor = np.asarray([x.scale / elements / target.scale])
    found = choose_requantization(factor, np.zeros(1), *bounds, *target.limits)
    result = graph.define(target.output.value, target.precision, target.scale)
    return emit_requantization(graph, acc, result, found, (1, 1, 1, 1), str(node.name))


def concat(graph: IntegerGraph, node: ir.Node) -> str:
    """Each input is requantized to the output's scale, then they are put side by side."""
    target = paired_target(graph, node)
    parts: list[ir.Value] = []
    details: list[str] = []
    for index, value in enumerate(node.inputs):
        x = graph.tensor(value)
        wide = _cast(graph, x.value, f"{target.output.value.name}_int32_{index}", f"{node.name}_{index}")
        bounds = accumulator_bounds(np.ones((1, 1), np.int64), x.precision.lowest, x.precision.highest)
        found = choose_requantization(
            np.asarray([x.scale / target.scale]), np.zeros(1), *bounds, *target.limits
        )
        dtype = container(target.precision)
        name = graph.unique(f"{target.output.value.name}_part_{index}")
        part = IntegerTensor(ir.val(name, dtype, x.value.shape), target.precision, target.scale)
        shape = (1,) * len(x.value.shape or ())
        details.append(emit_requantization(graph, wide, part, found, shape, f"{node.name}_{index}"))
        parts.append(part.value)
    result = graph.define(target.output.value, target.precision, target.scale)
    graph.emit("Concat", parts, result.value, {"axis": 1}, str(node.name))
    return "; ".join(details)


def _cast(graph: IntegerGraph, value: ir.Value, name: str, node_name: str) -> ir.Value:
    wide = ir.val(graph.unique(name), ir.DataType.INT32, value.shape)
    graph.emit("Cast", [value], wide, {"to": int(ir.DataType.INT32)}, f"{node_name}_Cast")
    return wide


def _check_window(node: ir.Node) -> None:
    if node.attributes.get_int("ceil_mode", 0):
        raise UnsupportedModelError("ceil_mode 1", hint="run the normalize stage first")
    if any(size != 1 for size in node.attributes.get_ints("dilations", (1, 1))):
        raise UnsupportedModelError("dilations other than 1")


def _static(value: ir.Value | None, axis: int) -> int:
    size = None if value is None or value.shape is None else value.shape[axis]
    if not isinstance(size, int):
        raise UnsupportedModelError(
            f"axis {axis} of the input has no static size", hint="run normalize first"
        )
    return size
