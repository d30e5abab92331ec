"""Which operators have kernels on a target, at which widths: asked from ``choose_kernel`` itself."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from fbcompile.annotation import SUPPORTED_BITS
from fbcompile.errors import UnsupportedModelError
from fbcompile.latency.key import LatencyKey, LayerBits, LayerShape
from fbcompile.lowering.kernels import choose_kernel
from fbcompile.profiling.synthetic import synthetic_network
from fbcompile.targets.target import Target

_CHANNELS = 32
_SHAPES: dict[str, LayerShape] = {
    "conv 3x3": LayerShape("conv", 3, 3, 1, 1, 1, 1, 1, 1, 1, 8, 8, _CHANNELS, _CHANNELS),
    "conv 1x1": LayerShape("conv", 1, 1, 1, 1, 0, 0, 0, 0, 1, 8, 8, _CHANNELS, _CHANNELS),
    "depthwise 3x3": LayerShape("depthwise", 3, 3, 1, 1, 1, 1, 1, 1, _CHANNELS, 8, 8, _CHANNELS, _CHANNELS),
    "linear": LayerShape("linear", 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, _CHANNELS, _CHANNELS),
    "add": LayerShape("add", 1, 1, 1, 1, 0, 0, 0, 0, 1, 8, 8, _CHANNELS, _CHANNELS),
    "max_pool": LayerShape("max_pool", 2, 2, 2, 2, 0, 0, 0, 0, 1, 8, 8, _CHANNELS, _CHANNELS),
    "average_pool": LayerShape("average_pool", 8, 8, 8, 8, 0, 0, 0, 0, 1, 8, 8, _CHANNELS, _CHANNELS),
}


@dataclasses.dataclass(frozen=True)
class SupportRow:
    """One supported combination.

    Attributes:
        op: Operator and kernel size.
        activation_bits: Width of the input.
        weight_bits: Width of the weights or second input; 0 where there is none.
        kernel: C function.
    """

    op: str
    activation_bits: int
    weight_bits: int
    kernel: str


def support_matrix(target: Target) -> Iterator[SupportRow]:
    """Asks for the kernel of every operator and width; combinations without one are left out.

    Output widths 8, 4 and 2 are all computed by the kernel that is named.
    """
    for op, shape in _SHAPES.items():
        second = (0,) if shape.op.endswith("pool") else SUPPORTED_BITS
        for activation_bits, weight_bits in itertools.product(SUPPORTED_BITS, second):
            output_bits = activation_bits if shape.op == "max_pool" else 8
            bits = LayerBits(activation_bits, False, weight_bits, output_bits)
            key = LatencyKey(shape, bits, target.name, target.cores, target.l1_bytes)
            layer = synthetic_network(key).layers[-1]
            try:
                kernel = choose_kernel(layer, target)
            except UnsupportedModelError:
                continue
            yield SupportRow(op, activation_bits, weight_bits, kernel.function)
