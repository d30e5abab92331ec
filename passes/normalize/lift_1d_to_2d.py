"""Pass ``lift-1d-to-2d``: one-dimensional networks become two-dimensional ones of height 1."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.channel_affine import ARITHMETIC
from fbcompile.passes.normalize.graph_edits import (
    constant,
    fresh_name,
    input_of,
    integer_argument,
    label,
    new_initializer,
    sole_consumer,
    static_shape,
)
from fbcompile.passes.normalize.supported import WINDOW_OPS

_AXES = {0: 0, 1: 1, 2: 3}
"""Axis of [N, C, L] → axis of [N, C, 1, L]."""

_LIFTED = frozenset(
    {*ARITHMETIC, *WINDOW_OPS, "Clip", "Concat", "GlobalAveragePool", "Pad", "ReduceMean", "Relu", "Sum"}
    | {"BatchNormalization"}
)


@dataclasses.dataclass
class Lift1dTo2dPass(ReportingPass):
    """Rewrites operators on [N, C, L] as operators on [N, C, 1, L].

    Both shapes have the same bytes in every layout, so the two changes of shape that are left, behind the
    graph input and in front of the graph output, cost nothing on the device, and the user's input and output
    keep their shapes.

    Requires: Static shapes, constants are initializers.
    Does:
        1. Conv, MaxPool and AveragePool with one-dimensional windows get a window of height 1; Pad,
           ReduceMean, Concat and arithmetic with constants get their axes moved.
        2. Where other operators give or read [N, C, L], and at the graph input and output, a Reshape with
           the constant shape [0, C, 1, L] or [0, C, L] is put in between (0 keeps the batch).
    Ensures: None of these operators works on three dimensions, unless its weights, pads or axes are not
        constant.
    """

    name: ClassVar[str] = "lift-1d-to-2d"

    def transform(self, model: ir.Model) -> list[Change]:
        """Lifts in graph order, then goes back to three dimensions for the readers that need them."""
        planes: dict[ir.Value, ir.Value] = {}
        nodes = []
        for node in list(model.graph):
            if _is_liftable(node, planes):
                _lift(model.graph, node, planes)
                nodes.append(node)
        entries = {plane.producer() for value, plane in planes.items() if value is not plane}
        for value, plane in planes.items():
            if value is plane:
                _return_to_line(model.graph, plane, {*nodes, *entries})
        return [Change(label(node), "height 1 written out", "it works on [N, C, L]") for node in nodes]


def _is_liftable(node: ir.Node, planes: dict[ir.Value, ir.Value]) -> bool:
    """True if all activations that the node reads are [N, C, L] and what else it needs is constant."""
    activations = [value for value in node.inputs if value is not None and constant(value) is None]
    if node.domain != "" or node.op_type not in _LIFTED or not activations:
        return False
    if any(value not in planes and len(static_shape(value) or ()) != 3 for value in activations):
        return False
    if node.op_type == "Conv":
        return constant(input_of(node, 1)) is not None
    if node.op_type == "Pad":
        pads, axes = integer_argument(node, "pads", 1), _pad_axes(node)
        return pads is not None and axes is not None and len(pads) == 2 * len(axes)
    return node.op_type != "ReduceMean" or integer_argument(node, "axes", 1) is not None


def _lift(graph: ir.Graph, node: ir.Node, planes: dict[ir.Value, ir.Value]) -> None:
    for position, value in enumerate(node.inputs):
        if value is None or constant(value) is not None:
            continue
        if value not in planes:
            batch, channels, length = static_shape(value) or (0, 0, 0)
            planes[value] = _reshaped(graph, value, (batch, channels, 1, length), "2d")
        node.replace_input_with(position, planes[value])
    if node.op_type in WINDOW_OPS:
        _lift_window(graph, node)
    elif node.op_type == "Pad":
        _lift_pad(graph, node)
    elif node.op_type == "ReduceMean":
        _lift_mean(graph, node)
    elif node.op_type == "Concat":
        axis = node.attributes.get_int("axis", 1) % 3
        node.attributes["axis"] = ir.AttrInt64("axis", _AXES[axis])
    elif node.op_type in ARITHMETIC:
        _lift_operands(graph, node)
    output = node.outputs[0]
    shape = static_shape(output)
    if shape is not None and len(shape) == 3:
        output.shape = ir.Shape([*shape[:2], 1, shape[2]])
        planes[output] = output


def _lift_window(graph: ir.Graph, node: ir.Node) -> None:
    attributes = node.attributes
    for name in ("kernel_shape", "strides", "dilations"):
        numbers = attributes.get_ints(name, None)
        if numbers is not None:
            attributes[name] = ir.AttrInt64s(name, [1, *numbers])
    pads = attributes.get_ints("pads", None)
    if pads is not None:
        attributes["pads"] = ir.AttrInt64s("pads", [0, pads[0], 0, pads[1]])
    if node.op_type == "Conv":
        _insert_height(graph, node, 1)


def _lift_operands(graph: ir.Graph, node: ir.Node) -> None:
    """Constants broadcast from the last axis on: only one that reaches the channels needs a height."""
    for position, value in enumerate(node.inputs):
        array = constant(value)
        if array is not None and array.ndim > 1:
            _insert_height(graph, node, position)


def _insert_height(graph: ir.Graph, node: ir.Node, position: int) -> None:
    """Gives the constant [..., L] at ``position`` the shape [..., 1, L]; name and annotation stay."""
    value = input_of(node, position)
    array = constant(value)
    if value is None or array is None:
        return
    lifted = np.expand_dims(array, -2)
    if sole_consumer(value) is node:
        value.const_value, value.shape = ir.tensor(lifted, name=value.name), ir.Shape(lifted.shape)
        return
    copy = new_initializer(graph, f"{value.name}_2d", lifted)
    copy.metadata_props.update(value.metadata_props)
    node.replace_input_with(position, copy)


def _lift_pad(graph: ir.Graph, node: ir.Node) -> None:
    pads, axes = integer_argument(node, "pads", 1) or [], _pad_axes(node) or []
    begin, end = [0] * 4, [0] * 4
    for position, axis in enumerate(axes):
        begin[_AXES[axis]], end[_AXES[axis]] = pads[position], pads[position + len(axes)]
    _set_integers(graph, node, "pads", 1, begin + end)
    if input_of(node, 3) is not None:
        _set_integers(graph, node, "axes", 3, [0, 1, 2, 3])


def _pad_axes(node: ir.Node) -> list[int] | None:
    """The axes of [N, C, L] that a Pad's numbers are for; None if they are computed at run time."""
    if input_of(node, 3) is None:
        return [0, 1, 2]
    axes = constant(node.inputs[3])
    return None if axes is None else [int(axis) % 3 for axis in axes.reshape(-1)]


