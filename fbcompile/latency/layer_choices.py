"""Which tensors' widths a layer's latency depends on, and the precisions that a choice of widths gives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import onnx_ir as ir

from fbcompile.graph.layers import RAW_BITS, graph_layers, layer_bits
from fbcompile.graph.qdq import QuantizedTensor
from fbcompile.latency.key import LayerBits, LayerShape


@dataclasses.dataclass(frozen=True)
class LayerChoice:
    """A layer of a QDQ model as a function of its tensors' widths.

    Attributes:
        name: Name of its ONNX node.
        shape: Its geometry.
        base: Its present precisions.
        first: Tensor that ``activation_bits`` is about.
        second: Tensor that ``weight_bits`` is about: the weight, or the second input; None if there is none.
        output: Tensor that ``output_bits`` is about; None for a raw result, and for a pool that hands its
            input's width on.
    """

    name: str
    shape: LayerShape
    base: LayerBits
    first: str
    second: str | None
    output: str | None

    @property
    def tensors(self) -> tuple[str, ...]:
        """Distinct tensors, in the order first, second, output."""
        names = (self.first, self.second, self.output)
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def bits(self, widths: Mapping[str, int]) -> LayerBits:
        """The layer's precisions for given widths by tensor name."""
        activation = widths[self.first]
        if self.output is not None:
            output = widths[self.output]
        else:
            output = RAW_BITS if self.base.output_bits == RAW_BITS else activation
        return LayerBits(
            activation_bits=activation,
            activation_signed=self.base.activation_signed,
            weight_bits=self.base.weight_bits if self.second is None else widths[self.second],
            output_bits=output,
        )


def layer_choices(model: ir.Model, tensors: Mapping[str, QuantizedTensor]) -> list[LayerChoice]:
    """All layers of a QDQ model, in graph order.

    Args:
        model: The model.
        tensors: ``quantized_tensors`` of it.
    """
    choices = []
    for layer in graph_layers(model):
        second = layer.weight
        if second is None and len(layer.inputs) > 1:
            second = layer.inputs[1]
        choices.append(
            LayerChoice(
                name=layer.name,
                shape=layer.shape,
                base=layer_bits(layer, tensors),
                first=layer.inputs[0],
                second=second,
                output=layer.output if layer.output in tensors else None,
            )
        )
    return choices
