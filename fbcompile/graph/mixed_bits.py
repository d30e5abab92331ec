"""The standard mixed configuration (``--bits mixed``): which tensors have 4 bit without any search."""

from __future__ import annotations

import onnx_ir as ir

from fbcompile.graph.layers import graph_layers
from fbcompile.graph.qdq import quantized_tensors

NARROW_BITS, WIDE_BITS = 4, 8


def mixed_bits(model: ir.Model) -> dict[str, int]:
    """Widths that keep the layers wide that lose most accuracy and gain least speed.

    4 bit have the weights of every convolution and fully connected layer that is neither depthwise nor first
    nor last, and the activations that such layers read, unless a depthwise or the last layer reads them too.
    All else has 8 bit. A tensor has one width, so producers and consumers agree.

    Args:
        model: A QDQ model.

    Returns:
        Width of every quantized tensor, by name.
    """
    tensors = quantized_tensors(model)
    outside = {value.name for value in (*model.graph.inputs, *model.graph.outputs)}
    narrow: set[str] = set()
    wide: set[str] = set()
    for layer in graph_layers(model):
        if layer.weight is None and layer.shape.op != "depthwise":
            continue  # adds, pools and concats take any widths
        at_the_edge = layer.output in outside or bool(outside & set(layer.inputs))
        names = {*layer.inputs, layer.weight or layer.inputs[0]}
        (wide if at_the_edge or layer.shape.op == "depthwise" else narrow).update(names)
    return {name: NARROW_BITS if name in narrow - wide else WIDE_BITS for name in tensors}
