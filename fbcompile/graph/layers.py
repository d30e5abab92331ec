"""The layers of a model in normal form or QDQ form: what the latency table and the reports count.

A layer is a node with a kernel of its own. Relu and Clip belong to the layer before them; QuantizeLinear,
DequantizeLinear, Flatten and Reshape compute nothing on the device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import onnx_ir as ir

from fbcompile.errors import InternalError
from fbcompile.graph.activations import PASS_ON, PRODUCERS, fused_output
from fbcompile.graph.qdq import QuantizedTensor
from fbcompile.latency.key import LayerBits, LayerShape

LAYER_OPS = PRODUCERS | {"MaxPool"}
"""Operators that are layers."""

RAW_BITS = 32
"""Width of a tensor without a Q/DQ pair: int32 accumulators."""

_QDQ = ("QuantizeLinear", "DequantizeLinear")


@dataclasses.dataclass(frozen=True)
class GraphLayer:
    """One layer.

    Attributes:
        name: Name of its main ONNX node.
        node: Conv, Gemm, Add, MaxPool, AveragePool, GlobalAveragePool or Concat.
        shape: Geometry, as in the latency table.
        inputs: Names of the float values that hold the inputs' precision: behind DequantizeLinear, and behind
            Flatten, Reshape and MaxPool where these have no pair of their own.
        weight: Name of the float weight initializer, None if it has none.
        output: Name of the float value after the fused Relu or Clip.
    """

    name: str
    node: ir.Node
    shape: LayerShape
    inputs: tuple[str, ...]
    weight: str | None
    output: str


def graph_layers(model: ir.Model) -> list[GraphLayer]:
    """The layers of a model in normal form or QDQ form, in graph order.

    Raises:
        InternalError: A node has no name, or an input no static shape but for the batch.
    """
    return [_layer(node) for node in model.graph if node.op_type in LAYER_OPS and node.domain == ""]


def layer_bits(layer: GraphLayer, tensors: Mapping[str, QuantizedTensor]) -> LayerBits:
    """The precisions of a layer.

    Args:
        layer: A layer of the QDQ model.
        tensors: ``quantized_tensors`` of the same model.

    Returns:
        Widths in bits; ``RAW_BITS`` for an output (or weight or input) without a pair. A MaxPool without a
        pair has the precision of its input. An AveragePool's weights are 1, in 2 bit.
    """
    first = tensors.get(layer.inputs[0])
    activation_bits, signed = (
        (RAW_BITS, True) if first is None else (first.precision.bits, first.precision.signed)
    )
    output = tensors.get(layer.output)
    output_bits = RAW_BITS if output is None else output.precision.bits
    if output is None and layer.node.op_type == "MaxPool":
        output_bits = activation_bits
    return LayerBits(activation_bits, signed, _second_bits(layer, tensors), output_bits)


def _second_bits(layer: GraphLayer, tensors: Mapping[str, QuantizedTensor]) -> int:
    """Width of the weights, or of the second input; 0 for pools."""
    second = layer.weight or (layer.inputs[1] if len(layer.inputs) > 1 else None)
    if second is not None:
        tensor = tensors.get(second)
        return RAW_BITS if tensor is None else tensor.precision.bits
    return 2 if layer.node.op_type == "AveragePool" else 0


def _layer(node: ir.Node) -> GraphLayer:
    weight = None
    if node.op_type in ("Conv", "Gemm"):
        weight = _name(behind_pair(_input(node, 1)))
    activations = node.inputs if node.op_type in ("Add", "Concat") else node.inputs[:1]
    return GraphLayer(
        name=_name(node),
        node=node,
        shape=_shape(node),
        inputs=tuple(_name(_holder(_input(node, index))) for index in range(len(activations))),
        weight=weight,
        output=_name(fused_output(node).value),
    )


def behind_pair(value: ir.Value) -> ir.Value:
    """The float value behind QuantizeLinear and DequantizeLinear, or ``value`` itself."""
    producer = value.producer()
    while producer is not None and producer.op_type in _QDQ:
        value = _input(producer, 0)
        producer = value.producer()
    return value


def _holder(value: ir.Value) -> ir.Value:
    """The value whose pair decides the precision of ``value``."""
    while True:
        source = behind_pair(value)
        if source is not value:
            return source
        producer = value.producer()
        if producer is None or producer.op_type not in PASS_ON:
            return value
        value = _input(producer, 0)


def _shape(node: ir.Node) -> LayerShape:
    sizes = _sizes(_input(node, 0))
    if node.op_type in ("Conv", "MaxPool", "AveragePool"):
        return _window_shape(node, sizes)
    channels, height, width = sizes
    if node.op_type == "GlobalAveragePool":
        return _plain("average_pool", sizes, channels, window=(height, width))
    if node.op_type == "Gemm":
        outputs = _dimensions(behind_pair(_input(node, 1)))[0]
        return _plain("linear", sizes, outputs)
    if node.op_type == "Concat":
        total = sum(_sizes(_input(node, index))[0] for index in range(len(node.inputs)))
        return _plain("requantize", (total, height, width), total)
    return _plain("add", sizes, channels)


def _plain(
    op: str, sizes: tuple[int, int, int], outputs: int, window: tuple[int, int] = (1, 1)
) -> LayerShape:
    channels, height, width = sizes
    return LayerShape(op, *window, 1, 1, 0, 0, 0, 0, 1, height, width, channels, outputs)


def _window_shape(node: ir.Node, sizes: tuple[int, int, int]) -> LayerShape:
    channels, height, width = sizes
    kernel_height, kernel_width = _integers(node, "kernel_shape")
    stride_height, stride_width = _integers(node, "strides")
    top, left, bottom, right = _integers(node, "pads")
    op, groups, outputs = "max_pool", 1, channels
    if node.op_type == "AveragePool":
        op, groups = ("depthwise" if channels > 1 else "conv"), channels
    elif node.op_type == "Conv":
        outputs = _dimensions(behind_pair(_input(node, 1)))[0]
        groups = node.attributes.get_int("group", 1)
        op = "depthwise" if 1 < groups == channels == outputs else "conv"
    return LayerShape(
        op=op,
        kernel_height=kernel_height,
        kernel_width=kernel_width,
        stride_height=stride_height,
        stride_width=stride_width,
        pad_top=top,
        pad_left=left,
        pad_bottom=bottom,
        pad_right=right,
        groups=groups,
        input_height=height,
        input_width=width,
        input_channels=channels,
        output_channels=outputs,
    )


def _sizes(value: ir.Value) -> tuple[int, int, int]:
    """(channels, height, width); a flat tensor has height and width 1."""
    dimensions = _dimensions(behind_pair(value))[1:]
    if len(dimensions) == 1:
        return dimensions[0], 1, 1
    channels, height, width = dimensions
    return channels, height, width


def _dimensions(value: ir.Value) -> list[int]:
    """All dimensions; a symbolic batch counts as 1."""
    shape = value.shape
    if (
        shape is None
        or len(shape) not in (2, 4)
        or not all(isinstance(size, int) for size in list(shape)[1:])
    ):
        raise InternalError(f"value '{value.name}' has the shape {shape}", where="graph layers")
    return [size if isinstance(size, int) else 1 for size in shape]


def _integers(node: ir.Node, name: str) -> list[int]:
    values = node.attributes.get_ints(name, None)
    if values is None:
        raise InternalError(f"{node.op_type} '{node.name}' has no {name}", where="graph layers")
    return list(values)


def _input(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        raise InternalError(f"{node.op_type} '{node.name}' has no input {index}", where="graph layers")
    return value


def _name(thing: ir.Node | ir.Value) -> str:
    if not thing.name:
        raise InternalError(f"{thing!r} has no name", where="graph layers")
    return thing.name
