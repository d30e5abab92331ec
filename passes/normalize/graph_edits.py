"""Small edits of an ONNX graph that the normalisation passes share: constants, rewiring, parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fbcompile.errors import InternalError

FloatArray: TypeAlias = npt.NDArray[np.float64]

SHAPE_OPS = frozenset({"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that move or rename elements but never change or combine them."""


def nodes_of(graph: ir.Graph, *op_types: str) -> list[ir.Node]:
    """The nodes of the default domain with one of ``op_types``, in graph order, as a list of their own."""
    return [node for node in graph if node.domain == "" and node.op_type in op_types]


def constant(value: ir.Value | None) -> npt.NDArray[np.generic] | None:
    """The array of a constant value (initializer), or None if it is absent or computed at run time."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return value.const_value.numpy()


def float_constant(value: ir.Value | None) -> FloatArray | None:
    """The array of a constant floating-point value in float64, or None."""
    array = constant(value)
    if array is None or array.dtype.kind != "f":
        return None
    return array.astype(np.float64)


def integer_argument(node: ir.Node, attribute: str, input_index: int) -> list[int] | None:
    """Integers that are an attribute in old opsets and an input in new ones, e.g. ``axes``.

    Returns:
        The integers; None if the node has neither, or the input is not constant.
    """
    as_attribute = node.attributes.get_ints(attribute, None)
    if as_attribute is not None:
        return list(as_attribute)
    array = constant(input_of(node, input_index))
    return None if array is None else [int(item) for item in array.reshape(-1)]


def input_of(node: ir.Node, index: int) -> ir.Value | None:
    """An input, or None if it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def static_shape(value: ir.Value | None) -> tuple[int, ...] | None:
    """The shape of a value if every dimension is a known number, else None."""
    if value is None or value.shape is None:
        return None
    dimensions = tuple(value.shape)
    if not all(isinstance(size, int) for size in dimensions):
        return None
    return tuple(int(size) for size in dimensions if isinstance(size, int))


def sole_consumer(value: ir.Value) -> ir.Node | None:
    """The only node that reads ``value``, or None if there are none or several or it is the graph output."""
    uses = tuple(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def sole_producer(node: ir.Node, op_types: Iterable[str], position: int = 0) -> ir.Node | None:
    """The producer of an input, if it is one of ``op_types`` and nothing but ``node`` reads that input."""
    value = input_of(node, position)
    producer = None if value is None else value.producer()
    if value is None or producer is None or producer.op_type not in op_types or producer.domain != "":
        return None
    return producer if sole_consumer(value) is node else None


def graph_of(node: ir.Node) -> ir.Graph:
    """The graph that holds ``node``."""
    if not isinstance(node.graph, ir.Graph):
        raise InternalError(f"node '{node.name}' is not part of a graph")
    return node.graph


def fold_into(node: ir.Node, value: ir.Value) -> None:
    """Removes ``node``; ``value`` is its output from now on, with its name and its annotation only."""
    name = node.outputs[0].name
    value.metadata_props.clear()
    bypass(node, value)
    value.name = name


def bypass(node: ir.Node, value: ir.Value) -> None:
    """Removes ``node``, whose output equals ``value``.

    ``value`` keeps its name, unless the output is the graph's, whose name the user sees. The output's
    annotation moves to ``value``.
    """
    output = node.outputs[0]
    name = output.name if output.is_graph_output() else value.name
    for key, text in output.metadata_props.items():
        value.metadata_props.setdefault(key, text)
    output.replace_all_uses_with(value, replace_graph_outputs=True)
    graph_of(node).remove(node, safe=True)
    value.name = name


def can_bypass(node: ir.Node) -> bool:
    """False where the removal would make the graph's input or a constant its output."""
    value = input_of(node, 0)
    if value is None:
        return False
    return not (node.outputs[0].is_graph_output() and value.producer() is None)


def replace_node(old: ir.Node, new: ir.Node) -> None:
    """Puts ``new`` in the place of ``old``; its only output takes over name, type, shape and annotation."""
    before, after = old.outputs[0], new.outputs[0]
    after.type, after.shape = before.type, before.shape
    after.metadata_props.update(before.metadata_props)
    new.name = old.name
    name = before.name
    graph = graph_of(old)
    graph.insert_before(old, new)
    before.replace_all_uses_with(after, replace_graph_outputs=True)
    graph.remove(old, safe=True)
    after.name = name


def fresh_name(graph: ir.Graph, base: str) -> str:
    """``base``, or ``base_2``, ``base_3`` ...: the first that no value of the graph has."""
    taken = {value.name for value in (*graph.inputs, *graph.initializers.values())}
    taken.update(output.name for node in graph for output in node.outputs)
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def new_initializer(graph: ir.Graph, base: str, array: npt.NDArray[np.generic]) -> ir.Value:
    """Adds a constant to the graph under a name that starts with ``base``."""
    name = fresh_name(graph, base)
    tensor = ir.tensor(np.array(array, order="C"), name=name)
    value = ir.Value(
        name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def set_parameter(node: ir.Node, index: int, array: FloatArray) -> None:
    """Makes input ``index`` of a layer the constant ``array``, stored as float32.

    A constant that only this node reads keeps its name and gets the new contents; a shared or missing one is
    left as it is, and the node reads a constant of its own.
    """
    contents = np.ascontiguousarray(array.astype(np.float32))
    old = input_of(node, index)
    if old is not None and old.is_initializer() and sole_consumer(old) is node:
        old.const_value = ir.tensor(contents, name=old.name)
        old.shape, old.type = ir.Shape(contents.shape), ir.TensorType(ir.DataType.FLOAT)
        return
    role = {1: "weight", 2: "bias"}.get(index, f"input_{index}")
    base = old.name if old is not None else f"{node.outputs[0].name}_{role}"
    if len(node.inputs) <= index:
        node.resize_inputs(index + 1)
    node.replace_input_with(index, new_initializer(graph_of(node), str(base), contents))


def label(node: ir.Node) -> str:
    """How messages name a node: its operator and its name, or its output if it has no name."""
    operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    return f"{operator} '{node.name or node.outputs[0].name}'"
