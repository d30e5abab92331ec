"""Pass ``explicit-windows``: writes out what Conv and the pools leave to defaults."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import input_of, label, nodes_of, static_shape
from fbcompile.passes.normalize.supported import WINDOW_OPS

_REMOVED_IF_DEFAULT = {"storage_order": 0, "count_include_pad": 0}


@dataclasses.dataclass
class ExplicitWindowsPass(ReportingPass):
    """Gives Conv, MaxPool and AveragePool explicit windows.

    Requires: Static shapes.
    Does:
        1. Adds ``kernel_shape``, ``strides``, ``pads`` (unless ``auto_pad`` decides them) and Conv's
           ``group``.
        2. Removes ``dilations`` that are all 1, and attributes that have their default value.
        3. Removes ``ceil_mode`` where rounding down gives as many windows.
        4. Removes pads below and on the right that no window reaches, and ``count_include_pad`` without
           pads.
    Ensures: The window of every 2-D node is explicit; what is left of dilations and ceil_mode has an effect.
    """

    name: ClassVar[str] = "explicit-windows"

    def transform(self, model: ir.Model) -> list[Change]:
        """Writes the attributes."""
        changes = []
        for node in nodes_of(model.graph, *WINDOW_OPS):
            before = {name: attribute.value for name, attribute in node.attributes.items()}
            if _add_defaults(node):
                _remove_without_effect(node)
            if before != {name: attribute.value for name, attribute in node.attributes.items()}:
                changes.append(Change(label(node), "window written out"))
        return changes


def _add_defaults(node: ir.Node) -> bool:
    """Adds what is missing; False if the window has not two dimensions."""
    attributes = node.attributes
    if "kernel_shape" not in attributes:
        weight = static_shape(input_of(node, 1))
        if node.op_type != "Conv" or weight is None:
            return False
        attributes.add(ir.AttrInt64s("kernel_shape", weight[2:]))
    if len(attributes.get_ints("kernel_shape", ())) != 2:
        return False
    if "strides" not in attributes:
        attributes.add(ir.AttrInt64s("strides", [1, 1]))
    if node.op_type == "Conv" and "group" not in attributes:
        attributes.add(ir.AttrInt64("group", 1))
    if attributes.get_string("auto_pad", "NOTSET") == "NOTSET":
        attributes.pop("auto_pad", None)
        if "pads" not in attributes:
            attributes.add(ir.AttrInt64s("pads", [0, 0, 0, 0]))
    return True


def _remove_without_effect(node: ir.Node) -> None:
    attributes = node.attributes
    if all(size == 1 for size in attributes.get_ints("dilations", (0,))):
        del attributes["dilations"]
    for name, default in _REMOVED_IF_DEFAULT.items():
        if attributes.get_int(name, -1) == default:
            del attributes[name]
    if "ceil_mode" in attributes and (not attributes.get_int("ceil_mode", 0) or _rounds_down_alike(node)):
        del attributes["ceil_mode"]
    _trim_pads(node)
    if "pads" in attributes and not any(attributes.get_ints("pads", ())):
        attributes.pop("count_include_pad", None)


def _rounds_down_alike(node: ir.Node) -> bool:
    """True if the windows cover the padded input without a rest, so that rounding does not matter."""
    return _unreached(node) == [0, 0]


def _trim_pads(node: ir.Node) -> None:
    rest = None if "ceil_mode" in node.attributes else _unreached(node)
    if rest is None:
        return
    top, left, bottom, right = node.attributes.get_ints("pads", ())
    trimmed = [top, left, max(0, bottom - rest[0]), max(0, right - rest[1])]
    node.attributes["pads"] = ir.AttrInt64s("pads", trimmed)


def _unreached(node: ir.Node) -> list[int] | None:
    """Rows and columns of the padded input that no window reaches when rounding down; None if not known."""
    attributes, shape = node.attributes, static_shape(node.inputs[0])
    pads = attributes.get_ints("pads", None)
    if shape is None or len(shape) != 4 or pads is None or len(pads) != 4 or "dilations" in attributes:
        return None
    window, strides = attributes.get_ints("kernel_shape", ()), attributes.get_ints("strides", ())
    padded = [shape[2 + axis] + pads[axis] + pads[axis + 2] for axis in (0, 1)]
    return [(padded[axis] - window[axis]) % strides[axis] for axis in (0, 1)]
