"""Runs an integer network in numpy: the independent reference, written from DESIGN's formulas alone.

Products are summed by float64 matrix products, which is exact because every partial sum is an integer below
2^53 (accumulators are int32); all else is int64.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import numpy.typing as npt

from fbcompile.errors import InternalError
from fbcompile.lowering.network import (
    AddLayer,
    AveragePoolLayer,
    ConcatLayer,
    IntArray,
    Layer,
    MaxPoolLayer,
    Network,
    Tensor,
    WeightedLayer,
)


def run_numpy(network: Network, x: npt.NDArray[np.integer[npt.NBitBase]] | IntArray) -> dict[str, IntArray]:
    """Computes every tensor of a network.

    Args:
        network: The integer network.
        x: Input integers (N, C, H, W), or (N, F) for a flat input.

    Returns:
        int64 arrays by tensor name, the input and what lies within fused layers included: (N, C, H, W), or
        (N, F) for the outputs of linear layers and flat inputs.

    Raises:
        InternalError: The input is not of the input tensor's shape and type, or a layer is of no known class.
    """
    tensors: dict[str, IntArray] = {network.input.name: _check_input(network.input, np.asarray(x))}
    for layer in itertools.chain.from_iterable(layer.parts for layer in network.layers):
        inputs = [tensors[tensor.name] for tensor in layer.inputs]
        tensors[layer.output.name] = _run(layer, inputs)
    return tensors


def _check_input(tensor: Tensor, x: npt.NDArray[np.integer[npt.NBitBase]]) -> IntArray:
    shape = (tensor.channels, tensor.height, tensor.width)
    low = -(1 << (tensor.bits - 1)) if tensor.signed else 0
    if x.shape[1:] not in (shape, (tensor.elements,)) or x.min() < low or x.max() >= low + (1 << tensor.bits):
        raise InternalError(
            f"input '{tensor.name}' has the shape {x.shape[1:]} and range [{x.min()}, {x.max()}]",
            why=f"the network takes {shape} in {tensor.bits} bit, signed {tensor.signed}",
        )
    return x.astype(np.int64)


@functools.singledispatch
def _run(layer: Layer, inputs: list[IntArray]) -> IntArray:
    raise InternalError(f"numpy interpreter: layer {layer.name} is a {type(layer).__name__}")


@_run.register
def _weighted(layer: WeightedLayer, inputs: list[IntArray]) -> IntArray:
    x = inputs[0]
    if layer.shape.op == "linear":
        weights = layer.weights.reshape(len(layer.weights), -1).astype(np.float64)
        acc = np.rint(x.reshape(len(x), -1).astype(np.float64) @ weights.T).astype(np.int64)
        return layer.requantization.apply(acc, 1)
    return layer.requantization.apply(_convolve(layer, x), 1)


def _convolve(layer: WeightedLayer, x: IntArray) -> IntArray:
    """Accumulators (N, Cout, H, W): one matrix product per kernel tap and group."""
    shape = layer.shape
    size = (shape.output_height, shape.output_width)
    padding = ((0, 0), (0, 0), (shape.pad_top, shape.pad_bottom), (shape.pad_left, shape.pad_right))
    padded = np.pad(x, padding).reshape(len(x), shape.groups, -1, *_padded_size(layer))
    weights = layer.weights.reshape(shape.groups, -1, *layer.weights.shape[1:]).astype(np.float64)
    acc = np.zeros((len(x), shape.groups, weights.shape[1], size[0] * size[1]))
    for row in range(shape.kernel_height):
        for column in range(shape.kernel_width):
            tap = _window(layer, padded, row, column).astype(np.float64)
            acc += weights[None, ..., row, column] @ tap.reshape(*tap.shape[:3], -1)
    result: IntArray = acc.astype(np.int64).reshape(len(x), -1, *size)
    return result


def _padded_size(layer: Layer) -> tuple[int, int]:
    shape = layer.shape
    return (
        shape.input_height + shape.pad_top + shape.pad_bottom,
        shape.input_width + shape.pad_left + shape.pad_right,
    )


def _window(layer: Layer, padded: IntArray, row: int, column: int) -> IntArray:
    """What the kernel tap (row, column) sees for every output: the last two axes become (Hout, Wout)."""
    shape = layer.shape
    rows = slice(row, row + (shape.output_height - 1) * shape.stride_height + 1, shape.stride_height)
    columns = slice(column, column + (shape.output_width - 1) * shape.stride_width + 1, shape.stride_width)
    return padded[..., rows, columns]


@_run.register
def _add(layer: AddLayer, inputs: list[IntArray]) -> IntArray:
    total = inputs[0] * layer.multipliers[0] + inputs[1] * layer.multipliers[1] + layer.addend
    result: IntArray = np.clip(total >> layer.shift, layer.low, layer.high)
    return result


@_run.register
def _max_pool(layer: MaxPoolLayer, inputs: list[IntArray]) -> IntArray:
    shape = layer.shape
    padding = ((0, 0), (0, 0), (shape.pad_top, shape.pad_bottom), (shape.pad_left, shape.pad_right))
    padded = np.pad(inputs[0], padding, constant_values=np.iinfo(np.int64).min)
    windows = [
        _window(layer, padded, row, column)
        for row in range(shape.kernel_height)
        for column in range(shape.kernel_width)
    ]
    result: IntArray = functools.reduce(np.maximum, windows)
    return result


@_run.register
def _average_pool(layer: AveragePoolLayer, inputs: list[IntArray]) -> IntArray:
    return layer.requantization.apply(inputs[0].sum(axis=(2, 3), keepdims=True), 1)


@_run.register
def _concat(layer: ConcatLayer, inputs: list[IntArray]) -> IntArray:
    parts = [
        requantization.apply(x, 1) for requantization, x in zip(layer.requantizations, inputs, strict=True)
    ]
    return np.concatenate(parts, axis=1)
