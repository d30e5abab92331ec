"""The integer graph while it is built beside the QDQ graph that it replaces."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from fbcompile.annotation import PREFIX, Precision, annotate
from fbcompile.errors import InternalError
from fbcompile.graph.qdq import quantized_tensors

Attributes: TypeAlias = dict[str, int | tuple[int, ...]]

_CONTAINERS = {(8, False): ir.DataType.UINT8, (8, True): ir.DataType.INT8, (32, True): ir.DataType.INT32}


def container(precision: Precision) -> ir.DataType:
    """The ONNX type that holds a precision: 8 bit for all narrow ones, int32 for raw outputs."""
    return _CONTAINERS[max(precision.bits, 8), precision.signed]


@dataclasses.dataclass(frozen=True)
class IntegerTensor:
    """An activation of the integer graph.

    Attributes:
        value: Its value in the new graph.
        precision: Real width and sign; stored in 8 (or 32) bits.
        scale: Real value of one step.
    """

    value: ir.Value
    precision: Precision
    scale: float


class IntegerGraph:
    """The integer graph while it is built beside the QDQ graph that it replaces.

    Args:
        model: QDQ model; only read.
    """

    def __init__(self, model: ir.Model) -> None:
        self.source = model.graph
        pairs = quantized_tensors(model)
        self.pairs = {tensor.source: tensor for tensor in pairs.values()}
        self.weights = {tensor.dequantize.outputs[0]: tensor for tensor in pairs.values() if tensor.is_weight}
        self.nodes: list[ir.Node] = []
        self.initializers: dict[str, ir.Value] = {}
        self._names = {value.name for node in model.graph for value in node.outputs}
        self._tensors: dict[ir.Value, IntegerTensor] = {}
        pair = self.pairs[model.graph.inputs[0]]
        self.input = self.define(pair.source, pair.precision, float(pair.scale))

    def tensor(self, value: ir.Value | None) -> IntegerTensor:
        """The integer tensor of a float value of the QDQ graph (in front of its pair or behind)."""
        if value is None or value not in self._tensors:
            raise InternalError(f"'{None if value is None else value.name}' has no integer tensor yet")
        return self._tensors[value]

    def define(self, source: ir.Value, precision: Precision, scale: float) -> IntegerTensor:
        """Makes the integer twin of a float value, known also under its DequantizeLinear output."""
        dtype = container(precision)
        value = ir.val(source.name, dtype, source.shape)
        annotate(value, precision)
        value.metadata_props[PREFIX + "scale"] = repr(scale)
        tensor = IntegerTensor(value, precision, scale)
        self._tensors[source] = tensor
        if source in self.pairs:
            self._tensors[self.pairs[source].dequantize.outputs[0]] = tensor
        return tensor

    def constant(self, name: str, array: np.ndarray) -> ir.Value:
        """Adds an initializer under a name that is not taken."""
        name = self.unique(name)
        value = ir.val(name, const_value=ir.tensor(array, name=name))
        self.initializers[name] = value
        return value

    def unique(self, name: str) -> str:
        """``name``, or with a number behind it if another value has it."""
        candidate, number = name, 1
        while candidate in self._names:
            candidate, number = f"{name}_{number}", number + 1
        self._names.add(candidate)
        return candidate

    def emit(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        output: ir.Value,
        attributes: Attributes,
        name: str,
        domain: str = "",
    ) -> ir.Node:
        """Appends a node."""
        node = ir.node(op_type, inputs, attributes, outputs=[output], name=name, domain=domain)
        self.nodes.append(node)
        return node

    def finish(self) -> ir.Graph:
        """The finished graph."""
        output = self.source.outputs[0]
        return ir.Graph(
            [self.input.value],
            [self.tensor(output).value],
            nodes=self.nodes,
            initializers=list(self.initializers.values()),
            opset_imports={},
            name=self.source.name,
            doc_string=self.source.doc_string,
            metadata_props=dict(self.source.metadata_props),
        )
