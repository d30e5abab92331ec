"""Layers without weights: residual add, pools, requantization and concatenation."""

from __future__ import annotations

from fbcompile.lowering.kernels.candidate import Candidate
from fbcompile.lowering.kernels.model import Cost, portable_kernel

ADD = (Candidate(portable_kernel("add", "fbc_add_args", "none", Cost(200, 20, 0, 40))),)
MAX_POOL = (Candidate(portable_kernel("max_pool", "fbc_pool_args", "none", Cost(200, 40, 30, 38))),)
AVERAGE_POOL = (Candidate(portable_kernel("average_pool", "fbc_pool_args", "none", Cost(200, 0, 60, 12))),)
CONCAT = (Candidate(portable_kernel("concat", "fbc_concat_args", "none", Cost(200, 20, 0, 50))),)
