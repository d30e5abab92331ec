"""The compiler's side of the C kernels: a family a file, chosen by named predicates."""

from fbcompile.lowering.kernels.blocked import BlockedKernel
from fbcompile.lowering.kernels.choose import choose_kernel, runtime_sources
from fbcompile.lowering.kernels.fused import FusedKernel, fuse_kernels
from fbcompile.lowering.kernels.model import (
    OUTPUT_WIDTHS,
    ROW_TAPS,
    WIDTHS,
    Kernel,
    Tile,
    dense_input_channels,
    is_depthwise,
    kernel_size,
    lane_bytes,
)
from fbcompile.lowering.kernels.weight_block import WeightBlock, weight_block

__all__ = [
    "OUTPUT_WIDTHS",
    "ROW_TAPS",
    "WIDTHS",
    "BlockedKernel",
    "FusedKernel",
    "Kernel",
    "Tile",
    "WeightBlock",
    "choose_kernel",
    "dense_input_channels",
    "fuse_kernels",
    "is_depthwise",
    "kernel_size",
    "lane_bytes",
    "runtime_sources",
    "weight_block",
]
