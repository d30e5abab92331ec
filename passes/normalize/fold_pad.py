"""Pass ``fold-pad``: moves a Pad node into the window that follows."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import (
    bypass,
    constant,
    float_constant,
    input_of,
    integer_argument,
    label,
    nodes_of,
)


@dataclasses.dataclass
class FoldPadPass(ReportingPass):
    """Folds a Pad with zeros of the height and width into every Conv or AveragePool that reads it.

    Requires: Explicit pads (``resolve-auto-pad``), constants are initializers.
    Does: Adds the pads (attribute up to opset 10, input from 11 on, with ``axes`` from 18 on) to the window's
        own. An AveragePool must count the zeros, so it gets ``count_include_pad`` 1 unless it has pads that
        it does not count.
    Ensures: Where the Pad is constant, on height and width only, with zeros, and read by such nodes only, it
        is gone.
    """

    name: ClassVar[str] = "fold-pad"

    def transform(self, model: ir.Model) -> list[Change]:
        """Folds."""
        changes = []
        for node in nodes_of(model.graph, "Pad"):
            reason = _obstacle(node)
            changes.append(
                Change(label(node), "folded into the window that follows", reason, applied=not reason)
            )
            if not reason:
                _fold(node)
        return changes


def _obstacle(node: ir.Node) -> str:
    """Why the Pad must stay, or an empty text."""
    if node.attributes.get_string("mode", "constant") != "constant":
        return "it does not pad with a constant"
    fill = input_of(node, 2)
    value = node.attributes.get_float("value", 0.0) if fill is None else float_constant(fill)
    if value is None or float(value if isinstance(value, float) else value.reshape(-1)[0]) != 0:
        return "it does not pad with 0"
    if _spatial_pads(node) is None:
        return "its pads are computed at run time, negative, or not on height and width only"
    output = node.outputs[0]
    if output.is_graph_output() or not all(_takes_pads(reader) for reader in output.consumers()):
        return "something else than a Conv or AveragePool with explicit pads reads it"
    return ""


def _takes_pads(reader: ir.Node) -> bool:
    if reader.op_type not in ("Conv", "AveragePool") or "pads" not in reader.attributes:
        return False
    own_pads = any(reader.attributes.get_ints("pads", ()))
    counts = bool(reader.attributes.get_int("count_include_pad", 0))
    return reader.op_type == "Conv" or (
        not reader.attributes.get_int("ceil_mode", 0) and (counts or not own_pads)
    )


def _spatial_pads(node: ir.Node) -> list[int] | None:
    """[top, left, bottom, right], or None if the Pad does anything else."""
    pads = integer_argument(node, "pads", 1)
    if pads is None:
        return None
    axes = [0, 1, 2, 3]
    if input_of(node, 3) is not None:
        given = constant(node.inputs[3])
        if given is None:
            return None
        axes = [int(axis) % 4 for axis in given.reshape(-1)]
    if len(pads) != 2 * len(axes) or any(size < 0 for size in pads):
        return None
    begin, end = [0] * 4, [0] * 4
    for position, axis in enumerate(axes):
        begin[axis], end[axis] = pads[position], pads[position + len(axes)]
    return None if any(begin[:2] + end[:2]) else begin[2:] + end[2:]


def _fold(node: ir.Node) -> None:
    source, pads = node.inputs[0], _spatial_pads(node)
    if source is None or pads is None:
        return
    for reader in dict.fromkeys(node.outputs[0].consumers()):
        own = reader.attributes.get_ints("pads", ())
        total = [mine + added for mine, added in zip(own, pads, strict=True)]
        reader.attributes["pads"] = ir.AttrInt64s("pads", total)
        if reader.op_type == "AveragePool":
            reader.attributes["count_include_pad"] = ir.AttrInt64("count_include_pad", 1)
    bypass(node, source)
