"""Pass ``flatten``: every chain of changes of shape becomes one Flatten, or nothing."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import (
    SHAPE_OPS,
    bypass,
    float_constant,
    graph_of,
    integer_argument,
    label,
    new_initializer,
    nodes_of,
    replace_node,
    set_parameter,
    static_shape,
)


@dataclasses.dataclass
class FlattenPass(ReportingPass):
    """Replaces chains of Squeeze, Unsqueeze, Reshape, Flatten and Transpose.

    What a chain does is found out by numbering the elements of its input and following them through the
    inferred shapes, so it does not matter how an exporter spells it.

    Requires: Static shapes, normalised Gemm (``mat-mul-to-gemm``).
    Does:
        1. A chain that changes neither shape nor order goes.
        2. A chain from [N, C, H, W] or [N, C, L] to [N, features] that keeps the order becomes
           ``Flatten(axis=1)``.
        3. One that changes the order (NHWC exporters: Transpose, then Flatten) and is read by Gemm only
           becomes Flatten, and the columns of the Gemm's weight move to where their elements are.
        4. A chain from the graph input [N, C, L] to [N, C, 1, L], or back to the graph output, becomes the
           Reshape of ``lift-1d-to-2d``.
    Ensures: What is left of these operators cannot be expressed that way, or has form 2 or 4.
    """

    name: ClassVar[str] = "flatten"

    def transform(self, model: ir.Model) -> list[Change]:
        """Replaces the chains, each by its end."""
        changes = []
        for node in nodes_of(model.graph, *sorted(SHAPE_OPS)):
            if node.graph is not None and _is_end_of_chain(node):
                changes += _replace_chain(node)
        return changes


def _is_end_of_chain(node: ir.Node) -> bool:
    """True if anything but a change of shape reads the node's output."""
    output = node.outputs[0]
    return output.is_graph_output() or any(reader.op_type not in SHAPE_OPS for reader in output.consumers())


def _chain(end: ir.Node) -> tuple[ir.Value | None, list[ir.Node]]:
    """The value at the start of the chain and its nodes, first to last."""
    nodes = [end]
    while True:
        source = nodes[0].inputs[0]
        producer = None if source is None else source.producer()
        if producer is None or producer.op_type not in SHAPE_OPS or producer.domain != "":
            return source, nodes
        nodes.insert(0, producer)


def _replace_chain(end: ir.Node) -> list[Change]:
    source, nodes = _chain(end)
    shape, order = static_shape(source), _order(source, nodes)
    target = static_shape(end.outputs[0])
    if source is None or shape is None or order is None or target is None:
        return []
    is_identity = bool(np.array_equal(order, np.arange(order.size)))
    what = label(end)
    if is_identity and target == shape and source.producer() is not None:
        bypass(end, source)
        _remove_unread(nodes[:-1])
        return [Change(what, "removed", "it changes nothing, with what comes before")]
    if is_identity and _is_change_of_height(source, end):
        return _write_reshape(source, nodes)
    if len(shape) not in (3, 4) or target != (shape[0], order.size):
        return []
    readers = end.outputs[0].consumers()
    if not is_identity:
        if end.outputs[0].is_graph_output() or not all(_can_permute(reader, end) for reader in readers):
            return []
        for reader in readers:
            _permute_columns(reader, order)
    elif len(nodes) == 1 and end.op_type == "Flatten" and end.attributes.get_int("axis", 1) == 1:
        return []
    replace_node(end, ir.node("Flatten", [source], {"axis": 1}))
    _remove_unread(nodes[:-1])
    reason = "" if is_identity else "the weight's columns were moved"
    return [Change(what, "written as Flatten", reason)]


def _is_change_of_height(source: ir.Value, end: ir.Node) -> bool:
    """True from the graph input [N, C, L] to [N, C, 1, L], or back in front of the graph output."""
    before, after = static_shape(source) or (), static_shape(end.outputs[0]) or ()
    enters = len(before) == 3 and after == (*before[:2], 1, before[2]) and source.is_graph_input()
    leaves = len(after) == 3 and before == (*after[:2], 1, after[2]) and end.outputs[0].is_graph_output()
    return enters or leaves


def _write_reshape(source: ir.Value, nodes: list[ir.Node]) -> list[Change]:
    end = nodes[-1]
    shape = [0, *(static_shape(end.outputs[0]) or ())[1:]]
    given = integer_argument(end, "shape", 1) if end.op_type == "Reshape" else None
    if len(nodes) == 1 and given == shape and not end.attributes.get_int("allowzero", 0):
        return []
    what, graph = label(end), graph_of(end)
    target = new_initializer(graph, f"{end.outputs[0].name}_shape", np.asarray(shape, dtype=np.int64))
    replace_node(end, ir.node("Reshape", [source, target]))
    _remove_unread(nodes[:-1])
    return [Change(what, f"written as Reshape to {shape}")]


def _remove_unread(nodes: list[ir.Node]) -> None:
    for node in reversed(nodes):
        if node.graph is not None and not node.outputs[0].uses() and not node.outputs[0].is_graph_output():
            node.graph.remove(node, safe=True)


def _order(source: ir.Value | None, nodes: list[ir.Node]) -> npt.NDArray[np.int64] | None:
    """For each element behind the chain, its index in the image before; None if unknown, or if images mix."""
    shape = static_shape(source)
    if shape is None or not shape or shape[0] == 0:
        return None
    batch = shape[0]
    numbers = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    for node in nodes:
        target = static_shape(node.outputs[0])
        if target is None:
            return None
        if node.op_type == "Transpose":
            numbers = numbers.transpose(node.attributes.get_ints("perm", tuple(range(numbers.ndim))[::-1]))
        if numbers.size != int(np.prod(target)):
            return None
        numbers = numbers.reshape(target)
    if not numbers.ndim or numbers.shape[0] != batch:
        return None
    rows = numbers.reshape(batch, -1)
    offsets = np.arange(batch)[:, None] * rows.shape[1]
    order: npt.NDArray[np.int64] = rows[0]
    return order if np.array_equal(rows, order[None] + offsets) else None


def _can_permute(reader: ir.Node, end: ir.Node) -> bool:
    if reader.op_type != "Gemm" or reader.inputs[0] is not end.outputs[0]:
        return False
    transposed = reader.attributes.get_int("transB", 0) == 1 and not reader.attributes.get_int("transA", 0)
    return transposed and float_constant(reader.inputs[1]) is not None


def _permute_columns(gemm: ir.Node, order: npt.NDArray[np.int64]) -> None:
    weight = float_constant(gemm.inputs[1])
    if weight is None:
        return
    moved = np.empty_like(weight)
    moved[:, order] = weight
    set_parameter(gemm, 1, moved)
