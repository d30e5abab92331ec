"""The operators of the normal form in torch, one function per ONNX operator.

Each takes its node and the tensors of the node's inputs (None where an optional input is absent) and computes
what the ONNX standard says. The integer twin uses the same pooling with float64 tensors that hold integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import onnx_ir as ir
import torch
import torch.nn.functional as functional
from torch import Tensor

Operator: TypeAlias = Callable[..., Tensor]


def integers(node: ir.Node, name: str, default: list[int]) -> list[int]:
    """An attribute that is a list of integers, or its default."""
    return list(node.attributes.get_ints(name, default) or default)


def padded(x: Tensor, pads: list[int], value: float = 0.0) -> Tensor:
    """Pads H and W by ONNX ``pads`` = [top, left, bottom, right]."""
    top, left, bottom, right = pads
    return functional.pad(x, (left, right, top, bottom), value=value) if any(pads) else x


def convolution(node: ir.Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Conv, 2-D: x (N, C, H, W), weight (O, C/groups, Kh, Kw), bias (O,)."""
    pads = integers(node, "pads", [0, 0, 0, 0])
    strides = integers(node, "strides", [1, 1])
    groups = node.attributes.get_int("group", 1)
    if pads[:2] == pads[2:]:
        return functional.conv2d(x, weight, bias, strides, pads[:2], 1, groups)
    return functional.conv2d(padded(x, pads), weight, bias, strides, 0, 1, groups)


def gemm(node: ir.Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Gemm with transB=1: x (N, I), weight (O, I), bias (O,)."""
    return functional.linear(x, weight, bias)


def relu(node: ir.Node, x: Tensor) -> Tensor:
    """Relu."""
    return x.relu()


def clip(node: ir.Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Clip with constant bounds."""
    return x.clamp(-math.inf if low is None else low.item(), math.inf if high is None else high.item())


def add(node: ir.Node, a: Tensor, b: Tensor) -> Tensor:
    """Add of two tensors of one shape."""
    return a + b


def max_pool(node: ir.Node, x: Tensor) -> Tensor:
    """MaxPool, 2-D; padding never wins."""
    kernel = integers(node, "kernel_shape", [1, 1])
    x = padded(x, integers(node, "pads", [0, 0, 0, 0]), value=-math.inf)
    return functional.max_pool2d(x, kernel, integers(node, "strides", [1, 1]))


def average_pool(node: ir.Node, x: Tensor) -> Tensor:
    """AveragePool, 2-D; the divisor leaves padding out unless ``count_include_pad``."""
    kernel = integers(node, "kernel_shape", [1, 1])
    strides = integers(node, "strides", [1, 1])
    pads = integers(node, "pads", [0, 0, 0, 0])
    total = functional.avg_pool2d(padded(x, pads), kernel, strides, divisor_override=1)
    if node.attributes.get_int("count_include_pad", 0) or not any(pads):
        return total / math.prod(kernel)
    ones = padded(torch.ones_like(x[:1, :1]), pads)
    return total / functional.avg_pool2d(ones, kernel, strides, divisor_override=1)


def global_average_pool(node: ir.Node, x: Tensor) -> Tensor:
    """GlobalAveragePool, 2-D."""
    return x.mean((2, 3), keepdim=True)


def concat(node: ir.Node, *parts: Tensor) -> Tensor:
    """Concat."""
    return torch.cat(parts, dim=node.attributes.get_int("axis", 1))


def flatten(node: ir.Node, x: Tensor) -> Tensor:
    """Flatten at axis 1."""
    return x.flatten(1)


def reshape(node: ir.Node, x: Tensor, shape: Tensor) -> Tensor:
    """Reshape to a constant shape, in which 0 stands for the input's size."""
    sizes = [size or x.shape[axis] for axis, size in enumerate(shape.long().tolist())]
    return x.reshape(sizes)


FLOAT_OPERATORS: dict[str, Operator] = {
    "Add": add,
    "AveragePool": average_pool,
    "Clip": clip,
    "Concat": concat,
    "Conv": convolution,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "MaxPool": max_pool,
    "Relu": relu,
    "Reshape": reshape,
}
"""ONNX operator → torch function, for the normal form."""


def unsupported(node: ir.Node) -> str | None:
    """Why a float node is outside the normal form, or None if it is inside."""
    if node.domain or node.op_type not in FLOAT_OPERATORS:
        return "no such operator in the normal form"
    wanted = {
        "dilations": [1, 1],
        "auto_pad": "NOTSET",
        "ceil_mode": 0,
        "transA": 0,
        "alpha": 1.0,
        "beta": 1.0,
    }
    for name, value in wanted.items():
        attribute = node.attributes.get(name)
        if attribute is None:
            continue
        found = list(attribute.value) if isinstance(attribute.value, (list, tuple)) else attribute.value
        if found != value:
            return f"attribute {name} is {found}, the normal form has {value}"
    if node.op_type == "Gemm" and node.attributes.get_int("transB", 0) != 1:
        return "attribute transB is 0, the normal form has 1"
    if node.op_type == "Flatten" and node.attributes.get_int("axis", 1) != 1:
        return f"attribute axis is {node.attributes.get_int('axis', 1)}, the normal form has 1"
    return None
