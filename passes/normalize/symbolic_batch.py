"""Pass ``symbolic-batch``: makes the batch dimension ``N`` and infers all shapes anew."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from fbcompile.errors import UnsupportedModelError
from fbcompile.passes.base import Change, ReportingPass

BATCH = "N"
"""Name of the batch dimension."""


@dataclasses.dataclass
class SymbolicBatchPass(ReportingPass):
    """Makes the batch symbolic on every value.

    Requires: Only operators of the normal form, none of which has the batch in a constant.
    Does: Sets the input's first dimension, forgets all other shapes and runs ONNX's shape inference.
    Ensures: Every value that a node produces has a shape [N, numbers ...].

    Raises:
        UnsupportedModelError: Some value's shape cannot be inferred, or does not start with the batch.
    """

    name: ClassVar[str] = "symbolic-batch"

    def transform(self, model: ir.Model) -> list[Change]:
        """Infers the shapes."""
        graph_input = model.graph.inputs[0]
        values = [output for node in model.graph for output in node.outputs]
        before = [str(value.shape) for value in (graph_input, *values)]
        if graph_input.shape is None:
            raise UnsupportedModelError(
                f"graph input '{graph_input.name}' has no shape", where="symbolic-batch"
            )
        graph_input.shape = ir.Shape([BATCH, *list(graph_input.shape)[1:]])
        for value in values:
            value.shape = None
        ShapeInferencePass(data_prop=False)(model)
        unknown = [str(value.name) for value in values if not _has_shape(value)]
        if unknown:
            raise UnsupportedModelError(
                f"the shapes of {', '.join(unknown)} cannot be inferred",
                why=f"every tensor must have the shape [{BATCH}, numbers ...]",
                where="normalize, symbolic-batch",
                hint="look at the first of them in Netron: the node that makes it does not fit its inputs",
            )
        after = [str(value.shape) for value in (graph_input, *values)]
        changed = sum(old != new for old, new in zip(before, after, strict=True))
        return (
            [Change(str(graph_input.name), f"batch is {BATCH}", f"{changed} shapes changed")]
            if changed
            else []
        )


def _has_shape(value: ir.Value) -> bool:
    shape = value.shape
    if shape is None or not len(shape) or shape[0] != BATCH:
        return False
    return all(isinstance(size, int) for size in list(shape)[1:])
