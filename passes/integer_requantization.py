"""What integer layers share: target range, accumulator, stored weights, requantization."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import onnx_ir as ir

from fbcompile.annotation import PREFIX, Precision, annotate
from fbcompile.graph.activations import FusedOutput, fused_output
from fbcompile.graph.integer_functions import DOMAIN, REQUANT_SHIFT
from fbcompile.graph.qdq import QuantizedTensor
from fbcompile.lowering.network import IntArray, Requantization
from fbcompile.passes.integer_graph import Attributes, IntegerGraph, IntegerTensor

WEIGHT_ZERO_POINT = 128
"""Weights are stored as uint8 with this zero point: u8·u8 products of onnxruntime cannot saturate."""


@dataclasses.dataclass(frozen=True)
class LayerTarget:
    """What a layer has to produce: its output tensor and the integers that it may hold."""

    output: FusedOutput
    pair: QuantizedTensor

    @property
    def precision(self) -> Precision:
        """Width and sign of the output."""
        return self.pair.precision

    @property
    def scale(self) -> float:
        """Real value of one output step."""
        return float(self.pair.scale)

    @property
    def limits(self) -> tuple[int, int]:
        """The type's range, narrowed by Relu/Clip: their bounds are rounded to steps as Q/DQ rounds them."""
        low, high = output_steps(self.output, self.scale)
        precision = self.precision
        return int(max(low, precision.lowest)), int(min(high, precision.highest))


def output_steps(output: FusedOutput, scale: float) -> tuple[float, float]:
    """Bounds by Relu/Clip in steps of ``scale``, rounded as QuantizeLinear does; infinite without."""
    step = np.float32(scale)
    low, high = (
        float(np.rint(np.float32(bound) / step)) if math.isfinite(bound) else bound
        for bound in (output.low, output.high)
    )
    return low, high


def paired_target(graph: IntegerGraph, node: ir.Node) -> LayerTarget:
    """The target of a layer whose output has a Q/DQ pair."""
    output = fused_output(node)
    return LayerTarget(output, graph.pairs[output.value])


def accumulator(graph: IntegerGraph, node: ir.Node) -> ir.Value:
    """The int32 value in front of a layer's requantization."""
    source = node.outputs[0]
    return ir.val(
        graph.unique(f"{fused_output(node).value.name}accumulator"), ir.DataType.INT32, source.shape
    )


def stored_weights(
    graph: IntegerGraph, name: str, integers: IntArray, precision: Precision
) -> tuple[ir.Value, None, ir.Value]:
    """Adds weights as uint8; the inputs of ConvInteger/MatMulInteger behind the activation."""
    weight = graph.constant(name, (integers + WEIGHT_ZERO_POINT).astype(np.uint8))
    annotate(weight, precision)
    zero_point = graph.constant(f"{weight.name}_zero_point", np.asarray(WEIGHT_ZERO_POINT, dtype=np.uint8))
    return weight, None, zero_point


def emit_requantization(
    graph: IntegerGraph,
    acc: ir.Value,
    result: IntegerTensor,
    found: Requantization,
    shape: tuple[int, ...],
    name: str,
) -> str:
    """Appends a RequantShift with its proof in the metadata; returns a line for the report."""
    base = result.value.name
    constants = [
        graph.constant(f"{base}_multiplier", found.multiplier.reshape(shape)),
        graph.constant(f"{base}_addend", found.addend.reshape(shape)),
    ]
    dtype = result.value.dtype or ir.DataType.INT32
    attributes: Attributes = {
        "shift": found.shift,
        "low": found.low,
        "high": found.high,
        "to": int(dtype),
    }
    node = graph.emit(
        REQUANT_SHIFT, [acc, *constants], result.value, attributes, f"{name}_{REQUANT_SHIFT}", domain=DOMAIN
    )
    clamps = [] if found.clamp is None else found.clamp.tolist()
    node.metadata_props[PREFIX + "clamp"] = " ".join(map(str, clamps))
    node.metadata_props[PREFIX + "wide"] = str(found.wide).lower()
    return f"shift {found.shift}" + (", 64 bit" if found.wide else "")
