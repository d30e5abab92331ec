"""Reads an integer ONNX model into a ``Network``: ONNX ends here."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from fbcompile.annotation import PREFIX, annotation_of
from fbcompile.errors import UnsupportedModelError
from fbcompile.graph.integer_functions import REQUANT_ADD, REQUANT_SHIFT, is_integer_model
from fbcompile.latency.key import LayerShape
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    Layer,
    MaxPoolLayer,
    Network,
    Requantization,
    Tensor,
    WeightedLayer,
)

_WHERE = "reading the integer model"
_INPUT_AXES = {1: "C", 2: "CW", 3: "CHW"}


def read_integer_model(model: ir.Model) -> Network:
    """Reads a model that ``IntegerizePass`` wrote (docs/architecture.md, "Integer ONNX").

    A Flatten disappears: a Gemm behind it becomes a linear layer over the (C, H, W) tensor, and a network
    that ends in one outputs the tensor in front of it. So does a Reshape between [N, C, L] and [N, C, 1, L],
    which are one tensor of height 1.

    Raises:
        UnsupportedModelError: The model is not in integer form, or holds what no layer can express.
    """
    if not is_integer_model(model):
        raise UnsupportedModelError(
            "this is not an integer model", where=_WHERE, hint="run the integerize stage first"
        )
    return _Reader(model).network()


class _Reader:
    """Walks over the nodes once; every accumulator is read together with the RequantShift behind it."""

    def __init__(self, model: ir.Model) -> None:
        self.model = model
        self.layers: list[Layer] = []
        self.tensors: dict[ir.Value, Tensor] = {}
        self.flat: set[ir.Value] = set()
        self.parts: dict[ir.Value, tuple[Tensor, Requantization]] = {}

    def network(self) -> Network:
        graph = self.model.graph
        source = graph.inputs[0]
        self.tensors[source] = network_input = _input_tensor(source)
        readers: dict[str, Callable[[ir.Node], None]] = {
            REQUANT_SHIFT: self._requant_shift,
            REQUANT_ADD: self._requant_add,
            "MaxPool": self._max_pool,
            "Concat": self._concat,
            "Flatten": self._flatten,
            "Reshape": self._reshape,
        }
        inner = {"ConvInteger", "MatMulInteger", "ReduceSum", "Cast"}
        unknown = [
            f"{node.op_type} '{node.name}'" for node in graph if node.op_type not in readers.keys() | inner
        ]
        if unknown:
            raise UnsupportedModelError(f"not integer layers: {', '.join(unknown)}", where=_WHERE)
        for node in graph:
            if node.op_type in readers:
                readers[node.op_type](node)
        postprocess = self.model.metadata_props.get(f"{PREFIX}host_postprocess", "")
        return Network(
            c_identifier(graph.name or "network"),
            network_input,
            self.tensors[graph.outputs[0]],
            tuple(self.layers),
            tuple(name for name in postprocess.split(",") if name),
        )

    def _requant_shift(self, node: ir.Node) -> None:
        producer = _producer(node.inputs[0])
        requantization = _requantization(node)
        if producer.op_type == "Cast":
            self.parts[node.outputs[0]] = self._read(producer, 0), requantization
        elif producer.op_type == "ReduceSum":
            x = self._read(_producer(producer.inputs[0]), 0)
            shape = _pool_shape("average_pool", x, (x.height, x.width))
            output = self._define(node, x.channels, shape)
            self.layers.append(AveragePoolLayer(self._name("Pooling"), (x,), output, shape, requantization))
        elif producer.op_type == "ConvInteger":
            self._convolution(node, producer, requantization)
        elif producer.op_type == "MatMulInteger":
            self._linear(node, producer, requantization)
        else:
            raise UnsupportedModelError(
                f"RequantShift behind {producer.op_type} '{producer.name}'", where=_WHERE
            )

    def _convolution(self, node: ir.Node, convolution: ir.Node, requantization: Requantization) -> None:
        x, weights, bits = self._read(convolution, 0), _weights(convolution), _weight_bits(convolution)
        groups = convolution.attributes.get_int("group", 1)
        depthwise = 1 < groups == x.channels == len(weights)
        shape = _shape(
            "depthwise" if depthwise else "conv",
            x,
            _pair(convolution, "kernel_shape", weights.shape[2:]),
            _pair(convolution, "strides", (1, 1)),
            tuple(convolution.attributes.get_ints("pads", (0, 0, 0, 0))),
            groups,
            len(weights),
        )
        output = self._define(node, len(weights), shape)
        name = self._name(_convolution_name(requantization, output))
        self.layers.append(WeightedLayer(name, (x,), output, shape, weights, bits, requantization))

    def _linear(self, node: ir.Node, product: ir.Node, requantization: Requantization) -> None:
        x = self.tensors[_value(product.inputs[0])]
        weights = np.ascontiguousarray(_weights(product).T).reshape(-1, x.channels, x.height, x.width)
        shape = LayerShape("linear", 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, x.elements, len(weights))
        output = self._define(node, len(weights), shape)
        bits = _weight_bits(product)
        name = self._name("FullyConnected")
        self.layers.append(WeightedLayer(name, (x,), output, shape, weights, bits, requantization))

    def _requant_add(self, node: ir.Node) -> None:
        first, second = self._read(node, 0), self._read(node, 1)
        shape = _shape("add", first, (1, 1), (1, 1), (0, 0, 0, 0), 1, first.channels)
        output = self._define(node, first.channels, shape)
        get = node.attributes.get_int
        self.layers.append(
            AddLayer(
                self._name("Addition"),
                (first, second),
                output,
                shape,
                multipliers=(get("m1", 0), get("m2", 0)),
                addend=get("add", 0),
                shift=get("shift", 0),
                low=get("low", 0),
                high=get("high", 0),
            )
        )

    def _max_pool(self, node: ir.Node) -> None:
        x = self._read(node, 0)
        pads = tuple(node.attributes.get_ints("pads", (0, 0, 0, 0)))
        kernel, strides = _pair(node, "kernel_shape", (1, 1)), _pair(node, "strides", (1, 1))
        shape = _shape("max_pool", x, kernel, strides, pads, 1, x.channels)
        output = self._define(node, x.channels, shape)
        self.layers.append(MaxPoolLayer(self._name("Pooling"), (x,), output, shape))

    def _concat(self, node: ir.Node) -> None:
        sources, requantizations = zip(*(self.parts[_value(value)] for value in node.inputs), strict=True)
        channels = sum(tensor.channels for tensor in sources)
        first = dataclasses.replace(sources[0], channels=channels)
        shape = _shape("requantize", first, (1, 1), (1, 1), (0, 0, 0, 0), 1, channels)
        output = self._define(node, channels, shape)
        self.layers.append(ConcatLayer(self._name("Concatenation"), sources, output, shape, requantizations))

    def _flatten(self, node: ir.Node) -> None:
        source, result = _value(node.inputs[0]), node.outputs[0]
        self.tensors[result] = self.tensors[source]
        self.flat.add(result)

    def _reshape(self, node: ir.Node) -> None:
        source, result = _value(node.inputs[0]), node.outputs[0]
        tensor = self.tensors[source]
        if result.shape is None or list(result.shape)[1:] not in _line_shapes(tensor):
            raise UnsupportedModelError(
                f"Reshape '{node.name}' from '{tensor.name}' to {result.shape}",
                why="only [N, C, L] and [N, C, 1, L] have the same elements in the same places",
                where=_WHERE,
                hint="run the normalize stage first",
            )
        self.tensors[result] = tensor

    def _read(self, node: ir.Node, position: int) -> Tensor:
        """The tensor that a node reads, refused if a Flatten has reordered its elements."""
        value = _value(node.inputs[position])
        tensor = self.tensors[value]
        if value in self.flat and tensor.height * tensor.width > 1:
            raise UnsupportedModelError(
                f"{node.op_type} '{node.name}' reads the Flatten of '{tensor.name}', "
                f"{tensor.channels}x{tensor.height}x{tensor.width}",
                why="only a Gemm can follow a Flatten of more than one pixel",
                where=_WHERE,
                hint="pool to one pixel in front of the Flatten",
            )
        return tensor

    def _define(self, node: ir.Node, channels: int, shape: LayerShape) -> Tensor:
        value = node.outputs[0]
        size = (1, 1) if shape.op == "linear" else (shape.output_height, shape.output_width)
        self.tensors[value] = tensor = _tensor(value, channels, *size)
        return tensor

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self.layers)}"


def c_identifier(name: str) -> str:
    """A C identifier made of a name: other characters become ``_``, a leading digit gets one in front."""
    cleaned = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    return f"_{cleaned}" if cleaned[0].isdigit() else cleaned


def _convolution_name(requantization: Requantization, output: Tensor) -> str:
    if output.bits == 32:
        return "Convolution"
    return "BNReluConvolution" if requantization.low >= 0 else "BNConvolution"


def _shape(
    op: str,
    x: Tensor,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, ...],
    groups: int,
    channels: int,
) -> LayerShape:
    top, left, bottom, right = pads
    sizes = groups, x.height, x.width, x.channels, channels
    return LayerShape(op, *kernel, *strides, top, left, bottom, right, *sizes)


def _pool_shape(op: str, x: Tensor, kernel: tuple[int, int]) -> LayerShape:
    return _shape(op, x, kernel, (1, 1), (0, 0, 0, 0), 1, x.channels)


def _pair(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, int]:
    first, second = node.attributes.get_ints(name, default)
    return first, second


def _line_shapes(tensor: Tensor) -> list[list[int]]:
    """The shapes behind the batch that a tensor of height 1 can have; none for another one."""
    if tensor.height != 1:
        return []
    return [[tensor.channels, tensor.width], [tensor.channels, 1, tensor.width]]


def _input_tensor(value: ir.Value) -> Tensor:
    sizes = [] if value.shape is None else list(value.shape)[1:]
    if len(sizes) not in _INPUT_AXES or not all(isinstance(size, int) for size in sizes):
        raise UnsupportedModelError(
            f"graph input '{value.name}' has the shape {value.shape}",
            why="it must be [N, C, H, W], [N, C, L] or [N, F] with all sizes but N known",
            where=_WHERE,
        )
    by_axis = dict(zip(_INPUT_AXES[len(sizes)], (int(str(size)) for size in sizes), strict=True))
    return _tensor(value, *(by_axis.get(axis, 1) for axis in "CHW"))


def _tensor(value: ir.Value, channels: int, height: int, width: int) -> Tensor:
    precision, scale = annotation_of(value), value.metadata_props.get(f"{PREFIX}scale")
    if precision is None or scale is None or value.name is None:
        raise UnsupportedModelError(
            f"value '{value.name}' has no precision or scale in its metadata",
            why="the integer model was changed by a tool that drops metadata_props",
            where=_WHERE,
            hint="run the integerize stage again",
        )
    return Tensor(value.name, channels, height, width, precision.bits, precision.signed, float(scale))


def _requantization(node: ir.Node) -> Requantization:
    props = node.metadata_props
    keys = [f"{PREFIX}{key}" for key in ("clamp", "wide")]
    if any(key not in props for key in keys):
        raise UnsupportedModelError(
            f"RequantShift '{node.name}' has no proof in its metadata",
            where=_WHERE,
            hint="run the integerize stage again",
        )
    get = node.attributes.get_int
    clamps = [int(text) for text in props[keys[0]].split()]
    return Requantization(
        _array(node.inputs[1]).astype(np.int64).reshape(-1),
        _array(node.inputs[2]).astype(np.int64).reshape(-1),
        get("shift", 0),
        get("low", 0),
        get("high", 0),
        np.array(clamps, dtype=np.int64) if clamps else None,
        props[keys[1]] == "true",
    )


def _weights(node: ir.Node) -> np.ndarray:
    """Weights of a ConvInteger or MatMulInteger as int8, their zero point taken off."""
    stored = _array(node.inputs[1]).astype(np.int64)
    zero_point = int(_array(node.inputs[3]))
    return (stored - zero_point).astype(np.int8)


def _weight_bits(node: ir.Node) -> int:
    value = _value(node.inputs[1])
    precision = annotation_of(value)
    if precision is None:
        raise UnsupportedModelError(f"weight '{value.name}' has no precision in its metadata", where=_WHERE)
    return precision.bits


def _array(value: ir.Value | None) -> np.ndarray:
    constant = _value(value).const_value
    if constant is None:
        raise UnsupportedModelError(f"'{_value(value).name}' is not constant", where=_WHERE)
    return constant.numpy()


def _value(value: ir.Value | None) -> ir.Value:
    if value is None:
        raise UnsupportedModelError("a node lacks an input", where=_WHERE)
    return value


def _producer(value: ir.Value | None) -> ir.Node:
    node = _value(value).producer()
    if node is None:
        raise UnsupportedModelError(f"'{_value(value).name}' has no producer", where=_WHERE)
    return node


__all__ = ["c_identifier", "read_integer_model"]
