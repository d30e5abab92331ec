"""What scales and shifts channels, y = scale[c]·x + shift[c]: read from nodes, folded into layers."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from fbcompile.passes.normalize.graph_edits import FloatArray, float_constant, input_of, set_parameter

AFFINE_LAYERS = ("Conv", "Gemm")
"""Layers that can take a scale and a shift per output channel, which is axis 0 of the weight in both."""

ARITHMETIC = ("Add", "Sub", "Mul", "Div")
"""Operators that scale or shift where one operand is constant."""

Affine: TypeAlias = tuple[FloatArray, FloatArray]
"""Scale and shift, both of shape (channels,)."""


def output_channels(layer: ir.Node) -> int | None:
    """Output channels of a Conv or normalised Gemm with constant weight and bias, else None."""
    weight, bias = float_constant(input_of(layer, 1)), float_constant(input_of(layer, 2))
    if weight is None or bias is None or bias.shape != (weight.shape[0],):
        return None
    if layer.op_type == "Gemm" and layer.attributes.get_int("transB", 0) != 1:
        return None
    return int(weight.shape[0])


def fold_affine(layer: ir.Node, affine: Affine) -> None:
    """Folds a scale and a shift into a layer that ``output_channels`` accepts."""
    scale, shift = affine
    weight, bias = float_constant(layer.inputs[1]), float_constant(layer.inputs[2])
    if weight is None or bias is None:
        return
    if np.any(scale != 1):
        set_parameter(layer, 1, weight * scale.reshape(-1, *[1] * (weight.ndim - 1)))
    set_parameter(layer, 2, bias * scale + shift)


def batch_normalization_affine(node: ir.Node, channels: int) -> Affine | None:
    """What a BatchNormalization does in inference; None without constant parameters of shape (channels,)."""
    gamma, beta, mean, variance = (float_constant(value) for value in node.inputs[1:5])
    if gamma is None or beta is None or mean is None or variance is None:
        return None
    if any(parameter.shape != (channels,) for parameter in (gamma, beta, mean, variance)):
        return None
    scale = gamma / np.sqrt(variance + node.attributes.get_float("epsilon", 1e-5))
    return scale, beta - mean * scale


def arithmetic_affine(node: ir.Node, position: int, channels: int, rank: int) -> Affine | None:
    """What one of ``ARITHMETIC`` does to its input ``position``, [N, channels, ...] of ``rank`` dimensions.

    Returns:
        None if the other operand is not constant, or varies along another axis, or is divided by the input.
    """
    array = float_constant(input_of(node, 1 - position))
    values = None if array is None else _per_channel(array, channels, rank)
    if values is None:
        return None
    ones, zeros = np.ones(channels), np.zeros(channels)
    if node.op_type == "Add":
        return ones, values
    if node.op_type == "Mul":
        return values, zeros
    if node.op_type == "Sub":
        return (ones, -values) if position == 0 else (-ones, values)
    return (1 / values, zeros) if position == 0 and np.all(values != 0) else None


def _per_channel(array: FloatArray, channels: int, rank: int) -> FloatArray | None:
    """The constant as (channels,), or None if it varies along another axis than axis 1 of ``rank``."""
    if array.ndim > rank:
        return None
    shape = (1,) * (rank - array.ndim) + array.shape
    if any(size != 1 for axis, size in enumerate(shape) if axis != 1) or shape[1] not in (1, channels):
        return None
    return np.broadcast_to(array.reshape(-1), (channels,)).astype(np.float64)
