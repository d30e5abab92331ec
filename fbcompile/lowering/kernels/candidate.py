"""Candidates: a kernel, the instruction sets that it is meant for, and what a layer must satisfy.

``choose.choose_kernel`` takes the first candidate of an operator that accepts the layer, so a family lists
its fast kernels before its portable one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

from fbcompile.lowering.kernels.model import Kernel, kernel_size, weighted
from fbcompile.lowering.network import Layer, WeightedLayer

Predicate: TypeAlias = Callable[[Layer], bool]

SIMD = ("xpulpv2", "xpulpnn")
EVERYWHERE = ("portable", *SIMD)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A kernel and what it computes.

    Attributes:
        kernel: The kernel with its cost on these instruction sets.
        isas: Instruction sets (``Target.isa``) that it is meant for.
        predicates: What a layer must be; all of them.
    """

    kernel: Kernel
    isas: tuple[str, ...] = EVERYWHERE
    predicates: tuple[Predicate, ...] = ()

    def accepts(self, layer: Layer, isa: str) -> bool:
        """True if the kernel computes ``layer`` and is meant for ``isa``."""
        fits = isa in self.isas and _widths_fit(self.kernel, layer) and _layouts_fit(self.kernel, layer)
        return fits and all(holds(layer) for holds in self.predicates)


def _widths_fit(kernel: Kernel, layer: Layer) -> bool:
    """The kernel reads and writes elements of the layer's widths, and has its requantization."""
    reads = all(tensor.bits in kernel.activation_widths for tensor in layer.inputs)
    if not reads or layer.output.bits not in kernel.output_widths:
        return False
    if not isinstance(layer, WeightedLayer):
        return True
    return layer.weight_bits in kernel.weight_widths and (kernel.wide or not layer.requantization.wide)


def _layouts_fit(kernel: Kernel, layer: Layer) -> bool:
    takes = kernel.takes_channel_first or not any(tensor.channel_first for tensor in layer.inputs)
    return takes and (kernel.writes_channel_first or not layer.output.channel_first)


def narrow_output(layer: Layer) -> bool:
    """The output is a packed tensor of at most 8 bits, requantized in 32 bits."""
    return layer.output.bits <= 8 and not weighted(layer).requantization.wide


def activations_of_8_bits(layer: Layer) -> bool:
    """The input has 8 bits."""
    return layer.inputs[0].bits == 8


def kernel_is_3x3(layer: Layer) -> bool:
    """The window is 3x3."""
    return kernel_size(weighted(layer)) == (3, 3)


def kernel_is_5x5(layer: Layer) -> bool:
    """The window is 5x5."""
    return kernel_size(weighted(layer)) == (5, 5)


def stride_1_or_2(layer: Layer) -> bool:
    """Both strides are 1, or both are 2."""
    return layer.shape.stride_height == layer.shape.stride_width <= 2


def channels_in_fours(layer: Layer) -> bool:
    """The input channels are a multiple of four."""
    return layer.shape.input_channels % 4 == 0
