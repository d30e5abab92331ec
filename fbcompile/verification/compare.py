"""Element-wise comparison of two executions of a network, layer by layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from fbcompile.errors import NumericsError
from fbcompile.lowering.network import IntArray, Network

_WHERE = "comparing layer outputs"


@dataclasses.dataclass(frozen=True)
class Difference:
    """The first differing element: in layer order, then in the order of (n, c, h, w).

    Attributes:
        layer: Name of the layer.
        tensor: Name of its output in the ONNX model.
        index: (n, c, h, w).
        expected: Value of the reference.
        actual: Value of the other execution.
        different: Number of differing elements in this layer.
        elements: Number of elements of this layer.
    """

    layer: str
    tensor: str
    index: tuple[int, int, int, int]
    expected: int
    actual: int
    different: int
    elements: int

    def __str__(self) -> str:
        n, c, h, w = self.index
        return (
            f"layer '{self.layer}' (tensor '{self.tensor}') at n={n}, c={c}, h={h}, w={w}: "
            f"expected {self.expected}, got {self.actual}; {self.different} of {self.elements} differ"
        )


def first_difference(
    expected: Mapping[str, IntArray], actual: Mapping[str, IntArray], network: Network
) -> Difference | None:
    """Compares every layer's output; integers must be equal.

    Args:
        expected: Arrays (n, C, H, W), or (n, F) for flat tensors, by tensor name.
        actual: Likewise; shapes may differ only in trailing ones.
        network: Gives the layers and their order.

    Returns:
        The first difference, or None if all elements of all layers agree.

    Raises:
        NumericsError: A layer's output is missing or has a wrong number of elements on either side.
    """
    for layer in network.layers:
        name = layer.output.name
        left, right = (_four_dimensional(side, name, network) for side in (expected, actual))
        if left.shape != right.shape:
            raise NumericsError(
                f"layer '{layer.name}': {right.shape[0]} images compared with {left.shape[0]}", where=_WHERE
            )
        wrong = left != right
        if wrong.any():
            position = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            n, c, h, w = (int(i) for i in position)
            return Difference(
                layer=layer.name,
                tensor=name,
                index=(n, c, h, w),
                expected=int(left[position]),
                actual=int(right[position]),
                different=int(np.count_nonzero(wrong)),
                elements=int(wrong.size),
            )
    return None


def _four_dimensional(tensors: Mapping[str, IntArray], name: str, network: Network) -> IntArray:
    tensor = next(layer.output for layer in network.layers if layer.output.name == name)
    if name not in tensors:
        raise NumericsError(f"no output of tensor '{name}': nothing was compared", where=_WHERE)
    array = np.asarray(tensors[name])
    if array.size == 0 or array.size % tensor.elements or array.shape[0] * tensor.elements != array.size:
        raise NumericsError(
            f"tensor '{name}' has shape {array.shape}",
            why=f"expected (n, {tensor.channels}, {tensor.height}, {tensor.width})",
            where=_WHERE,
        )
    result: IntArray = array.astype(np.int64).reshape(-1, tensor.channels, tensor.height, tensor.width)
    return result
