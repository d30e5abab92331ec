"""Pass ``check-normal-form``: the promise that all later stages rely on, checked node by node."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import onnx_ir as ir

from fbcompile.graph.activations import PRODUCERS
from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import (
    constant,
    float_constant,
    input_of,
    integer_argument,
    label,
    sole_producer,
    static_shape,
)
from fbcompile.passes.normalize.supported import (
    HOST_OPS,
    NORMAL_FORM_OPS,
    WINDOW_OPS,
    attribute_faults,
    raise_all,
)

_RESHAPE_REASON = (
    "it is not part of a change from [N, C, H, W] or [N, C, L] to [N, features]; inputs must be NCHW or NCL"
)

_REASONS = {
    "BatchNormalization": "its parameters are not constant, or it reads a flat tensor that is no Gemm's",
    "Pad": "it cannot be folded: it must pad height and width with 0, in front of Conv or AveragePool",
    "MatMul": "it is not a matrix times a constant matrix",
    "ReduceMean": "it is not the mean over height and width of a 4-D tensor",
    "Mul": "the factor is not one constant, or one per channel",
    "Div": "the factor is not one constant, or one per channel",
    "Sub": "what is subtracted is not one constant, or one per channel",
    "Sum": "write it as Add of two tensors",
    "Cast": "it changes the element type",
    "Dropout": "it is in training mode",
    **dict.fromkeys(
        HOST_OPS, "only supported over all values at the end of the model, where the host does it"
    ),
    **dict.fromkeys(("Squeeze", "Unsqueeze", "Transpose"), _RESHAPE_REASON),
}


@dataclasses.dataclass
class CheckNormalFormPass(ReportingPass):
    """Refuses what the importer could not bring into the normal form of ``docs/architecture.md``.

    Requires: All other passes ran; shapes are known but for the batch.
    Does: Nothing to the model.
    Ensures: The normal form.

    Raises:
        UnsupportedModelError: Names every node that is not in normal form, and why.
    """

    name: ClassVar[str] = "check-normal-form"

    def transform(self, model: ir.Model) -> list[Change]:
        """Checks."""
        raise_all(
            [fault for node in model.graph for fault in _faults(node)],
            why="the importer found no way to express this with the operators that have kernels",
            where="normalize, check-normal-form",
            hint="change these nodes in the training framework and export again",
        )
        return []


def _faults(node: ir.Node) -> Iterator[str]:
    if node.domain or node.op_type not in NORMAL_FORM_OPS:
        yield f"{label(node)}: {_REASONS.get(node.op_type, 'no pass handles it')}"
        return
    yield from attribute_faults(node, dimensions=(2,))
    check = {
        "Conv": _conv_faults,
        "Gemm": _gemm_faults,
        "Clip": _clip_faults,
        "Relu": _activation_faults,
        "Add": _add_faults,
        "Concat": _concat_faults,
        "Flatten": _flatten_faults,
        "Reshape": _reshape_faults,
        "AveragePool": _window_faults,
        "MaxPool": _window_faults,
    }.get(node.op_type)
    if check is not None:
        for fault in check(node):
            yield f"{label(node)}: {fault}"


def _window_faults(node: ir.Node) -> Iterator[str]:
    attributes = node.attributes
    missing = [name for name in ("kernel_shape", "strides", "pads") if name not in attributes]
    if missing:
        yield f"{', '.join(missing)} cannot be told without a known 4-D input shape"
    if attributes.get_int("ceil_mode", 0):
        yield "ceil_mode gives more windows than fit"
    pads, window = attributes.get_ints("pads", ()), attributes.get_ints("kernel_shape", ())
    if node.op_type == "AveragePool" and any(pads) and not attributes.get_int("count_include_pad", 0):
        yield "count_include_pad is 0 with pads: the divisor would change along the border"
    if node.op_type in WINDOW_OPS[1:] and len(pads) == 4 and any(pads[i] >= window[i % 2] for i in range(4)):
        yield f"pads {list(pads)} are as large as the window {list(window)}"


def _conv_faults(node: ir.Node) -> Iterator[str]:
    yield from _window_faults(node)
    weight, bias = float_constant(input_of(node, 1)), float_constant(input_of(node, 2))
    if weight is None or bias is None:
        yield "its weight or bias is not constant"
    elif weight.ndim != 4:
        yield f"a window of {weight.ndim - 2} dimensions, only 2 are supported"


def _gemm_faults(node: ir.Node) -> Iterator[str]:
    attributes = node.attributes
    weight, bias = float_constant(input_of(node, 1)), float_constant(input_of(node, 2))
    if weight is None or bias is None:
        yield "its weight or bias is not constant"
    elif attributes.get_int("transA", 0) or bias.shape != weight.shape[:1]:
        yield "it transposes its input, or its bias differs between images"


def _activation_faults(node: ir.Node) -> Iterator[str]:
    before = sole_producer(node, {*PRODUCERS, "Relu", "Clip"})
    if before is None:
        yield "it does not follow a layer that nothing else reads"


def _clip_faults(node: ir.Node) -> Iterator[str]:
    yield from _activation_faults(node)
    low, high = constant(input_of(node, 1)), constant(input_of(node, 2))
    if low is None or high is None:
        yield "it needs two constant bounds (or 0 and none: Relu)"


def _add_faults(node: ir.Node) -> Iterator[str]:
    shapes = [None if value is None or value.shape is None else list(value.shape) for value in node.inputs]
    if any(constant(value) is not None for value in node.inputs):
        yield "it adds a constant that is not one number, or one per channel of a 4-D tensor"
    elif shapes[0] is None or shapes[0] != shapes[1]:
        yield f"it adds tensors of shapes {shapes[0]} and {shapes[1]}"


def _concat_faults(node: ir.Node) -> Iterator[str]:
    shape = node.outputs[0].shape
    axis = node.attributes.get_int("axis", 1)
    if axis != 1 and (shape is None or axis % len(shape) != 1):
        yield f"axis {axis}, only 1 (channels) is supported"
    if any(value is None or constant(value) is not None for value in node.inputs):
        yield "it joins a constant"


def _flatten_faults(node: ir.Node) -> Iterator[str]:
    shape = static_shape(node.inputs[0]) if node.inputs[0] is not None else None
    rank = None if shape is None else len(shape)
    if node.attributes.get_int("axis", 1) not in (1, 1 - (rank or 0)):
        yield f"axis {node.attributes.get_int('axis', 1)}, only 1 is supported"


def _reshape_faults(node: ir.Node) -> Iterator[str]:
    """Only the length of the graph's own input or output may become a plane of height 1, or come from one."""
    before, after = static_shape(input_of(node, 0)), static_shape(node.outputs[0])
    target = integer_argument(node, "shape", 1)
    if before is None or after is None or target is None:
        yield "it has no constant shape"
        return
    enters = len(before) == 3 and after == (*before[:2], 1, before[2]) and _is_graph_input(node)
    leaves = len(after) == 3 and before == (*after[:2], 1, after[2]) and node.outputs[0].is_graph_output()
    by_zero = bool(node.attributes.get_int("allowzero", 0))
    if target != [0, *after[1:]] or by_zero or not (enters or leaves):
        yield _RESHAPE_REASON


def _is_graph_input(node: ir.Node) -> bool:
    return node.inputs[0] is not None and node.inputs[0].is_graph_input()
