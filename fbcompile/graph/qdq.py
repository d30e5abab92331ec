"""Quantized tensors of a QDQ model: find them, read their precision, change it.

A quantized tensor is a float value followed by ``QuantizeLinear`` and ``DequantizeLinear`` with the same
constant scale and zero point. The type of the zero point is the precision (UINT8/INT8, UINT4/INT4,
UINT2/INT2). Weights stay float in the file (value = initializer), so a QDQ model can be trained further. All
zero points are 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from fbcompile.annotation import Decider, Precision, annotate, annotation_of
from fbcompile.errors import InternalError, UnsupportedModelError

QDQ_OPSET = 25
"""Opset of QDQ models: the first with 2-bit types; onnxruntime has no Q/DQ kernels at opset 28."""

_DTYPES: dict[tuple[int, bool], ir.DataType] = {
    (8, True): ir.DataType.INT8,
    (8, False): ir.DataType.UINT8,
    (4, True): ir.DataType.INT4,
    (4, False): ir.DataType.UINT4,
    (2, True): ir.DataType.INT2,
    (2, False): ir.DataType.UINT2,
}
_BITS = {dtype: key for key, dtype in _DTYPES.items()}

WEIGHT_CLIP_FRACTIONS = np.linspace(0.3, 1.0, 71)
"""Fractions of max|w| that the search for the best weight clip tries."""


def dtype_of(bits: int, signed: bool) -> ir.DataType:
    """The ONNX element type of a precision."""
    return _DTYPES[bits, signed]


@dataclasses.dataclass
class QuantizedTensor:
    """One Q/DQ pair and the value that it quantizes.

    Attributes:
        source: The float value: an activation, the graph input, or a weight initializer.
        quantize: The QuantizeLinear node.
        dequantize: The DequantizeLinear node; its output is what consumers read.
    """

    source: ir.Value
    quantize: ir.Node
    dequantize: ir.Node

    @property
    def name(self) -> str:
        """Name of the float value: the key of bits.json and of every report."""
        return _name(self.source)

    @property
    def is_weight(self) -> bool:
        """True if the value is an initializer."""
        return self.source.is_initializer()

    @property
    def precision(self) -> Precision:
        """Precision by the Q/DQ pair, with decider and reason from the annotation."""
        bits, signed = _BITS[_constant(self.quantize.inputs[2]).dtype]
        noted = annotation_of(self.source)
        if noted is None:
            return Precision(bits, signed)
        return dataclasses.replace(noted, bits=bits, signed=signed)

    @property
    def scale(self) -> np.ndarray:
        """Scale: shape () per tensor, or (channels,) along ``axis``; float32."""
        return np.asarray(_constant(self.quantize.inputs[1]).numpy(), dtype=np.float32)

    @property
    def axis(self) -> int | None:
        """Channel axis of a per-channel scale, None if per tensor."""
        return self.quantize.attributes.get_int("axis", 1) if self.scale.ndim else None

    def set_scale(self, scale: np.ndarray) -> None:
        """Writes new scales of the same shape."""
        value = self.quantize.inputs[1]
        if value is None or scale.shape != self.scale.shape:
            raise InternalError(f"scale of {self.name}: shape {scale.shape}, expected {self.scale.shape}")
        value.const_value = ir.tensor(scale.astype(np.float32), name=value.name)

    def set_precision(self, precision: Precision) -> bool:
        """Changes type, scale and annotation.

        The range of an activation is kept; a weight's scales are chosen anew from its float values
        (``weight_scale``).

        Returns:
            True if anything changed.
        """
        old = self.precision
        changed = annotate(self.source, precision)
        if (old.bits, old.signed) == (precision.bits, precision.signed):
            return changed
        if old.signed != precision.signed:
            raise InternalError(f"{self.name} is {old}: its sign cannot change to {precision}")
        zero_point = self.quantize.inputs[2]
        if zero_point is None:
            raise InternalError(f"{self.name}: QuantizeLinear without a zero point")
        scale = self.scale
        if self.is_weight:
            scale = weight_scale(_constant(self.source).numpy(), precision.bits, self.axis)
        else:
            scale = scale * np.float32(old.highest / precision.highest)
        self.set_scale(np.asarray(scale, dtype=np.float32))
        zero_point.const_value = zero_tensor(precision.bits, precision.signed, scale.shape, _name(zero_point))
        zero_point.dtype = dtype_of(precision.bits, precision.signed)
        quantized = self.quantize.outputs[0]
        quantized.dtype = dtype_of(precision.bits, precision.signed)
        return True


def zero_tensor(bits: int, signed: bool, shape: tuple[int, ...], name: str) -> ir.TensorProtocol:
    """A zero point of the given precision."""
    dtype = dtype_of(bits, signed)
    return ir.tensor(np.zeros(shape, dtype=dtype.numpy()), dtype=dtype, name=name)


def weight_scale(weight: np.ndarray, bits: int, axis: int | None) -> np.ndarray:
    """Scales of a symmetric weight quantizer that minimise the squared error, per channel.

    At 8 bit the full range max|w| is kept; below, fractions of it are tried (``WEIGHT_CLIP_FRACTIONS``).

    Args:
        weight: Float weights, any shape.
        bits: 8, 4 or 2.
        axis: Channel axis, or None for one scale.

    Returns:
        float32 scales of shape (channels,), or () if ``axis`` is None.
    """
    rows = (
        weight.reshape(1, -1)
        if axis is None
        else np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    )
    rows = rows.astype(np.float64)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    largest = np.maximum(np.abs(rows).max(axis=1), np.finfo(np.float32).tiny * 2**20)
    best = largest / high
    if bits < 8:
        best_error = np.full(len(rows), np.inf)
        for fraction in WEIGHT_CLIP_FRACTIONS:
            scale = fraction * largest / high
            rounded = np.clip(np.rint(rows / scale[:, None]), low, high) * scale[:, None]
            error = ((rounded - rows) ** 2).sum(axis=1)
            better = error < best_error
            best_error[better], best[better] = error[better], scale[better]
    result: np.ndarray = best.astype(np.float32)
    return result.reshape(()) if axis is None else result


def quantized_tensors(model: ir.Model) -> dict[str, QuantizedTensor]:
    """All quantized tensors of a model by the name of their float value, in graph order.

    Raises:
        UnsupportedModelError: A Q/DQ pair is not of the form that this module describes.
    """
    return {tensor.name: tensor for tensor in _pairs(model)}


def _pairs(model: ir.Model) -> Iterator[QuantizedTensor]:
    for node in model.graph:
        if node.op_type != "QuantizeLinear":
            continue
        source = node.inputs[0]
        users = [user for user, _ in node.outputs[0].uses()]
        if source is None or len(users) != 1 or users[0].op_type != "DequantizeLinear":
            raise UnsupportedModelError(
                f"QuantizeLinear '{node.name}' is not followed by exactly one DequantizeLinear",
                where="reading the QDQ model",
                hint="run the quantize stage on the float model instead",
            )
        if np.any(_constant(node.inputs[2]).numpy().astype(np.int64) != 0):
            raise UnsupportedModelError(
                f"tensor '{source.name}' has a zero point other than 0",
                why="kernels pad with 0 and compute without zero points",
                where="reading the QDQ model",
                hint="quantize symmetrically, or give the float model",
            )
        yield QuantizedTensor(source, node, users[0])


def _constant(value: ir.Value | None) -> ir.TensorProtocol:
    if value is None or value.const_value is None:
        raise UnsupportedModelError(
            f"quantization parameter '{None if value is None else value.name}' is not constant",
            where="reading the QDQ model",
        )
    return value.const_value


def _name(value: ir.Value) -> str:
    if value.name is None:
        raise InternalError("a value without a name")
    return value.name


__all__ = [
    "QDQ_OPSET",
    "Decider",
    "QuantizedTensor",
    "dtype_of",
    "quantized_tensors",
    "weight_scale",
    "zero_tensor",
]
