"""Pass ``remove-trailing-softmax``: leaves the last, non-linear step of a classifier to the host."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import onnx_ir as ir

from fbcompile.annotation import PREFIX
from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import SHAPE_OPS, bypass, label, static_shape
from fbcompile.passes.normalize.supported import HOST_OPS

HOST_POSTPROCESS = PREFIX + "host_postprocess"
"""Metadata key of the model: what the host applies to the output, comma-separated, first to last."""


@dataclasses.dataclass
class RemoveTrailingSoftmaxPass(ReportingPass):
    """Removes Softmax, LogSoftmax and Sigmoid at the model's end and records them in its metadata.

    Requires: Static shapes.
    Does: Walks back from the output through changes of shape. A Softmax must be taken over all values of an
        image, so that the host can do it without knowing the shape. The output is the value that the operator
        read; it takes that value's name, because it is another quantity than what had the output's name.
    Ensures: The output is not the result of one of these operators; the model's metadata names them.
    """

    name: ClassVar[str] = "remove-trailing-softmax"

    def transform(self, model: ir.Model) -> list[Change]:
        """Removes them, last first."""
        changes = []
        while (node := _last_host_operator(model.graph)) is not None:
            source = node.inputs[0]
            if source is None or source.producer() is None:
                break
            changes.append(Change(label(node), "left to the host"))
            earlier = model.metadata_props.get(HOST_POSTPROCESS)
            model.metadata_props[HOST_POSTPROCESS] = ",".join(filter(None, (node.op_type, earlier)))
            name = source.name
            bypass(node, source)
            source.name = name
        return changes


def _last_host_operator(graph: ir.Graph) -> ir.Node | None:
    value: ir.Value | None = graph.outputs[0]
    while value is not None:
        node = value.producer()
        if node is None or len(value.uses()) + value.is_graph_output() != 1:
            return None
        if node.op_type in HOST_OPS:
            return node if _is_over_image(node, graph) else None
        if node.op_type not in SHAPE_OPS:
            return None
        value = node.inputs[0]
    return None


def _is_over_image(node: ir.Node, graph: ir.Graph) -> bool:
    """True if a Softmax normalises over all values of one image; a Sigmoid does not care."""
    if node.op_type == "Sigmoid":
        return True
    shape = static_shape(node.inputs[0])
    if shape is None or len(shape) < 2:
        return False
    flattens = graph.opset_imports.get("", 0) < 13
    axis = node.attributes.get_int("axis", 1 if flattens else -1) % len(shape)
    normalised = math.prod(shape[axis:]) if flattens else shape[axis]
    return normalised == math.prod(shape[1:])
