"""How each layer of a QDQ model is written in integers: weighted layers and additions; pools are beside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from fbcompile.annotation import Precision
from fbcompile.errors import InternalError, UnsupportedModelError
from fbcompile.graph.activations import fused_output
from fbcompile.graph.integer_functions import DOMAIN, REQUANT_ADD
from fbcompile.graph.qdq import QuantizedTensor
from fbcompile.lowering.network import IntArray, accumulator_bounds
from fbcompile.lowering.requantization_form import RequantizationForm, preferred_form
from fbcompile.passes.base import Change
from fbcompile.passes.integer_graph import Attributes, IntegerGraph, IntegerTensor
from fbcompile.passes.integer_pools import (
    average_pool,
    concat,
    global_average_pool,
    max_pool,
    pass_on,
    reshape,
)
from fbcompile.passes.integer_requantization import (
    LayerTarget,
    accumulator,
    emit_requantization,
    output_steps,
    paired_target,
    stored_weights,
)
from fbcompile.passes.requantization import (
    FloatArray,
    choose_add_requantization,
    choose_requantization,
)

RAW = Precision(32, signed=True)
"""Precision of an output without a Q/DQ pair."""

_RAW_BOUND = 1 << 27
_MAXIMUM_FRACTION_BITS = 8


def emit_layer(graph: IntegerGraph, node: ir.Node) -> Change:
    """Writes one layer (with the Relu/Clip and the Q/DQ pair behind it) into the integer graph.

    Raises:
        UnsupportedModelError: The layer has attributes that integers cannot express, or scales without a
            proof.
    """
    try:
        detail = _EMITTERS[node.op_type](graph, node)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(
            f"{node.op_type} '{node.name}': {error.what}", why=error.why, where="integerize", hint=error.hint
        ) from error
    return Change(str(node.name), f"{node.op_type} in integers", detail)


def _conv(graph: IntegerGraph, node: ir.Node) -> str:
    x, weight = graph.tensor(node.inputs[0]), graph.weights[_required(node.inputs[1])]
    integers = quantized_weights(weight)
    stored = stored_weights(graph, weight.name, integers, weight.precision)
    attributes: Attributes = {
        "kernel_shape": tuple(integers.shape[2:]),
        "pads": tuple(node.attributes.get_ints("pads", (0, 0, 0, 0))),
        "strides": tuple(node.attributes.get_ints("strides", (1, 1))),
        "group": node.attributes.get_int("group", 1),
    }
    if any(size != 1 for size in node.attributes.get_ints("dilations", (1, 1))):
        raise UnsupportedModelError("dilations other than 1")
    acc = accumulator(graph, node)
    graph.emit("ConvInteger", [x.value, *stored], acc, attributes, str(node.name))
    return _requantize_weighted(graph, node, acc, x, integers, weight.scale.astype(np.float64))


def _gemm(graph: IntegerGraph, node: ir.Node) -> str:
    x, weight = graph.tensor(node.inputs[0]), graph.weights[_required(node.inputs[1])]
    integers = quantized_weights(weight)
    stored = stored_weights(graph, weight.name, integers.T, weight.precision)
    acc = accumulator(graph, node)
    graph.emit("MatMulInteger", [x.value, *stored], acc, {}, str(node.name))
    return _requantize_weighted(graph, node, acc, x, integers, weight.scale.astype(np.float64))


def quantized_weights(weight: QuantizedTensor) -> IntArray:
    """The integers of a weight, rounded as QuantizeLinear does: float32 division, half to even, saturated."""
    constant = weight.source.const_value
    if constant is None:
        raise InternalError(f"weight '{weight.name}' is not constant")
    array, scale = constant.numpy().astype(np.float32), weight.scale
    if weight.axis is not None:
        scale = scale.reshape([-1 if axis == weight.axis else 1 for axis in range(array.ndim)])
    precision = weight.precision
    result: IntArray = np.clip(np.rint(array / scale), precision.lowest, precision.highest).astype(np.int64)
    return result


def _requantize_weighted(
    graph: IntegerGraph, node: ir.Node, acc: ir.Value, x: IntegerTensor, weights: IntArray, scales: FloatArray
) -> str:
    bias = np.zeros(len(weights))
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        constant = node.inputs[2].const_value
        if constant is None:
            raise UnsupportedModelError(f"the bias '{node.inputs[2].name}' is not constant")
        bias = constant.numpy().astype(np.float64).reshape(-1)
    bounds = accumulator_bounds(weights, x.precision.lowest, x.precision.highest)
    steps = np.broadcast_to(scales * x.scale, bias.shape)
    output = fused_output(node)
    pair = graph.pairs.get(output.value)
    if pair is not None:
        target = LayerTarget(output, pair)
        scale, limits, precision = target.scale, target.limits, target.precision
    else:
        scale, precision = _raw_scale(steps, bias, bounds), RAW
        low, high = output_steps(output, scale)
        limits = int(max(low, RAW.lowest)), int(min(high, RAW.highest))
    depthwise = node.attributes.get_int("group", 1) == len(weights) and weights.shape[1] == 1
    form = RequantizationForm.OWN
    if node.op_type == "Conv":
        form = preferred_form(weights.shape[2:], depthwise, precision.bits, limits)
    found = choose_requantization(steps / scale, bias / scale, *bounds, *limits, form)
    result = graph.define(output.value, precision, scale)
    return emit_requantization(
        graph, acc, result, found, (1, -1, 1, 1)[: len(acc.shape or ())], str(node.name)
    )


def _raw_scale(steps: FloatArray, bias: FloatArray, bounds: tuple[IntArray, IntArray]) -> float:
    """One scale for a raw output: the accumulator's step if all channels share it, else a finer one.

    A raw output needs to hold every channel without saturation and to keep differences between channels. Up
    to 8 fraction bits are added; ``_RAW_BOUND`` leaves a 32-bit multiplier and its shift the bits for an
    error below 1/16 step.
    """
    coarsest = float(steps.max())
    largest = float(np.maximum(-bounds[0], bounds[1]).max() * coarsest + np.abs(bias).max())
    scale = coarsest if np.all(steps == coarsest) else coarsest / (1 << _MAXIMUM_FRACTION_BITS)
    while largest / scale >= _RAW_BOUND:
        scale *= 2
    return scale


def _add(graph: IntegerGraph, node: ir.Node) -> str:
    inputs = [graph.tensor(value) for value in node.inputs]
    target = paired_target(graph, node)
    first, second = ((tensor.precision.lowest, tensor.precision.highest) for tensor in inputs)
    found = choose_add_requantization(
        (inputs[0].scale / target.scale, inputs[1].scale / target.scale), (first, second), *target.limits
    )
    result = graph.define(target.output.value, target.precision, target.scale)
    attributes: Attributes = {
        "m1": found.multipliers[0],
        "m2": found.multipliers[1],
        "add": found.addend,
        "shift": found.shift,
        "low": found.low,
        "high": found.high,
        "to": int(result.value.dtype or 0),
    }
    values = [tensor.value for tensor in inputs]
    graph.emit(REQUANT_ADD, values, result.value, attributes, str(node.name), domain=DOMAIN)
    return f"shift {found.shift}"


def _required(value: ir.Value | None) -> ir.Value:
    if value is None:
        raise InternalError("a Conv or Gemm without a weight")
    return value


_EMITTERS: dict[str, Callable[[IntegerGraph, ir.Node], str]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "Add": _add,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "Concat": concat,
    "Flatten": pass_on,
    "Reshape": reshape,
}
