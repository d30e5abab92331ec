"""What kernels must compute, in exact int64 numpy; channels come first (C, H, W)."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from fbcompile.latency.key import LayerShape
from fbcompile.lowering.network import IntArray, Requantization


def accumulators(x: IntArray, weights: npt.NDArray[np.int8], shape: LayerShape) -> IntArray:
    """Exact convolution sums.

    Args:
        x: Input (Cin, H, W).
        weights: (Cout, Cin/groups, Kh, Kw).
        shape: Strides, padding and sizes.

    Returns:
        Sums (Cout, Ho, Wo).
    """
    pads = ((0, 0), (shape.pad_top, shape.pad_bottom), (shape.pad_left, shape.pad_right))
    padded = np.pad(x.astype(np.int64), pads)
    outputs, per_group, height, width = weights.shape
    groups = x.shape[0] // per_group
    rows = (padded.shape[1] - height) // shape.stride_height + 1
    columns = (padded.shape[2] - width) // shape.stride_width + 1
    grouped_weights = weights.astype(np.int64).reshape(groups, outputs // groups, per_group, height, width)
    total = np.zeros((groups, outputs // groups, rows * columns), np.int64)
    for ky, kx in itertools.product(range(height), range(width)):
        taps = padded[:, ky : ky + rows * shape.stride_height : shape.stride_height]
        taps = taps[:, :rows, kx : kx + columns * shape.stride_width : shape.stride_width][:, :, :columns]
        total += grouped_weights[..., ky, kx] @ taps.reshape(groups, per_group, rows * columns)
    return total.reshape(outputs, rows, columns)


def requantized(requantization: Requantization, acc: IntArray) -> IntArray:
    """Requantizes sums (C, H, W), the clamp included."""
    if requantization.clamp is not None:
        bound = requantization.clamp.reshape(-1, *[1] * (acc.ndim - 1))
        acc = np.clip(acc, -bound - 1, bound)
    return requantization.apply(acc, 0)


def max_pool(x: IntArray, shape: LayerShape) -> IntArray:
    """Largest element of each window; padding never wins."""
    pads = ((0, 0), (shape.pad_top, shape.pad_bottom), (shape.pad_left, shape.pad_right))
    padded = np.pad(x, pads, constant_values=-(1 << 40))
    rows, columns = shape.output_height, shape.output_width
    views = [
        padded[:, ky : ky + (rows - 1) * shape.stride_height + 1 : shape.stride_height][
            :, :, kx : kx + (columns - 1) * shape.stride_width + 1 : shape.stride_width
        ]
        for ky, kx in itertools.product(range(shape.kernel_height), range(shape.kernel_width))
    ]
    largest: IntArray = np.max(views, axis=0)
    return largest
