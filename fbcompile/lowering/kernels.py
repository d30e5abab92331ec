"""Which C kernel computes a layer on a target, what it needs, and what it costs.

The C side is ``runtime_c/kernels``: one kernel a file. How each kernel's arguments follow from a layer:

* A convolution's tile holds all its input channels; a depthwise tile as many input as output channels.
* A linear layer is a convolution whose kernel covers its whole input tensor (``kernel_height`` and
  ``kernel_width`` are the tensor's height and width, no padding) and whose output is one pixel.
* A grouped convolution that is not depthwise runs as a dense one: ``packing.pack_weights`` writes the zeros
  between the groups.
* Every pointer of an argument struct is 4-byte aligned.
"""

from __future__ import annotations

from pathlib import Path

from fbcompile.errors import UnsupportedModelError
from fbcompile.lowering.kernel_model import (
    BlockCost,
    BlockedKernel,
    Cost,
    DepthwiseStripKernel,
    Kernel,
    Tile,
    dense_input_channels,
    is_depthwise,
    kernel_size,
    lane_bytes,
    weighted,
)
from fbcompile.lowering.network import Layer, WeightedLayer
from fbcompile.targets.target import Target

__all__ = [
    "OUTPUT_WIDTHS",
    "WIDTHS",
    "BlockedKernel",
    "Kernel",
    "Tile",
    "choose_kernel",
    "dense_input_channels",
    "is_depthwise",
    "kernel_size",
    "lane_bytes",
    "runtime_sources",
]

WIDTHS = (8, 4, 2)
"""Widths of activations and weights that kernels read."""

OUTPUT_WIDTHS = (8, 4, 2, 32)
"""Widths of tensors that kernels write."""


def _portable(name: str, arguments: str, layout: str, channel_block: int, cost: Cost) -> Kernel:
    function = f"fbc_{name}_portable"
    return Kernel(function, arguments, layout, channel_block, f"kernels/{function}.c", cost)


CONV_PORTABLE = _portable("conv", "fbc_conv_args", "dense", 4, Cost(200, 60, 60, 11))
DEPTHWISE_PORTABLE = _portable("depthwise", "fbc_conv_args", "depthwise", 4, Cost(200, 60, 60, 18))
DEPTHWISE_3X3 = DepthwiseStripKernel(
    "fbc_depthwise_3x3", "fbc_conv_args", "depthwise", 4, "kernels/fbc_depthwise_3x3.c", Cost(840, 0, 0, 0)
)
ADD_PORTABLE = _portable("add", "fbc_add_args", "none", 4, Cost(200, 20, 0, 40))
MAX_POOL_PORTABLE = _portable("max_pool", "fbc_pool_args", "none", 4, Cost(200, 40, 30, 38))
AVERAGE_POOL_PORTABLE = _portable("average_pool", "fbc_pool_args", "none", 4, Cost(200, 0, 60, 12))
CONCAT_PORTABLE = _portable("concat", "fbc_concat_args", "none", 4, Cost(200, 20, 0, 50))


_BLOCKED = {
    ("xpulpnn", 8): BlockCost(),
    ("xpulpnn", 4): BlockCost(),
    ("xpulpnn", 2): BlockCost(),
    ("xpulpv2", 8): BlockCost(block=142, word=24.45, single_word=9.2),
}
"""Widths that each instruction set multiplies, and what it costs."""

_PORTABLE_BY_OP = {
    "conv": CONV_PORTABLE,
    "linear": CONV_PORTABLE,
    "add": ADD_PORTABLE,
    "max_pool": MAX_POOL_PORTABLE,
    "average_pool": AVERAGE_POOL_PORTABLE,
    "requantize": CONCAT_PORTABLE,
    "concat": CONCAT_PORTABLE,
}


def choose_kernel(layer: Layer, target: Target) -> Kernel:
    """The kernel that computes ``layer`` on ``target``.

    Raises:
        UnsupportedModelError: No kernel of the target computes this operator at these precisions.
    """
    _check_precisions(layer, target)
    op = layer.shape.op
    if isinstance(layer, WeightedLayer) and not is_depthwise(layer) and target.isa != "portable":
        return _choose_blocked(layer, target)
    if op == "depthwise":
        if not is_depthwise(layer):
            return CONV_PORTABLE
        return DEPTHWISE_3X3 if _has_fast_depthwise(weighted(layer), target) else DEPTHWISE_PORTABLE
    if op in _PORTABLE_BY_OP:
        return _PORTABLE_BY_OP[op]
    raise UnsupportedModelError(
        f"layer {layer.name}: no kernel computes the operator {op!r} on target {target.name}",
        why=f"kernels exist for {', '.join(sorted({*_PORTABLE_BY_OP, 'depthwise'}))}",
        where="lower",
        hint="use an operator of this list; `fbcompile ops` shows all of them",
    )


def _has_fast_depthwise(layer: WeightedLayer, target: Target) -> bool:
    shape = layer.shape
    is_3x3 = kernel_size(layer) == (3, 3) and shape.stride_height == shape.stride_width <= 2
    whole_words = shape.input_channels % 4 == 0 and layer.inputs[0].bits == 8
    narrow = not layer.requantization.wide and layer.output.bits <= 8
    return target.isa != "portable" and is_3x3 and whole_words and narrow


def runtime_sources(target: Target) -> list[Path]:
    """The C files of all kernels that layers can need on ``target``, relative to ``runtime_c``."""
    names = [kernel.source for kernel in {*_PORTABLE_BY_OP.values(), DEPTHWISE_PORTABLE}]
    widths = [width for isa, width in _BLOCKED if isa == target.isa]
    names += [DEPTHWISE_3X3.source] if widths else []
    names += [f"kernels/fbc_conv_blocked_{width}.c" for width in widths]
    names += [f"kernels/fbc_expand_weights_{width}.c" for width in widths if width > min(WIDTHS)]
    return sorted(Path(name) for name in names)


def _choose_blocked(layer: WeightedLayer, target: Target) -> BlockedKernel:
    """The narrowest dot product of the instruction set that holds activations and weights."""
    widths = [width for isa, width in _BLOCKED if isa == target.isa]
    width = min(width for width in widths if width >= max(layer.inputs[0].bits, layer.weight_bits))
    prepare = f"fbc_expand_weights_{width}" if layer.weight_bits < width else ""
    function = f"fbc_conv_blocked_{width}"
    source, cost = f"kernels/{function}.c", Cost(0, 0, 0, 0)
    cycles = _BLOCKED[target.isa, width]
    return BlockedKernel(function, "fbc_conv_args", "blocked4", 4, source, cost, prepare, width, cycles)


def _check_precisions(layer: Layer, target: Target) -> None:
    reads = [tensor.bits for tensor in layer.inputs]
    if isinstance(layer, WeightedLayer):
        reads.append(layer.weight_bits)
    problems = [f"reads {bits} bit" for bits in reads if bits not in WIDTHS]
    if layer.output.bits not in OUTPUT_WIDTHS:
        problems.append(f"writes {layer.output.bits} bit")
    if problems:
        raise UnsupportedModelError(
            f"layer {layer.name} ({layer.shape.op}): no kernel of {target.name} {' and '.join(problems)}",
            why=f"kernels read {WIDTHS} and write {OUTPUT_WIDTHS} bits",
            where="lower",
            hint="choose one of these widths in the precision file",
        )
