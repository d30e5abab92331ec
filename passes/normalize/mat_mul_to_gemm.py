"""Pass ``mat-mul-to-gemm``: brings every linear layer into one form, and gives every layer a bias."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import (
    FloatArray,
    float_constant,
    input_of,
    label,
    nodes_of,
    replace_node,
    set_parameter,
    static_shape,
)


@dataclasses.dataclass
class MatMulToGemmPass(ReportingPass):
    """Writes linear layers as y = x·Wᵀ + b.

    Requires: Shapes of activations are known; constants are initializers.
    Does:
        1. MatMul of a matrix with a constant matrix becomes Gemm.
        2. Gemm gets transA = 0, transB = 1, alpha = beta = 1 (folded into the constants) and a bias of shape
           (outputs,).
        3. A Conv without a bias gets zeros.
    Ensures: Every Gemm with a constant weight and bias has the form above; every Conv has a bias. The Add
        after a MatMul is folded by ``fold-channel-affine``.
    """

    name: ClassVar[str] = "mat-mul-to-gemm"

    def transform(self, model: ir.Model) -> list[Change]:
        """Rewrites."""
        changes = []
        for node in nodes_of(model.graph, "MatMul", "Gemm", "Conv"):
            rewrite = {"MatMul": _from_mat_mul, "Gemm": _normalize_gemm, "Conv": _add_bias}[node.op_type]
            what = rewrite(node)
            if what:
                changes.append(Change(label(node), what))
        return changes


def _from_mat_mul(node: ir.Node) -> str:
    shape, weight = static_shape(node.inputs[0]), float_constant(node.inputs[1])
    if shape is None or len(shape) != 2 or weight is None or weight.ndim != 2:
        return ""
    gemm = ir.node("Gemm", [*node.inputs], {"transB": 1})
    replace_node(node, gemm)
    set_parameter(gemm, 1, weight.T)
    set_parameter(gemm, 2, np.zeros(weight.shape[1]))
    return "MatMul written as Gemm"


def _normalize_gemm(node: ir.Node) -> str:
    weight = float_constant(node.inputs[1])
    attributes = node.attributes
    if weight is None or weight.ndim != 2 or attributes.get_int("transA", 0) == 1:
        return ""
    transposed = attributes.get_int("transB", 0) == 1
    alpha, beta = attributes.get_float("alpha", 1.0), attributes.get_float("beta", 1.0)
    new_weight = alpha * (weight if transposed else weight.T)
    new_bias = _gemm_bias(node, beta, new_weight.shape[0])
    if new_bias is None:
        return ""
    if not transposed or alpha != 1:
        set_parameter(node, 1, new_weight)
    bias = float_constant(input_of(node, 2))
    bias_changed = bias is None or bias.shape != new_bias.shape or beta != 1
    if bias_changed:
        set_parameter(node, 2, new_bias)
    if transposed and alpha == 1 and not bias_changed and set(attributes) == {"transB"}:
        return ""
    attributes.clear()
    attributes.add(ir.AttrInt64("transB", 1))
    return "written as x·Wᵀ + b"


def _gemm_bias(node: ir.Node, beta: float, outputs: int) -> FloatArray | None:
    """Bias of shape (outputs,), zeros if there is none; None if it is computed or differs between images."""
    if input_of(node, 2) is None:
        return np.zeros(outputs)
    bias = float_constant(node.inputs[2])
    if bias is None or (bias.ndim == 2 and bias.shape[0] != 1) or bias.ndim > 2:
        return None
    return beta * np.broadcast_to(bias.reshape(-1), (outputs,))


def _add_bias(node: ir.Node) -> str:
    weight = static_shape(input_of(node, 1))
    if input_of(node, 2) is not None or weight is None:
        return ""
    set_parameter(node, 2, np.zeros(weight[0]))
    return "bias 0 added"
