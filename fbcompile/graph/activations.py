"""Which activations of a normal-form or QDQ model are quantized, and with which sign.

The rules stand in docs/architecture.md ("QDQ form"): the graph input and what a layer produces after its
Relu/Clip, but not the outputs of MaxPool, Flatten and Reshape, nor the output of a last Conv/Gemm, which
stays raw.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import onnx_ir as ir

from fbcompile.errors import UnsupportedModelError

PRODUCERS = frozenset({"Conv", "Gemm", "Add", "AveragePool", "GlobalAveragePool", "Concat"})
"""Operators whose output gets a Q/DQ pair of its own."""

PASS_ON = frozenset({"MaxPool", "Flatten", "Reshape"})
"""Operators whose output keeps the input's scale and precision."""

_TRANSPARENT = PASS_ON | {"QuantizeLinear", "DequantizeLinear"}
_ACTIVATIONS = frozenset({"Relu", "Clip"})


@dataclasses.dataclass(frozen=True)
class FusedOutput:
    """What a layer produces, after the Relu/Clip nodes that belong to it.

    Attributes:
        value: The float value.
        low: Lower bound by Relu/Clip, -inf without.
        high: Upper bound by Clip, inf without.
        activations: The fused nodes.
    """

    value: ir.Value
    low: float
    high: float
    activations: tuple[ir.Node, ...]


@dataclasses.dataclass(frozen=True)
class Activation:
    """An activation to be quantized.

    Attributes:
        value: The float value.
        low: Lower bound that the graph proves: 0 if all it is made of is non-negative.
        high: Upper bound that a Clip proves, or inf.
        is_input: True for the graph input.
    """

    value: ir.Value
    low: float
    high: float
    is_input: bool = False


def fused_output(node: ir.Node) -> FusedOutput:
    """Follows a layer's output through the Relu and Clip nodes that are its only use.

    Raises:
        UnsupportedModelError: A Clip has bounds that are not constant.
    """
    value, low, high = node.outputs[0], -math.inf, math.inf
    followed: list[ir.Node] = []
    while not value.is_graph_output():
        activation = _only_reader(value, _ACTIVATIONS)
        if activation is None:
            break
        bounds = activation_bounds(activation)
        low, high = (min(max(bound, bounds[0]), bounds[1]) for bound in (low, high))
        followed.append(activation)
        value = activation.outputs[0]
    return FusedOutput(value, low, high, tuple(followed))


def _only_reader(value: ir.Value, op_types: AbstractSet[str]) -> ir.Node | None:
    readers = [use.node for use in value.uses()]
    return readers[0] if len(readers) == 1 and readers[0].op_type in op_types else None


def activation_bounds(node: ir.Node) -> tuple[float, float]:
    """Bounds that a Relu or Clip node puts on its output.

    Raises:
        UnsupportedModelError: A bound is not constant.
    """
    if node.op_type == "Relu":
        return 0.0, math.inf
    bounds = [-math.inf, math.inf]
    for position in (0, 1):
        value = node.inputs[position + 1] if len(node.inputs) > position + 1 else None
        if value is None:
            continue
        if value.const_value is None:
            raise UnsupportedModelError(
                f"Clip '{node.name}' has the bound '{value.name}' that is not constant", where="quantize"
            )
        bounds[position] = float(value.const_value.numpy().item())
    return bounds[0], bounds[1]


def is_raw_output(node: ir.Node) -> bool:
    """True if a Conv or Gemm makes the graph output, Relu, Clip and changes of shape aside."""
    if node.op_type not in ("Conv", "Gemm"):
        return False
    value = fused_output(node).value
    while not value.is_graph_output():
        change = _only_reader(value, {"Flatten", "Reshape"})
        if change is None:
            return False
        value = change.outputs[0]
    return not value.uses()


def activations(model: ir.Model, input_low: float) -> list[Activation]:
    """The activations that are quantized, in graph order, the graph input first.

    Args:
        model: Normal-form or QDQ model.
        input_low: Least value of the graph input, to know its sign.

    Raises:
        UnsupportedModelError: Operators outside of the normal form, all of them named.
    """
    check_operators(model)
    return list(_activations(model, input_low))


def _activations(model: ir.Model, input_low: float) -> Iterator[Activation]:
    graph_input = model.graph.inputs[0]
    yield Activation(graph_input, input_low, math.inf, is_input=True)
    low_of: dict[ir.Value, float] = {graph_input: 0.0 if input_low >= 0 else -math.inf}
    for node in model.graph:
        read = [low_of.get(value, -math.inf) for value in node.inputs if value is not None]
        if node.op_type in _TRANSPARENT:
            low_of[node.outputs[0]] = read[0]
        if node.op_type not in PRODUCERS:
            continue
        output = fused_output(node)
        low = output.low
        if node.op_type not in ("Conv", "Gemm") and all(bound >= 0 for bound in read):
            low = max(low, 0.0)
        low_of[output.value] = low
        if not is_raw_output(node):
            yield Activation(output.value, low, output.high)


def check_operators(model: ir.Model) -> None:
    """Checks that every node is of the normal form (or a Q/DQ node) and every Relu/Clip belongs to a layer.

    Raises:
        UnsupportedModelError: Names all nodes that are not.
    """
    fused = {
        activation
        for node in model.graph
        if node.op_type in PRODUCERS
        for activation in fused_output(node).activations
    }
    known = PRODUCERS | _TRANSPARENT
    problems = [
        f"{node.op_type} '{node.name}'"
        + (" that follows no layer alone" if node.op_type in _ACTIVATIONS else "")
        for node in model.graph
        if node.op_type not in known and node not in fused
    ]
    if len(model.graph.inputs) != 1 or len(model.graph.outputs) != 1:
        problems.append(
            f"{len(model.graph.inputs)} inputs and {len(model.graph.outputs)} outputs, not one of each"
        )
    if problems:
        raise UnsupportedModelError(
            f"cannot quantize: {', '.join(problems)}",
            why=f"layers are {', '.join(sorted(PRODUCERS | PASS_ON))}, with Relu or Clip right behind",
            where="quantize",
            hint="run the normalize stage first",
        )
