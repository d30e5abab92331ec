"""Layers without weights: residual add, pools, requantization and concatenation."""

from __future__ import annotations

from fbcompile.errors import InternalError
from fbcompile.lowering.kernels.candidate import SIMD, Candidate
from fbcompile.lowering.kernels.model import Cost, Kernel, portable_kernel
from fbcompile.lowering.network import AddLayer, ConcatLayer, Layer


def outputs_are_packed(layer: Layer) -> bool:
    """Outputs have at most 8 bits."""
    return layer.output.bits <= 8


def clips_to_zero_or_both_signs(layer: Layer) -> bool:
    """Every clip is to [0, high] or to [-high - 1, high]: one instruction."""
    return all(low in (0, -high - 1) for low, high in _clips(layer))


def requantizes_in_32_bits(layer: Layer) -> bool:
    """No input of the concat needs a clamp or a 64-bit product."""
    return not any(r.wide or r.clamp is not None for r in _concat(layer).requantizations)


def _clips(layer: Layer) -> list[tuple[int, int]]:
    if isinstance(layer, AddLayer):
        return [(layer.low, layer.high)]
    return [(r.low, r.high) for r in _concat(layer).requantizations]


def _concat(layer: Layer) -> ConcatLayer:
    if not isinstance(layer, ConcatLayer):
        raise InternalError(f"layer {layer.name} is no concat, but its kernel was asked for", where="lower")
    return layer


def _kernel(function: str, arguments: str, cost: Cost) -> Kernel:
    return Kernel(function, arguments, "none", 4, f"kernels/{function}.c", cost)


ADD = (
    Candidate(
        _kernel("fbc_add_fours", "fbc_add_args", Cost(200, 20, 0, 40)),
        SIMD,
        (outputs_are_packed, clips_to_zero_or_both_signs),
    ),
    Candidate(portable_kernel("add", "fbc_add_args", "none", Cost(200, 20, 0, 40))),
)
MAX_POOL = (
    Candidate(_kernel("fbc_max_pool_words", "fbc_pool_args", Cost(200, 40, 30, 38)), SIMD),
    Candidate(portable_kernel("max_pool", "fbc_pool_args", "none", Cost(200, 40, 30, 38))),
)
AVERAGE_POOL = (
    Candidate(_kernel("fbc_average_pool_words", "fbc_pool_args", Cost(200, 0, 60, 12)), SIMD),
    Candidate(portable_kernel("average_pool", "fbc_pool_args", "none", Cost(200, 0, 60, 12))),
)
CONCAT = (
    Candidate(
        _kernel("fbc_concat_fours", "fbc_concat_args", Cost(200, 20, 0, 50)),
        SIMD,
        (outputs_are_packed, clips_to_zero_or_both_signs, requantizes_in_32_bits),
    ),
    Candidate(portable_kernel("concat", "fbc_concat_args", "none", Cost(200, 20, 0, 50))),
)
