"""Pass ``fix-batch``: gives the batch dimension a number, so that every shape in the model is known."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir

from fbcompile.errors import UnsupportedModelError
from fbcompile.passes.base import Change, ReportingPass

IMPORT_BATCH = 2
"""Stands for a symbolic batch: with 1 image, an operator that mixes images would not be noticed."""


@dataclasses.dataclass
class FixBatchPass(ReportingPass):
    """Makes the batch dimension a number for the time of the import; ``symbolic-batch`` makes it ``N`` again.

    The shapes that exporters compute at run time (Shape → Gather → Concat → Reshape) depend on nothing but
    the batch, so they become constants.

    Requires: One graph input whose other dimensions are numbers.
    Does: Sets a symbolic batch to ``IMPORT_BATCH`` (a number stays: it may be baked into the model's
        constants) and forgets the recorded shapes of all values that nodes produce.
    Ensures: The input's shape is static.
    """

    name: ClassVar[str] = "fix-batch"

    def transform(self, model: ir.Model) -> list[Change]:
        """Sets the batch."""
        graph_input = model.graph.inputs[0]
        shape = graph_input.shape
        if shape is None or len(shape) < 2:
            raise UnsupportedModelError(f"graph input '{graph_input.name}' has no shape", where="fix-batch")
        if isinstance(shape[0], int) and shape[0] > 0:
            return []
        graph_input.shape = ir.Shape([IMPORT_BATCH, *list(shape)[1:]])
        for node in model.graph:
            for output in node.outputs:
                output.shape = None
        return [
            Change(str(graph_input.name), f"batch is {IMPORT_BATCH} during the import", "it was symbolic")
        ]
