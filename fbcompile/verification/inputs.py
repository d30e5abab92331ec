"""Inputs to verify on: validation images where there are some, else random ones, and always the extremes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fbcompile.errors import UsageError
from fbcompile.lowering.network import IntArray, Tensor
from fbcompile.reference.onnxruntime_runner import quantize_input

EXTREMES = 3
"""The first inputs are all lowest, all highest and a checkerboard of both, as far as the count allows."""


def verification_inputs(
    tensor: Tensor, count: int, images: npt.NDArray[np.floating] | None, seed: int
) -> IntArray:
    """Integer inputs of a network.

    Args:
        tensor: The network's input.
        count: How many, n ≥ 1.
        images: Real-valued images (m, C, H, W) to quantize; None for random integers over the whole type.
        seed: Chooses images or draws integers.

    Returns:
        int64 array (n, C, H, W).

    Raises:
        UsageError: No input is asked for, or the images have another shape.
    """
    if count < 1:
        raise UsageError(f"{count} inputs to verify on", why="nothing would be compared", where="verify")
    shape = (tensor.channels, tensor.height, tensor.width)
    low = -(1 << (tensor.bits - 1)) if tensor.signed else 0
    high = low + (1 << tensor.bits) - 1
    checkerboard = np.where(np.indices(shape).sum(axis=0) % 2, low, high)
    extremes = [np.full(shape, low), np.full(shape, high), checkerboard][: min(EXTREMES, count - 1)]
    rest = count - len(extremes)
    generator = np.random.default_rng(seed)
    if images is None:
        chosen = generator.integers(low, high + 1, size=(rest, *shape))
    else:
        chosen = _quantized(np.asarray(images), tensor, shape, rest, generator)
    return np.concatenate([np.array(extremes).reshape(-1, *shape), chosen]).astype(np.int64)


def _quantized(
    images: npt.NDArray[np.floating],
    tensor: Tensor,
    shape: tuple[int, int, int],
    count: int,
    generator: np.random.Generator,
) -> IntArray:
    if len(images) == 0 or int(np.prod(images.shape[1:])) != tensor.elements:
        raise UsageError(f"images of shape {images.shape} for a network that reads {shape}", where="verify")
    picked = generator.choice(len(images), size=count, replace=count > len(images))
    return quantize_input(images[picked], tensor).reshape(count, *shape)
