"""Pass ``name-everything``: gives every node and value a unique name."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir
from onnx_ir.passes.common import NameFixPass

from fbcompile.passes.base import Change, ReportingPass


@dataclasses.dataclass
class NameEverythingPass(ReportingPass):
    """Names what has no name or shares one, and leaves all other names as they are.

    Requires: Nothing.
    Does: A node without a name gets ``<operator>_<name of its first output>``; clashes get a number
        (onnx_ir's NameFixPass).
    Ensures: Names of nodes, and of values, are present and unique.
    """

    name: ClassVar[str] = "name-everything"

    def transform(self, model: ir.Model) -> list[Change]:
        """Names."""
        before = _names(model.graph)
        NameFixPass(_Names())(model)
        for node in model.graph:
            if not node.name:
                node.name = _Names().generate_node_name(node)
        NameFixPass(_Names())(model)
        return [
            Change(str(new), "named", f"it was {old!r}")
            for old, new in zip(before, _names(model.graph), strict=True)
            if old != new
        ]


class _Names:
    """How onnx_ir's NameFixPass names what needs a name."""

    def generate_node_name(self, node: ir.Node) -> str:
        return node.name or f"{node.op_type}_{node.outputs[0].name}"

    def generate_value_name(self, value: ir.Value) -> str:
        producer = value.producer()
        return value.name or (f"{producer.op_type}_output" if producer is not None else "value")


def _names(graph: ir.Graph) -> list[str | None]:
    values = (
        *graph.inputs,
        *graph.initializers.values(),
        *(output for node in graph for output in node.outputs),
    )
    return [*(value.name for value in values), *(node.name for node in graph)]
