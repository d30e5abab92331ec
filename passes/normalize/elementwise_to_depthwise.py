"""Pass ``elementwise-to-depthwise``: gives a layer of its own to what cannot be folded into one."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from fbcompile.graph.activations import PRODUCERS
from fbcompile.passes.base import Change, ReportingPass
from fbcompile.passes.normalize.channel_affine import (
    ARITHMETIC,
    Affine,
    arithmetic_affine,
    batch_normalization_affine,
)
from fbcompile.passes.normalize.graph_edits import (
    fresh_name,
    graph_of,
    label,
    new_initializer,
    nodes_of,
    replace_node,
    sole_producer,
    static_shape,
)

_ACTIVATIONS = ("Relu", "Clip")


@dataclasses.dataclass
class ElementwiseToDepthwisePass(ReportingPass):
    """Writes channel-wise arithmetic that stands alone as a depthwise 1×1 convolution.

    A network with pre-activations (He et al. 2016, "Identity Mappings in Deep Residual Networks") has
    BatchNormalization and Relu behind an Add that others read as well; an exporter may put the normalisation
    of the input into the model. A depthwise 1×1 Conv computes just that, and has kernels in every precision.

    Requires: ``fold-batch-normalization``, ``fold-channel-affine`` and ``normalize-activations`` ran; static
        shapes.
    Does:
        1. BatchNormalization, and Add, Sub, Mul and Div with one constant or one per channel, of a 4-D tensor
           become a Conv with one 1×1 filter per channel.
        2. A Relu or Clip of a 4-D tensor that no layer can fuse gets such a Conv, with weights 1, in front of
           it.
    Ensures: Every Relu and Clip of a 4-D tensor belongs to a layer whose output only it reads.
    """

    name: ClassVar[str] = "elementwise-to-depthwise"

    def transform(self, model: ir.Model) -> list[Change]:
        """Writes the convolutions."""
        changes = []
        for node in nodes_of(model.graph, "BatchNormalization", *ARITHMETIC):
            position, affine = _affine(node)
            if affine is not None:
                changes.append(Change(label(node), "written as a depthwise 1×1 Conv", "no layer can take it"))
                replace_node(node, _depthwise(node, node.inputs[position], affine))
        for node in nodes_of(model.graph, *_ACTIVATIONS):
            shape = static_shape(node.inputs[0])
            if shape is not None and len(shape) == 4 and not _is_fused(node):
                changes.append(Change(label(node), "got a depthwise 1×1 Conv", "no layer can fuse it"))
                _insert_layer(node, shape[1])
        return changes


def _affine(node: ir.Node) -> tuple[int, Affine | None]:
    """The position of the operand that is not constant, and what happens to it."""
    for position in (0,) if node.op_type == "BatchNormalization" else (0, 1):
        value = node.inputs[position]
        shape = static_shape(value)
        if value is None or value.const_value is not None or shape is None or len(shape) != 4:
            continue
        if node.op_type == "BatchNormalization":
            affine = batch_normalization_affine(node, shape[1])
        else:
            affine = arithmetic_affine(node, position, shape[1], rank=4)
        if affine is not None and static_shape(node.outputs[0]) == shape:
            return position, affine
    return 0, None


def _is_fused(activation: ir.Node) -> bool:
    """True if the activation is the only reader of a layer, directly or behind other activations."""
    before = sole_producer(activation, {*PRODUCERS, *_ACTIVATIONS})
    return before is not None and (before.op_type in PRODUCERS or _is_fused(before))


def _depthwise(node: ir.Node, source: ir.Value | None, affine: Affine) -> ir.Node:
    """A Conv that scales and shifts the channels of ``source``; not yet part of the graph."""
    scale, shift = affine
    graph, base = graph_of(node), f"{node.outputs[0].name}"
    weight = new_initializer(graph, f"{base}_scale_weight", scale.reshape(-1, 1, 1, 1).astype(np.float32))
    bias = new_initializer(graph, f"{base}_shift_bias", shift.astype(np.float32))
    conv = ir.node("Conv", [source, weight, bias], {"group": len(scale)})
    for name, numbers in (("kernel_shape", [1, 1]), ("strides", [1, 1]), ("pads", [0, 0, 0, 0])):
        conv.attributes.add(ir.AttrInt64s(name, numbers))
    return conv


def _insert_layer(activation: ir.Node, channels: int) -> None:
    source = activation.inputs[0]
    layer = _depthwise(activation, source, (np.ones(channels), np.zeros(channels)))
    output = layer.outputs[0]
    output.name = fresh_name(graph_of(activation), f"{activation.outputs[0].name}_copy")
    if source is not None:
        output.type, output.shape = source.type, source.shape
    layer.name = f"{activation.name}_copy" if activation.name else None
    graph_of(activation).insert_before(activation, layer)
    activation.replace_input_with(0, output)