def _lift_mean(graph: ir.Graph, node: ir.Node) -> None:
    """A mean over the length is one over the height as well, so that it drops both axes or keeps both."""
    axes = {_AXES[axis % 3] for axis in integer_argument(node, "axes", 1) or []}
    _set_integers(graph, node, "axes", 1, sorted(axes | {2} if 3 in axes else axes))


def _set_integers(graph: ir.Graph, node: ir.Node, name: str, position: int, numbers: list[int]) -> None:
    """Sets integers where the node has them: an attribute in old opsets, an input in new ones."""
    if name in node.attributes:
        node.attributes[name] = ir.AttrInt64s(name, numbers)
        return
    array = np.asarray(numbers, dtype=np.int64)
    node.replace_input_with(position, new_initializer(graph, f"{node.outputs[0].name}_{name}", array))


def _return_to_line(graph: ir.Graph, plane: ir.Value, on_planes: set[ir.Node | None]) -> None:
    """Puts a Reshape to [N, C, L] between a lifted value and what reads it in three dimensions."""
    readers = [use for use in plane.uses() if use.node not in on_planes]
    is_output = plane.is_graph_output()
    if not readers and not is_output:
        return
    batch, channels, _, length = static_shape(plane) or (0, 0, 0, 0)
    line = _reshaped(graph, plane, (batch, channels, length), "1d")
    for use in readers:
        use.node.replace_input_with(use.idx, line)
    if is_output:
        name = plane.name
        graph.outputs[0] = line
        plane.name = fresh_name(graph, f"{name}_2d")
        line.name = name


def _reshaped(graph: ir.Graph, value: ir.Value, shape: tuple[int, ...], suffix: str) -> ir.Value:
    """``value`` in another shape, by a Reshape right behind its producer that keeps the batch."""
    name = fresh_name(graph, f"{value.name}_{suffix}")
    target = new_initializer(graph, f"{name}_shape", np.asarray([0, *shape[1:]], dtype=np.int64))
    node = ir.node("Reshape", [value, target], name=name)
    output = node.outputs[0]
    output.name, output.type, output.shape = name, value.type, ir.Shape(shape)
    producer = value.producer()
    if producer is not None:
        graph.insert_after(producer, node)
    else:
        graph.insert_before(graph[0], node)
    return output
