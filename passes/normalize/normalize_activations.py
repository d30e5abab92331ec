"""Pass ``normalize-activations``: Relu and Clip in one form, right behind the layer that they belong to."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.graph_edits import (
    SHAPE_OPS,
    bypass,
    constant,
    fold_into,
    graph_of,
    input_of,
    label,
    new_initializer,
    nodes_of,
    replace_node,
    sole_producer,
)
from fbcompile.passes.normalize.supported import HOST_OPS

_ACTIVATIONS = ("Relu", "Clip")
_COMMUTING = ("MaxPool", *sorted(SHAPE_OPS))


@dataclasses.dataclass
class NormalizeActivationsPass(ReportingPass):
    """Normalises Relu and Clip.

    Requires: Constants are initializers.
    Does:
        1. Clip with attributes (opset < 11) gets constant inputs instead.
        2. Clip(0, ∞) becomes Relu; Clip(−∞, ∞) goes.
        3. An activation of an activation is merged with it.
        4. An activation behind a MaxPool or a change of shape moves in front of it, where nothing else reads
           what is in between: it is monotone, so the order does not matter.
    Ensures: A Clip with constant bounds has both as inputs; none of 1–4 applies any more.
    """

    name: ClassVar[str] = "normalize-activations"

    def transform(self, model: ir.Model) -> list[Change]:
        """Normalises until nothing changes."""
        changes: list[Change] = []
        for rule in (_write_bounds, _simplify):
            for node in nodes_of(model.graph, *_ACTIVATIONS):
                changes += rule(node)
        moved = True
        while moved:
            step: list[Change] = []
            for rule in (_move_up, _merge):
                for node in nodes_of(model.graph, *_ACTIVATIONS):
                    if node.graph is not None:
                        step += rule(node)
            changes += step
            moved = bool(step)
        return changes


def bounds(node: ir.Node) -> tuple[float, float] | None:
    """Smallest and largest output of a Relu or Clip; None if a bound is computed at run time."""
    if node.op_type == "Relu":
        return 0.0, float("inf")
    found = []
    for index, attribute, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        if input_of(node, index) is None:
            found.append(node.attributes.get_float(attribute, default))
            continue
        array = constant(node.inputs[index])
        if array is None:
            return None
        found.append(float(array.reshape(-1)[0]))
    low, high = found
    unlimited = float(np.finfo(np.float32).max)
    return (-np.inf if low <= -unlimited else low), (np.inf if high >= unlimited else high)


def _write_bounds(node: ir.Node) -> list[Change]:
    """Clip's bounds as inputs."""
    limits = bounds(node)
    if node.op_type != "Clip" or limits is None or not {"min", "max"} & set(node.attributes):
        return []
    _set_clip(node, *limits)
    return [Change(label(node), "bounds written as inputs")]


def _set_clip(node: ir.Node, low: float, high: float) -> None:
    graph = graph_of(node)
    node.attributes.clear()
    node.resize_inputs(3)
    for index, name, bound in ((1, "min", low), (2, "max", high)):
        array = np.asarray(bound, dtype=np.float32)
        value = (
            new_initializer(graph, f"{node.outputs[0].name}_{name}", array) if np.isfinite(bound) else None
        )
        node.replace_input_with(index, value)


def _simplify(node: ir.Node) -> list[Change]:
    limits = bounds(node)
    if node.op_type != "Clip" or limits is None:
        return []
    what = label(node)
    source = node.inputs[0]
    if limits == (-np.inf, np.inf) and source is not None and source.producer() is not None:
        bypass(node, source)
        return [Change(what, "removed", "it has no bounds")]
    if limits == (0.0, np.inf):
        replace_node(node, ir.node("Relu", [source]))
        return [Change(what, "written as Relu")]
    return []


def _merge(node: ir.Node) -> list[Change]:
    """Clip(Clip(x, a, b), c, d) = Clip(x, min(max(a, c), d), min(max(b, c), d))."""
    first = sole_producer(node, _ACTIVATIONS)
    if first is None:
        return []
    inner, outer = bounds(first), bounds(node)
    if inner is None or outer is None:
        return []
    low, high = (min(max(bound, outer[0]), outer[1]) for bound in inner)
    what = Change(label(node), f"merged with {label(first)}")
    if (low, high) == (0.0, np.inf):
        fold_into(node, first.outputs[0])
        return [what]
    if first.op_type == "Relu":
        clip = ir.node("Clip", [first.inputs[0]])
        replace_node(first, clip)
        first = clip
    _set_clip(first, low, high)
    fold_into(node, first.outputs[0])
    return [what]


def _move_up(node: ir.Node) -> list[Change]:
    """Turns activation(pool(x)) into pool(activation(x)); the output keeps its name."""
    before = sole_producer(node, _COMMUTING)
    if before is None or bounds(node) is None or before.inputs[0] is None:
        return []
    source = before.inputs[0]
    producer = source.producer()
    if producer is None or producer.op_type in HOST_OPS or len(source.uses()) != 1:
        return []
    what = label(node)
    moved = ir.node(node.op_type, [source, *node.inputs[1:]], dict(node.attributes), name=node.name)
    moved.outputs[0].type, moved.outputs[0].shape = source.type, source.shape
    moved.outputs[0].metadata_props.update(node.outputs[0].metadata_props)
    moved.outputs[0].name = str(before.outputs[0].name) + "_activated"
    graph_of(node).insert_before(before, moved)
    before.replace_input_with(0, moved.outputs[0])
    fold_into(node, before.outputs[0])
    return [Change(what, f"moved in front of {label(before)}")]
