"""Executes an integer model in torch, exactly.

A second, independent reading of "Integer ONNX" (docs/architecture.md): the two functions are executed by
their meaning, not by their bodies. Convolutions and matrix products run in float64, where sums of integers
are exact below 2^53; everything else is int64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
from torch import Tensor, nn

from fbcompile.errors import InternalError, UnsupportedModelError, UsageError
from fbcompile.graph.integer_functions import DOMAIN, REQUANT_ADD, REQUANT_SHIFT
from fbcompile.torch_bridge.operators import concat, convolution, flatten, max_pool, reshape

_Operator: TypeAlias = Callable[..., Tensor]
_EXACT = 2**53
"""Integers up to here are exact in float64."""


def run_integer_twin(model: ir.Model, x: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.int64]]:
    """Runs an integer model.

    Args:
        model: Integer ONNX, as ``passes/integerize.py`` writes it.
        x: Integers (N, C, H, W) or (N, F) of the graph input's type.

    Returns:
        Every activation of the model by name, the input included, as int64.

    Raises:
        UnsupportedModelError: Names all nodes that an integer model does not have.
        UsageError: ``x`` does not hold integers of the input's type.
    """
    twin = IntegerTwin(model)
    with torch.no_grad():
        values = twin(_checked_input(model, x))
    return {name: tensor.numpy() for name, tensor in values.items()}


class IntegerTwin(nn.Module):
    """An integer model as a torch module; integers are held in int64 tensors.

    Args:
        model: Integer ONNX; not changed.

    Raises:
        UnsupportedModelError: Names all nodes that an integer model does not have.
    """

    def __init__(self, model: ir.Model) -> None:
        super().__init__()
        problems = [
            f"'{node.name}' ({node.domain + '::' if node.domain else ''}{node.op_type})"
            for node in model.graph
            if (node.domain, node.op_type) not in _OPERATORS
        ]
        if problems:
            raise UnsupportedModelError(
                "the integer twin does not know: " + ", ".join(problems),
                where="executing the integer model in torch",
                hint="run the integerize stage first",
            )
        self.graph = model.graph
        self.constants = {
            name: torch.from_numpy(value.const_value.numpy().astype(np.int64))
            for name, value in model.graph.initializers.items()
            if value.const_value is not None
        }

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """All activations by name; ``x`` is int64."""
        values: dict[str, Tensor] = {_name(self.graph.inputs[0]): x}
        known = dict(self.constants)
        known.update(values)
        for node in self.graph:
            inputs = (None if value is None else known[_name(value)] for value in node.inputs)
            result = _OPERATORS[node.domain, node.op_type](node, *inputs)
            known[_name(node.outputs[0])] = values[_name(node.outputs[0])] = result
        return values


def _conv_integer(
    node: ir.Node, x: Tensor, weight: Tensor, x_zero: Tensor | None = None, weight_zero: Tensor | None = None
) -> Tensor:
    x, weight = _centred(x, x_zero), _centred(weight, weight_zero, rank=weight.ndim)
    _check_exact(node, x, weight, math.prod(weight.shape[1:]))
    return convolution(node, x.double(), weight.double()).round().long()


def _mat_mul_integer(
    node: ir.Node, x: Tensor, weight: Tensor, x_zero: Tensor | None = None, weight_zero: Tensor | None = None
) -> Tensor:
    x, weight = _centred(x, x_zero), _centred(weight, weight_zero)
    _check_exact(node, x, weight, weight.shape[0])
    return (x.double() @ weight.double()).round().long()


def _centred(x: Tensor, zero: Tensor | None, rank: int = 0) -> Tensor:
    if zero is None:
        return x
    return x - (zero.reshape([-1] + [1] * (rank - 1)) if zero.ndim and rank else zero)


def _check_exact(node: ir.Node, x: Tensor, weight: Tensor, products: int) -> None:
    bound = products * int(x.abs().max()) * int(weight.abs().max())
    if bound >= _EXACT:
        raise InternalError(f"'{node.name}': sums up to {bound} are not exact in float64")


def _requant_shift(node: ir.Node, acc: Tensor, multiplier: Tensor, addend: Tensor) -> Tensor:
    return _shifted(node, acc * multiplier + addend)


def _requant_add(node: ir.Node, a: Tensor, b: Tensor) -> Tensor:
    first, second, addend = (node.attributes.get_int(name) for name in ("m1", "m2", "add"))
    return _shifted(node, a * first + b * second + addend)


def _shifted(node: ir.Node, product: Tensor) -> Tensor:
    shift, low, high = (node.attributes.get_int(name) for name in ("shift", "low", "high"))
    clipped = (product >> shift).clamp(low, high)
    return _cast(node, clipped)


def _cast(node: ir.Node, x: Tensor) -> Tensor:
    dtype = ir.DataType(node.attributes.get_int("to"))
    limits = np.iinfo(dtype.numpy())
    if x.numel() and (int(x.min()) < limits.min or int(x.max()) > limits.max):
        raise InternalError(f"'{node.name}': values {int(x.min())}..{int(x.max())} do not fit {dtype}")
    return x


def _max_pool(node: ir.Node, x: Tensor) -> Tensor:
    return max_pool(node, x.double()).long()


def _reduce_sum(node: ir.Node, x: Tensor, axes: Tensor) -> Tensor:
    return x.sum(tuple(axes.tolist()), keepdim=bool(node.attributes.get_int("keepdims", 1)))


_OPERATORS: dict[tuple[str, str], _Operator] = {
    ("", "Cast"): _cast,
    ("", "Concat"): concat,
    ("", "ConvInteger"): _conv_integer,
    ("", "Flatten"): flatten,
    ("", "MatMulInteger"): _mat_mul_integer,
    ("", "MaxPool"): _max_pool,
    ("", "ReduceSum"): _reduce_sum,
    ("", "Reshape"): reshape,
    (DOMAIN, REQUANT_ADD): _requant_add,
    (DOMAIN, REQUANT_SHIFT): _requant_shift,
}


def _checked_input(model: ir.Model, x: npt.NDArray[Any]) -> Tensor:
    graph_input = model.graph.inputs[0]
    if graph_input.dtype is None or not graph_input.dtype.is_integer():
        raise UnsupportedModelError(
            f"graph input '{graph_input.name}' is {graph_input.dtype}, not an integer tensor",
            where="executing the integer model in torch",
            hint="run the integerize stage first",
        )
    limits = np.iinfo(graph_input.dtype.numpy())
    if not np.issubdtype(x.dtype, np.integer) or not x.size or x.min() < limits.min or x.max() > limits.max:
        raise UsageError(
            f"input '{graph_input.name}' is {x.dtype} of shape {x.shape}",
            why=f"it must hold integers in {limits.min}..{limits.max}",
            where="executing the integer model in torch",
        )
    return torch.from_numpy(x.astype(np.int64))


def _name(value: ir.Value) -> str:
    if value.name is None:
        raise InternalError("a value without a name")
    return value.name
