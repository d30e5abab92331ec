"""What every placement of buffers in an arena must satisfy."""

from __future__ import annotations

import itertools

from fbcompile.lowering.arena import Buffer


def check_placement(buffers: list[Buffer], offsets: dict[str, int], steps: int) -> None:
    """Aligned, and no two buffers that live in one step share a byte."""
    for buffer in buffers:
        assert offsets[buffer.name] >= 0
        assert offsets[buffer.name] % 16 == 0
    for a, b in itertools.combinations(buffers, 2):
        if any(a.first <= step <= a.last and b.first <= step <= b.last for step in range(steps)):
            apart = (
                offsets[a.name] + a.bytes <= offsets[b.name] or offsets[b.name] + b.bytes <= offsets[a.name]
            )
            assert apart, f"{a} and {b} overlap"
