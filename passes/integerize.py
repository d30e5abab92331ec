"""QDQ model → integer model: the same network in exact integers, in ONNX that onnxruntime runs."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common as common

from fbcompile.errors import UnsupportedModelError
from fbcompile.graph.activations import PASS_ON, PRODUCERS, check_operators, fused_output, is_raw_output
from fbcompile.graph.integer_functions import (
    DOMAIN,
    DOMAIN_VERSION,
    INTEGER_OPSET,
    integer_functions,
    is_integer_model,
)
from fbcompile.graph.qdq import quantized_tensors
from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.integer_graph import IntegerGraph
from fbcompile.passes.integer_layers import emit_layer

IR_VERSION = 13
"""IR version of the files, the first that fits the opset in every reader that was tried."""


@dataclasses.dataclass
class IntegerizePass(ReportingPass):
    """QDQ form → integer form (docs/architecture.md, "Integer ONNX").

    Requires: the QDQ form, with shapes or with operators of which onnx infers them.
    Does: replaces the graph. Each layer becomes an exact integer accumulator and a requantization whose
    integers ``fbcompile.passes.requantization`` chose and proved; biases are folded into them; the last layer
    gives raw int32 with one scale for all channels.
    Ensures: opset 28; names of activations as before; an integer model is left as it is.
    """

    name: ClassVar[str] = "integerize"

    def transform(self, model: ir.Model) -> list[Change]:
        """See the class; raises UnsupportedModelError, naming all tensors that lack a Q/DQ pair."""
        if is_integer_model(model):
            return []
        check_operators(model)
        if any(value.shape is None for node in model.graph for value in node.outputs):
            common.ShapeInferencePass()(model)
        self._check_pairs(model)
        graph = IntegerGraph(model)
        changes = [emit_layer(graph, node) for node in model.graph if node.op_type in PRODUCERS | PASS_ON]
        model.graph = graph.finish()
        model.graph.opset_imports.update({"": INTEGER_OPSET, DOMAIN: DOMAIN_VERSION})
        used = {node.op_type for node in model.graph}
        for function in integer_functions():
            if function.name in used:
                model.functions[function.identifier()] = function
        model.ir_version = IR_VERSION
        return changes

    def _check_pairs(self, model: ir.Model) -> None:
        present = quantized_tensors(model)
        problems = [str(value.name) for value in model.graph.inputs if value.name not in present]
        for node in model.graph:
            if node.op_type in PRODUCERS:
                value = fused_output(node).value
                if value.name not in present and not is_raw_output(node):
                    problems.append(str(value.name))
            if node.op_type in ("Conv", "Gemm"):
                weight = node.inputs[1]
                if weight is None or weight.is_initializer():
                    problems.append(f"weight of '{node.name}'")
        if problems:
            raise UnsupportedModelError(
                f"not quantized: {', '.join(problems)}",
                why="all inputs, weights and outputs of layers need a Q/DQ pair, but for a raw graph output",
                where=self.name,
                hint="run the quantize stage first",
            )
