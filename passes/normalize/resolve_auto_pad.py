"""Pass ``resolve-auto-pad``: turns ``auto_pad`` into numbers."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import label, nodes_of, static_shape
from fbcompile.passes.normalize.supported import WINDOW_OPS


@dataclasses.dataclass
class ResolveAutoPadPass(ReportingPass):
    """Replaces ``auto_pad`` of Conv, MaxPool and AveragePool by explicit ``pads``.

    Requires: Static shapes, explicit windows (``explicit-windows``).
    Does: VALID becomes no pads. SAME_UPPER and SAME_LOWER become the pads that give ceil(input / stride)
        outputs; the odd row or column goes below and right for SAME_UPPER, above and left for SAME_LOWER
        (ONNX operator Conv).
    Ensures: No ``auto_pad`` is left where the input's shape is known.
    """

    name: ClassVar[str] = "resolve-auto-pad"

    def transform(self, model: ir.Model) -> list[Change]:
        """Replaces the attributes."""
        changes = []
        for node in nodes_of(model.graph, *WINDOW_OPS):
            mode = node.attributes.get_string("auto_pad", "NOTSET")
            pads = None if mode == "NOTSET" else _pads(node, mode)
            if pads is None:
                continue
            del node.attributes["auto_pad"]
            node.attributes["pads"] = ir.AttrInt64s("pads", pads)
            changes.append(Change(label(node), f"auto_pad {mode} is pads {pads}"))
        return changes


def _pads(node: ir.Node, mode: str) -> list[int] | None:
    """[top, left, bottom, right] of an ``auto_pad`` mode; None if the input's shape is not known."""
    if mode == "VALID":
        return [0, 0, 0, 0]
    shape = static_shape(node.inputs[0])
    window, strides = (
        node.attributes.get_ints("kernel_shape", None),
        node.attributes.get_ints("strides", None),
    )
    if shape is None or len(shape) != 4 or window is None or strides is None:
        return None
    totals = []
    for size, taps, stride in zip(shape[2:], window, strides, strict=True):
        outputs = -(-size // stride)
        totals.append(max(0, (outputs - 1) * stride + taps - size))
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return small + large if mode == "SAME_UPPER" else large + small
