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
from fbcompile.lowering.kernels import (
    blocked,
    depthwise,
    depthwise_in_place,
    depthwise_pixels,
    depthwise_stacked,
    elementwise,
    linear,
)
from fbcompile.lowering.kernels.candidate import Candidate
from fbcompile.lowering.kernels.model import OUTPUT_WIDTHS, WIDTHS, Kernel
from fbcompile.lowering.network import Layer, WeightedLayer
from fbcompile.targets.target import Target

CANDIDATES: dict[str, tuple[Candidate, ...]] = {
    "conv": (*linear.ONE_PIXEL, *blocked.CANDIDATES),
    "depthwise": (
        *depthwise_in_place.CANDIDATES,
        *depthwise_pixels.CANDIDATES,
        *depthwise_stacked.CANDIDATES,
        *depthwise.CANDIDATES,
        *blocked.CANDIDATES,
    ),
    "linear": linear.CANDIDATES,
    "add": elementwise.ADD,
    "max_pool": elementwise.MAX_POOL,
    "average_pool": elementwise.AVERAGE_POOL,
    "requantize": elementwise.CONCAT,
    "concat": elementwise.CONCAT,
}
"""Of each operator, in order of preference."""


def choose_kernel(layer: Layer, target: Target) -> Kernel:
    """The kernel that computes ``layer`` on ``target``.

    Raises:
        UnsupportedModelError: No kernel of the target computes this operator at these precisions.
    """
    _check_precisions(layer, target)
    candidates = CANDIDATES.get(layer.shape.op)
    if candidates is None:
        raise UnsupportedModelError(
            f"layer {layer.name}: no kernel computes the operator {layer.shape.op!r} on target {target.name}",
            why=f"kernels exist for {', '.join(sorted(CANDIDATES))}",
            where="lower",
            hint="use an operator of this list; `fbcompile ops` shows all of them",
        )
    found = next((c.kernel for c in candidates if c.accepts(layer, target.isa)), None)
    if found is None:
        raise UnsupportedModelError(
            f"layer {layer.name}: no kernel of target {target.name} computes {_combination(layer)}",
            why=f"tried for {target.isa}: {', '.join(c.kernel.function for c in candidates)}",
            where="lower",
            hint="choose other widths for this layer in the precision file, or another target",
        )
    return found


def runtime_sources(target: Target) -> list[Path]:
    """The C files of all kernels that layers can need on ``target``, relative to ``runtime_c``."""
    kernels = [c.kernel for family in CANDIDATES.values() for c in family if target.isa in c.isas]
    names = {kernel.source for kernel in kernels}
    names |= {f"kernels/{kernel.prepare}.c" for kernel in kernels if kernel.prepare}
    return sorted(Path(name) for name in names)


def _combination(layer: Layer) -> str:
    """What a kernel is missing for: operator, window and widths."""
    shape, bits = layer.shape, [str(tensor.bits) for tensor in layer.inputs]
    bits += [f"{layer.weight_bits} (weights)"] if isinstance(layer, WeightedLayer) else []
    window = f"{shape.kernel_height}x{shape.kernel_width} stride {shape.stride_height}x{shape.stride_width}"
    return f"{shape.op} {window} of {', '.join(bits)} bit to {layer.output.bits} bit"


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
