"""Pass ``remove-no-ops``: removes nodes that only exist in training or only pass a tensor on."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import (
    bypass,
    can_bypass,
    constant,
    input_of,
    integer_argument,
    label,
)


@dataclasses.dataclass
class RemoveNoOpsPass(ReportingPass):
    """Removes nodes whose output is their input.

    Requires: Constants are initializers.
    Does: Removes Identity, Dropout in inference, Cast to the type that the input has, Concat and Sum of one
        tensor, Pad by nothing, Transpose that keeps the order. Names and annotations are kept
        (``graph_edits.bypass``).
    Ensures: None of these is left, except where the graph's input would become its output.
    """

    name: ClassVar[str] = "remove-no-ops"

    def transform(self, model: ir.Model) -> list[Change]:
        """Removes the nodes."""
        changes = []
        for node in list(model.graph):
            reason = _reason(node) if node.domain == "" else None
            value = input_of(node, 0)
            if reason is not None and value is not None and can_bypass(node):
                changes.append(Change(label(node), "removed", reason))
                bypass(node, value)
        return changes


def _reason(node: ir.Node) -> str | None:
    """Why the node does nothing, or None if it does something."""
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        return None
    if node.op_type == "Identity":
        return "it copies"
    if node.op_type == "Dropout" and not _trains(node):
        return "it only acts in training"
    if node.op_type == "Cast":
        value = node.inputs[0]
        same = (
            value is not None and value.dtype is not None and value.dtype == node.attributes.get_int("to", 0)
        )
        return "it casts to the type that the input has" if same else None
    if node.op_type in ("Concat", "Sum") and len(node.inputs) == 1:
        return "it has one input"
    if node.op_type == "Pad" and (pads := integer_argument(node, "pads", 1)) is not None and not any(pads):
        return "it pads by nothing"
    if node.op_type == "Transpose":
        order = list(node.attributes.get_ints("perm", ()))
        return "it keeps the order" if order and order == sorted(order) else None
    return None


def _trains(node: ir.Node) -> bool:
    """True if a Dropout's input ``training_mode`` is not known to be false."""
    if input_of(node, 2) is None:
        return False
    training = constant(node.inputs[2])
    return training is None or bool(training.reshape(-1)[0])
