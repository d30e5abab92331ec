"""Pass ``reduce-mean-to-global-average-pool``: every mean over the whole plane becomes GlobalAveragePool."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import (
    fresh_name,
    graph_of,
    input_of,
    integer_argument,
    label,
    new_initializer,
    nodes_of,
    replace_node,
    static_shape,
)


@dataclasses.dataclass
class ReduceMeanToGlobalAveragePoolPass(ReportingPass):
    """Rewrites means over height and width.

    Requires: Static shapes, explicit windows.
    Does:
        1. ReduceMean over axes 2 and 3 (attribute up to opset 17, input from 18 on; in any order, negative or
           not) becomes GlobalAveragePool, followed by a Squeeze if it does not keep the axes.
        2. AveragePool without pads whose window is the whole plane becomes GlobalAveragePool.
    Ensures: Neither form is left.
    """

    name: ClassVar[str] = "reduce-mean-to-global-average-pool"

    def transform(self, model: ir.Model) -> list[Change]:
        """Rewrites."""
        changes = []
        for node in nodes_of(model.graph, "ReduceMean", "AveragePool"):
            shape = static_shape(node.inputs[0])
            if shape is None or len(shape) != 4:
                continue
            what = label(node)
            if node.op_type == "AveragePool" and _covers_plane(node, shape):
                replace_node(node, ir.node("GlobalAveragePool", [node.inputs[0]]))
            elif node.op_type == "ReduceMean" and _axes(node) == [2, 3]:
                _replace_mean(node, shape)
            else:
                continue
            changes.append(Change(what, "written as GlobalAveragePool"))
        return changes


def _covers_plane(node: ir.Node, shape: tuple[int, ...]) -> bool:
    window, pads = node.attributes.get_ints("kernel_shape", ()), node.attributes.get_ints("pads", None)
    return tuple(window) == shape[2:] and pads is not None and not any(pads)


def _axes(node: ir.Node) -> list[int] | None:
    axes = integer_argument(node, "axes", 1)
    return None if axes is None else sorted(axis % 4 for axis in axes)


def _replace_mean(node: ir.Node, shape: tuple[int, ...]) -> None:
    if node.attributes.get_int("keepdims", 1):
        replace_node(node, ir.node("GlobalAveragePool", [input_of(node, 0)]))
        return
    graph = graph_of(node)
    pool = ir.node("GlobalAveragePool", [node.inputs[0]], name=f"{node.name}_pool" if node.name else None)
    pooled = pool.outputs[0]
    pooled.name = fresh_name(graph, f"{node.outputs[0].name}_pooled")
    pooled.type, pooled.shape = node.outputs[0].type, ir.Shape((*shape[:2], 1, 1))
    graph.insert_before(node, pool)
    axes = new_initializer(graph, f"{pooled.name}_axes", np.asarray([2, 3], dtype=np.int64))
    replace_node(node, ir.node("Squeeze", [pooled, axes]))
