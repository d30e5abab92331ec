"""Pass ``fold-constants``: computes at compile time what does not depend on the input."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnxscript import optimizer

from fbcompile.passes.base import Change, ReportingPass

SIZE_LIMIT = 1 << 28
"""Elements of the largest constant that is folded: weights behind a Transpose must be, at any size."""


@dataclasses.dataclass
class FoldConstantsPass(ReportingPass):
    """Evaluates every node whose inputs are known, and infers the shapes of all values on the way.

    Requires: The graph input has a static shape (``fix-batch``); constants are initializers.
    Does: Runs onnxscript's constant folder, which also propagates shapes through Shape, Gather, Concat and
        Reshape; removes the nodes and constants that nothing reads any more.
    Ensures: No node of the default domain has only constant inputs; shapes are known as far as ONNX can infer
        them.
    """

    name: ClassVar[str] = "fold-constants"

    def transform(self, model: ir.Model) -> list[Change]:
        """Folds."""
        before = {node.name or str(node.outputs[0].name): node.op_type for node in model.graph}
        optimizer.fold_constants(
            model, onnx_shape_inference=True, input_size_limit=SIZE_LIMIT, output_size_limit=SIZE_LIMIT
        )
        RemoveUnusedNodesPass()(model)
        after = {node.name or str(node.outputs[0].name) for node in model.graph}
        return [Change(f"{kind} '{name}'", "folded") for name, kind in before.items() if name not in after]
