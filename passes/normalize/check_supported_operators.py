"""Pass ``check-supported-operators``: names all operators and attributes that no later pass can handle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import label
from fbcompile.passes.normalize.supported import IMPORTED_OPS, attribute_faults, raise_all

OLDEST_OPSET = 7
"""Before opset 7 Add and Gemm broadcast by attributes, and BatchNormalization had other modes."""

_FLOATS = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})


@dataclasses.dataclass
class CheckSupportedOperatorsPass(ReportingPass):
    """Refuses a model with operators, attributes or element types that the importer does not know.

    Requires: Constants are folded.
    Does: Nothing to the model.
    Ensures: Every operator is one of ``supported.IMPORTED_OPS``, with attributes within the limits, on
        float32.

    Raises:
        UnsupportedModelError: Names all offending nodes.
    """

    name: ClassVar[str] = "check-supported-operators"

    def transform(self, model: ir.Model) -> list[Change]:
        """Checks."""
        raise_all(
            list(_faults(model)),
            why=f"supported are {', '.join(sorted(IMPORTED_OPS))} on float32",
            where="normalize, check-supported-operators",
            hint="replace these operators in the training framework and export again",
        )
        return []


def _faults(model: ir.Model) -> Iterator[str]:
    opset = model.graph.opset_imports.get("", 0)
    if opset < OLDEST_OPSET:
        yield f"opset {opset}, the oldest supported is {OLDEST_OPSET} (onnx.version_converter can raise it)"
    graph_input = model.graph.inputs[0]
    if graph_input.dtype != ir.DataType.FLOAT:
        yield f"graph input '{graph_input.name}' has type {graph_input.dtype}, only FLOAT is supported"
    for name, value in model.graph.initializers.items():
        if value.dtype in _FLOATS:
            yield f"constant '{name}' has element type {value.dtype}, only FLOAT is supported"
    for node in model.graph:
        if node.domain not in ("", "ai.onnx") or node.op_type not in IMPORTED_OPS:
            yield label(node)
        else:
            yield from attribute_faults(node)
            yield from _training_faults(node)


def _training_faults(node: ir.Node) -> Iterator[str]:
    if node.op_type != "BatchNormalization":
        return
    if node.attributes.get_int("training_mode", 0) or node.attributes.get_int("spatial", 1) != 1:
        yield f"{label(node)}: training mode or per-element statistics"
    if any(output.uses() for output in node.outputs[1:]):
        yield f"{label(node)}: its statistics are used as outputs"
